"""What the ledger hands out: plain values, made from its rows. Times are microseconds UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson
from sqlalchemy import Row

from gating.account import Account
from gating.errors import NotFound
from gating.feed import KeyState
from gating.status import Access, Role, Status, Verdict


@dataclass(frozen=True, slots=True)
class Who:
    """Who changes something, for the history.

    id: of the person, token or process; never a name or an address. on_behalf: on whose request, `role` or
    `role:person`; the person goes into the erasable details.
    """

    id: str
    role: Role
    on_behalf: str | None = None


SYSTEM: Final = Who("system", Role.SYSTEM)
"""Deadlines that come, and whatever else nobody asked for."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the ledger stands: versions mean something within one epoch alone."""

    epoch: str
    version: int


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as of its newest change, keys' included: deadlines that came since are not yet in it.

    revealed_version: the newest change into an ACCEPT status; hidden events of a lower version are visible.
    """

    account: Account
    verdict: Verdict
    access: Access
    version: int
    revealed_version: int
    created_at_us: int

    @property
    def id(self) -> str:
        return self.account.id

    @property
    def status(self) -> Status:
        return self.account.status

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of `accounts`."""
        return cls(
            account=Account.from_json(row.state),
            verdict=Verdict(row.verdict),
            access=Access(row.access),
            version=row.version,
            revealed_version=row.revealed_version,
            created_at_us=row.created_at_us,
        )


@dataclass(frozen=True, slots=True)
class Come:
    """An account whose stored deadline has come. state: `account.Account` as JSON, unread: most are only passed on."""

    id: str
    at_us: int
    state: str

    @property
    def account(self) -> Account:
        """The account."""
        return Account.from_json(self.state)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One write key. source: what it is for, as its account calls it. revoked_at_us may lie ahead (a grace)."""

    write_key: str
    account: str
    source: str | None
    created_at_us: int
    created_version: int
    revoked_at_us: int | None

    @property
    def state(self) -> KeyState:
        """As it travels to the gates."""
        return KeyState(self.write_key, self.revoked_at_us)

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of `keys`."""
        return cls(
            write_key=row.write_key,
            account=row.account,
            source=row.source,
            created_at_us=row.created_at_us,
            created_version=row.created_version,
            revoked_at_us=row.revoked_at_us,
        )


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One change, as it was recorded and chained. Everything but `details` is covered by `digest`.

    from_status: None for an account's first. status: the account's own afterwards; another than `to_status` where the
    command acted on what lies beneath. keys: the write keys it touched, as they were afterwards.
    details: what was written beside it (reason, feedback, owner ...); empty once erased.
    """

    version: int
    account: str
    at_us: int
    command: str
    actor: str
    role: str
    on_behalf: str | None
    from_status: Status | None
    to_status: Status
    status: Status
    verdict: Verdict
    access: Access
    until_us: int | None
    then: Verdict | None
    effects: tuple[str, ...]
    keys: tuple[KeyState, ...]
    state_digest: bytes
    previous: bytes
    digest: bytes
    details: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Row[Any], details: Mapping[str, str] | None = None) -> Self:
        """From a row of `history`. Raises ValueError or TypeError where it was tampered with."""
        return cls(
            version=row.version,
            account=row.account,
            at_us=row.at_us,
            command=row.command,
            actor=row.actor,
            role=row.role,
            on_behalf=row.on_behalf,
            from_status=None if row.from_status is None else Status(row.from_status),
            to_status=Status(row.to_status),
            status=Status(row.status),
            verdict=Verdict(row.verdict),
            access=Access(row.access),
            until_us=row.until_us,
            then=None if row.then_verdict is None else Verdict(row.then_verdict),
            effects=tuple(orjson.loads(row.effects)),
            keys=tuple(KeyState(key, at) for key, at in orjson.loads(row.keys)),
            state_digest=row.state_digest,
            previous=row.previous,
            digest=row.digest,
            details=details or {},
        )


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Something owed because of a change: `kind` is CHANGE (payload: the StatusChange) or an effect's name (payload:
    its arguments as JSON). `id` grows with the order in which it came to be."""

    id: int
    version: int
    account: str
    at_us: int
    kind: str
    payload: bytes


CHANGE: Final = "change"


def no_account(account: str) -> NotFound:
    """What to tell whoever asks for an account that there is not."""
    return NotFound(f"there is no account {account[:80]!r}; `pixelgate account list` shows those there are")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the ledger that cannot have come from the ledger.

    version: of the history row meant (of a refusal: its sequence), 0 for none. account: whose row it is, or was; None
    where nothing tells. what: altered, removed, moved, added, replaced, rewritten, differs. of: history, refusals or
    projections.
    """

    version: int
    message: str
    account: str | None = None
    what: str = "altered"
    of: str = "history"
