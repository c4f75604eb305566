"""How workers learn of flips: the change that travels, and the protocol every feed speaks.

SHARED: the collector imports it on its way to the first hit, so it loads the standard library and orjson alone.
`LedgerFeed` (`ledger_feed.py`) is the embedded form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from gating.status import Status, Verdict

TOPIC_ACCOUNTS: Final = "pixel.accounts"
KEYS_PER_ACCOUNT_MAX: Final = 1000
"""A change carries all of its account's keys, and must fit a Unix datagram (212,992 bytes by Linux's default)."""

VERSION_MAX: Final = 2**63 - 1
"""What the ledger's counter, 64 bits on either engine, can reach."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """One write key of the account. `revoked_at_us`: dropped from that instant on; None while it lives."""

    write_key: str
    revoked_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Everything a gate needs to know of one account, as of `version`. Applying it twice is harmless.

    version: the ledger's counter, unique to this change within the ledger's epoch.
    until_us, then: from `until_us` on (microseconds UTC) the verdict is `then`; both None where nothing is scheduled.
    final: the account is DELETED; nothing brings it back, so its hits drop even when no lease holds.
    """

    version: int
    account: str
    at_us: int
    status: Status
    verdict: Verdict
    until_us: int | None
    then: Verdict | None
    final: bool
    keys: tuple[KeyState, ...]

    def encode(self) -> bytes:
        """JSON, as it stands in the ledger, in datagrams and in `pixel.accounts`."""
        return orjson.dumps(
            {
                "version": self.version,
                "account": self.account,
                "at_us": self.at_us,
                "status": self.status,
                "verdict": self.verdict.name,
                "until_us": self.until_us,
                "then": None if self.then is None else self.then.name,
                "final": self.final,
                "keys": [[key.write_key, key.revoked_at_us] for key in self.keys],
            }
        )

    @classmethod
    def decode(cls, data: bytes | str) -> "StatusChange":
        """Inverse of `encode`. Raises ValueError for anything it would not have written."""
        return cls.of_json(orjson.loads(data))

    @classmethod
    def of_json(cls, d: Any) -> "StatusChange":
        """The change that `encode` wrote, read from JSON already. Raises ValueError as `decode` does."""
        try:
            change = cls(
                version=int(d["version"]),
                account=str(d["account"]),
                at_us=int(d["at_us"]),
                status=Status(d["status"]),
                verdict=Verdict[d["verdict"]],
                until_us=None if d["until_us"] is None else int(d["until_us"]),
                then=None if d["then"] is None else Verdict[d["then"]],
                final=bool(d["final"]),
                keys=tuple(KeyState(str(k), None if at is None else int(at)) for k, at in d["keys"]),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not a status change: {error!r}") from error
        if not 0 <= change.version <= VERSION_MAX:
            raise ValueError(f"not a status change: version {change.version} is outside 0 .. {VERSION_MAX}")
        return change


class Follower(Protocol):
    """What a feed moves: a gate, whose map stands at one version of one epoch and never moves backwards in it."""

    @property
    def epoch(self) -> str: ...

    @property
    def version(self) -> int: ...

    def restart(self, epoch: str) -> None:
        """Forget the map: the epoch changed, and its versions may mean other changes now."""

    def apply(self, change: StatusChange) -> None:
        """Take one account's state over, unless a newer one is already there."""

    def apply_page(self, changes: Sequence[bytes]) -> None:
        """Take many changes over at once, each as `StatusChange.encode` wrote it: what a load does, page by page.

        The same as decoding and applying one after the other, at a third of the cost. It holds the loop for some 3 us a
        change and 1 us a further key, so the caller bounds its pages (by bytes: an account may have many keys) and lets
        the loop go on between them. Raises ValueError for what is no change; those before it may have been taken over.
        """

    def stand(self, version: int) -> None:
        """Everything up to `version` has been applied."""

    def lease(self, until_boot_ns: int) -> None:
        """Hits may be verified until this instant of CLOCK_BOOTTIME."""

    def set_clock(self, now_us: int, at_boot_ns: int) -> None:
        """The feed's clock showed `now_us` (UTC) when CLOCK_BOOTTIME showed `at_boot_ns`."""


class Feed(Protocol):
    """Keeps one follower up to date until it is stopped; holds no hit up, whatever fails."""

    async def load(self) -> None:
        """Bring the follower to the newest map that can be had now; returns when it stands."""

    async def run(self) -> None:
        """Follow changes and renew the lease until cancelled."""
