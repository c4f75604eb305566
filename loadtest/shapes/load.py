"""What the users of one process share during a run. The conductor makes it anew for each, from a part of the whole."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, cast

from loadtest.reckoning.flips import FLIP, NUMBER, Flip, Record
from loadtest.reckoning.tally import Tally
from loadtest.traffic.session import Traffic

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Part:
    """One process's part of a run, as it travels: what was chosen, its number, keys, and the accounts it flips.

    storm: [id, write key, version of its creation] each. No account is in two parts, so that the order of flips and
    hits is one process's own, and no clock is compared.
    """

    index: int
    shape: str
    seed: int
    interval_seconds: float
    host: str
    keys: list[str]
    storm: list[list[Any]]
    admin: str | None
    token: str | None
    data: str | None

    def plain(self) -> dict[str, Any]:
        """Write it as a message's data."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Part":
        """Read a message's data."""
        return cls(**plain)


class Flipped:
    """An account under flips: what was asked, what has returned, and every hit's place between the two."""

    def __init__(self, account: str, key: str, version: int, host: str) -> None:
        self.record = Record(account, [Flip("ACCEPT", version)])
        self.traffic = Traffic([key], host)
        self.status = ACTIVE
        self.asked = self.returned = 0
        self._numbers = count(1)

    def mark(self) -> tuple[int, int, str]:
        """Number a hit that is sent now: its number, the last flip that has returned, and the query that says both."""
        number, flip = next(self._numbers), self.returned
        return number, flip, f"&{NUMBER}={number}&{FLIP}={flip}"


@dataclass(slots=True)
class Load:
    """A run's part in this process, and what was seen of it."""

    part: Part
    tally: Tally = field(default_factory=Tally)
    flipped: list[Flipped] = field(default_factory=list)
    free: list[Flipped] = field(default_factory=list)
    traffic: Traffic = field(init=False)
    _users: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.part.keys or ["none"], self.part.host)
        self.flipped = [Flipped(account, key, version, self.part.host) for account, key, version in self.part.storm]
        self.free = list(self.flipped)

    def random(self) -> Random:
        """Give a user its own random numbers: of the seed, the process and how many users came before."""
        return Random(f"{self.part.seed} {self.part.index} {next(self._users)}")

    def key(self, random: Random) -> str:
        """Draw a write key as visitors' sites are drawn."""
        return self.traffic.keys[self.traffic.rank(random)]

    def seen(self) -> Tally:
        """Return the tally with the accounts' records in it."""
        self.tally.records = [flipped.record for flipped in self.flipped]
        return self.tally


def load_of(environment: Any) -> Load:
    """Find the load that the conductor hung on locust's environment. Raises RuntimeError before a run."""
    load = getattr(environment, "pixelgate_load", None)
    if load is None:
        raise RuntimeError("no part of the run has arrived in this process: did it join after the start?")
    return cast("Load", load)


def now() -> float:
    """Read the clock that latencies are taken by, in seconds."""
    return time.perf_counter()
