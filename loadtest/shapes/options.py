"""The options that this locustfile adds to locust's own. They stand in the web UI's form as well."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.shapes.catalogue import PLANS, STEADY

ACCOUNTS: Final = 50
SEED: Final = 1
REPORT: Final = "build/loadtest/{shape}.html"


def add(parser: Any) -> None:
    """Add them to locust's parser."""
    put = parser.add_argument
    put(
        "--shape",
        choices=list(PLANS),
        default=STEADY,
        env_var="LOADTEST_SHAPE",
        help="what to play: " + ", ".join(f"{plan.name} ({plan.title})" for plan in PLANS.values()),
    )
    put(
        "--rate",
        type=float,
        default=0.0,
        env_var="LOADTEST_RATE",
        help="hits a second of all browsers together (0: the shape's own)",
    )
    put(
        "--accounts",
        type=int,
        default=ACCOUNTS,
        env_var="LOADTEST_ACCOUNTS",
        help=f"accounts to make and spread the hits over ({ACCOUNTS})",
    )
    put(
        "--write-keys",
        default="",
        env_var="LOADTEST_WRITE_KEYS",
        help="write keys to use instead: a file with one a line, or the keys with commas between",
    )
    put(
        "--data",
        default="",
        env_var="LOADTEST_DATA",
        help="data directory of a Pixelgate on this host: accounts, verify and export go by it",
    )
    put(
        "--admin",
        default="",
        env_var="LOADTEST_ADMIN",
        help="URL of the admin port, http://127.0.0.1:8081: its counters, and with --token accounts and flips",
    )
    put("--token", default="", env_var="LOADTEST_TOKEN", is_secret=True, help="an operator's bearer token for it")
    put("--seed", type=int, default=SEED, env_var="LOADTEST_SEED", help=f"of everything that is drawn ({SEED})")
    put("--report", default=REPORT, env_var="LOADTEST_REPORT", help=f"the page to write ({REPORT})")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options as they stand at a run's start, read once: the web UI may have changed any of them."""

    shape: str
    rate: float
    accounts: int
    write_keys: str
    data: Path | None
    admin: str | None
    token: str | None
    seed: int
    report: Path
    users: int

    @classmethod
    def read(cls, parsed: Any) -> "Chosen":
        """Read locust's parsed options. Raises ValueError for what cannot be meant."""
        if parsed.shape not in PLANS:
            raise ValueError(f"there is no shape {parsed.shape!r}; there are {', '.join(PLANS)}")
        plan = PLANS[parsed.shape]
        rate, accounts, users = (
            float(parsed.rate) or plan.rate,
            int(parsed.accounts),
            int(parsed.num_users or plan.users),
        )
        if rate < 0 or accounts < 1 or users < plan.users_min:
            raise ValueError(
                f"{plan.name} needs {plan.users_min} users or more, an account and a rate: "
                f"got {users} users, {accounts} accounts, {rate:g} hits a second"
            )
        data = Path(parsed.data).expanduser() if parsed.data else None
        if data is not None and not data.is_dir():
            raise ValueError(f"--data {data}: there is no such directory")
        return cls(
            plan.name, rate, accounts, parsed.write_keys, data, parsed.admin.rstrip("/") or None, parsed.token or None,
            int(parsed.seed), Path(parsed.report.format(shape=plan.name)), users,
        )  # fmt: skip

    def keys(self) -> list[str]:
        """Read the write keys that were given; none gives none. Raises ValueError for an empty file."""
        if not self.write_keys:
            return []
        file = Path(self.write_keys)
        keys = file.read_text(encoding="utf-8").split() if os.path.exists(file) else self.write_keys.split(",")
        if not all(keys):
            raise ValueError(f"--write-keys {self.write_keys!r} holds an empty key")
        return keys
