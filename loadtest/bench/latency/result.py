"""What a run of `latency.py` found: capacities, legs as measured, and the figures made of them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.bench.latency.service import Service
from loadtest.bench.pace import Paced
from loadtest.bench.result import Contender
from loadtest.bench.stats import Spread, spread

FORMAT: Final = 1
"""Raised when a field of the JSON changes its meaning."""
TIMED: Final = "pixelgate, timed"


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most a server answered in a closed loop (wrk): `busy` says whether its core or the load was the limit."""

    server: str
    rate: float
    busy: float
    load_busy: float
    others: float
    faults: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One way to load a server. of: what the percent is taken of, `own` capacity or the `least` of all servers'."""

    of: str
    percent: int
    rate: float
    poisson: bool = False

    @property
    def name(self) -> str:
        """What stands in tables and in the JSON."""
        return f"{self.percent} % of {self.of}{', Poisson' if self.poisson else ''}"


@dataclass(frozen=True, slots=True)
class Leg:
    """One server under one step, once. A leg with faults is void and counts in no median.

    cpu_us: the server's whole tree, a hit answered, warm-up included. others: what anybody else used of a core.
    service: where the server timed itself.
    """

    server: str
    step: str
    number: int
    paced: Paced | None
    cpu_us: float = 0.0
    busy: float = 0.0
    others: float = 0.0
    service: Service | None = None
    faults: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One start of a server with all its legs: what it kept of what it answered, and in how many frames."""

    server: str
    number: int
    answered: int
    sent: int
    kept: int | None = None
    frames: int | None = None
    faults: Sequence[str] = ()


@dataclass(slots=True)
class Result:
    """A whole run. gaps: by core, what a process that only reads the clock lost of it, before the rounds and after."""

    at: str
    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    contenders: list[Contender] = field(default_factory=list)
    gaps: list[Mapping[str, Any]] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    legs: list[Leg] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def capacity(self, server: str) -> Spread | None:
        """Median and range over the closed-loop runs that count."""
        return spread([one.rate for one in self.capacities if one.server == server and not one.faults])

    def valid(self, server: str, step: str) -> list[Leg]:
        """The legs that count: their turn's hits were all kept, too."""
        bad = {(one.server, one.number) for one in self.turns if one.faults}
        return [
            one
            for one in self.legs
            if (one.server, one.step) == (server, step)
            and one.paced
            and not one.faults
            and (one.server, one.number) not in bad
        ]

    def spread(self, server: str, step: str, figure: Callable[[Leg], float]) -> Spread | None:
        """Median and range of a figure over the legs that count."""
        return spread([figure(one) for one in self.valid(server, step)])
