"""The options that this locustfile adds to locust's own.

The web UI's form has those that say what to play. Files, addresses and the token are the command line's alone: whoever
reaches the form must not be able to write a file here, or to send the token elsewhere.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.shapes.catalogue import PLANS, STEADY

ACCOUNTS: Final = 50
SEED: Final = 1
REPORT: Final = "build/loadtest/{shape}.html"


def add(parser: Any) -> None:
    """Add them to locust's parser."""

    def put(name: str, default: Any, words: str, **more: Any) -> None:
        parser.add_argument(
            name, default=default, env_var=f"LOADTEST_{name[2:].upper().replace('-', '_')}", help=words, **more
        )

    def put_here(name: str, words: str, default: str = "", **more: Any) -> None:
        put(name, default, words, include_in_web_ui=False, **more)

    put("--shape", STEADY, f"what to play ({STEADY})", choices=list(PLANS))
    put("--rate", 0.0, "hits a second of all browsers together (0: the shape's own)", type=float)
    put("--accounts", ACCOUNTS, f"accounts to make and spread the hits over ({ACCOUNTS})", type=int)
    put("--seed", SEED, f"of everything that is drawn ({SEED})", type=int)
    put_here("--write-keys", "write keys to use instead of making accounts: a file with one a line, or k1,k2,...")
    put_here("--data", "data directory of a Pixelgate on this host: accounts, verify and export go by it")
    put_here("--admin", "URL of the admin port: its counters, and with --token accounts and flips")
    put_here("--token", "an operator's bearer token for it", is_secret=True)
    put_here("--report", f"the page to write ({REPORT})", REPORT)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """What the command line alone says: where the system is to be reached, and where the page goes."""

    write_keys: str
    data: Path | None
    admin: str | None
    token: str | None
    report: str

    @classmethod
    def read(cls, parsed: Any) -> "Place":
        """Read locust's parsed options, at the start of the process. Raises ValueError for a directory there is not."""
        data = Path(parsed.data).expanduser() if parsed.data else None
        if data is not None and not data.is_dir():
            raise ValueError(f"--data {data}: there is no such directory")
        return cls(parsed.write_keys, data, parsed.admin.rstrip("/") or None, parsed.token or None, parsed.report)

    def keys(self) -> list[str]:
        """Read the write keys that were given; none gives none. Raises ValueError for an empty one, OSError."""
        if not self.write_keys:
            return []
        file = Path(self.write_keys)
        keys = file.read_text(encoding="utf-8").split() if file.exists() else self.write_keys.split(",")
        if not keys or not all(keys):
            raise ValueError(f"--write-keys {self.write_keys!r} holds an empty key, or none")
        return keys


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run's options, read at its start: the web UI may have changed what is to be played."""

    place: Place
    shape: str
    rate: float
    accounts: int
    seed: int
    users: int

    @classmethod
    def read(cls, parsed: Any, place: Place) -> "Chosen":
        """Read locust's parsed options. Raises ValueError for what cannot be meant."""
        if parsed.shape not in PLANS:
            raise ValueError(f"there is no shape {parsed.shape!r}; there are {', '.join(PLANS)}")
        plan = PLANS[parsed.shape]
        rate, accounts = float(parsed.rate) or plan.rate, int(parsed.accounts)
        users = int(parsed.num_users or plan.users)
        if not 0 < rate < math.inf or accounts < 1 or users < plan.users_min:
            raise ValueError(
                f"{plan.name} needs {plan.users_min} users or more, an account and a rate: "
                f"got {users} users, {accounts} accounts, {rate:g} hits a second"
            )
        return cls(place, plan.name, rate, accounts, int(parsed.seed), users)

    @property
    def report(self) -> Path:
        """Where the page goes."""
        return Path(self.place.report.format(shape=self.shape))
