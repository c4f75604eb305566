"""Warehouse: what the consumers ask of the place where events end up, whichever engine it is.

Written to by `materialise.py` and `settle.py` through the loop, read by `reports.py`, `export.py` and the server. A
warehouse stores, counts and deletes; which events an account may see was decided by the `View` it is handed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from collector.event import Event
from consumers.source import Missing, Part
from gating.status import DAY_US, Access, Verdict

DUPLICATE_WINDOW_US: Final = DAY_US
"""A tracker's retry is looked for this far to both sides. CLIENTS: the longest retry schedules end after an hour, but a
browser's queue in local storage is sent with its next visit; a day catches the usual one."""

GROUPS_MAX: Final = 1000
"""How many pages, names or referrers a report lists, largest first; days are never cut."""


class Audience(StrEnum):
    """For whom data is read."""

    ACCOUNT = "account"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class View:
    """What a reader may see of one account, fixed before the warehouse is asked (I11).

    revealed_version: a hidden event is visible if, and only if, its version is below this.
    keys: the account's write keys, for unverified events whose worker did not know the account yet.
    allowance: how many tracked users a month its plan includes; None where its rulebook names no number.
    """

    account: str
    audience: Audience
    access: Access
    revealed_version: int
    keys: tuple[str, ...] = ()
    allowance: int | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """Events received at `from_us` or later and before `to_us`, microseconds UTC."""

    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """From `since_us` on, until the same key's next ruling, an unverified hit of `write_key` meets this fate."""

    write_key: str
    since_us: int
    account: str
    verdict: Verdict
    version: int


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Unverified events of one write key that are old enough to be settled."""

    write_key: str
    first_us: int
    last_us: int
    events: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What one settlement did to how many events."""

    visible: int = 0
    hidden: int = 0
    gone: int = 0
    duplicates: int = 0

    @property
    def events(self) -> int:
        return self.visible + self.hidden + self.gone + self.duplicates


@dataclass(frozen=True, slots=True)
class Stored:
    """What one append did: rows kept (verified and not), a client's retries that were counted instead, and events of
    purged accounts, which were counted and refused."""

    events: int = 0
    unverified: int = 0
    duplicates: int = 0
    purged: int = 0


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An account whose data goes and never comes back (I8), with all its write keys: by them it is known which hits are
    its, of those that a worker kept which did not know the account yet."""

    account: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remains:
    """What a warehouse still holds of one account."""

    events: int = 0
    unverified: int = 0

    @property
    def total(self) -> int:
        return self.events + self.unverified


@dataclass(frozen=True, slots=True)
class Counts:
    """The figures of a report; groups are (value, events), largest first, days in order."""

    visible: int
    hidden: int
    unverified: int
    by_name: list[tuple[str | None, int]]
    by_day: list[tuple[str, int]]
    by_page: list[tuple[str | None, int]]
    by_referrer: list[tuple[str | None, int]]
    visitors: int
    mtu: int


class Warehouse(Protocol):
    """Each method is one transaction: all of it or, with WarehouseFailed, nothing. One thread writes; `reader()` gives
    others their own way in."""

    def highest(self) -> Mapping[str, int]:
        """Return for each stream the highest sequence that was covered; at or below it nothing is taken again."""

    def append(self, parts: Sequence[Part], missing: Sequence[Missing], again: Sequence[Event | bytes] = ()) -> Stored:
        """Take the parts' events and their highest sequences, both or neither (I10). The parts hold nothing at or
        below the streams' highest sequence: the caller has cut that off.

        again: events that may have come before and keep to no order (dead letters sent again, `revealed_at`, what is
        replayed after partitions were added), as Part.events holds them. Each is looked up by id and taken only where
        no such event was ever taken: not where it is here, settled or not, nor where it was settled away or a client's
        retry, for those ids are kept. A later part's event with an id that was taken so is passed over. What is not
        taken is in no count of Stored."""

    def unsettled(self, before_us: int, keys_max: int) -> list[Unsettled]:
        """Return write keys with unverified events received before `before_us`, oldest first, at most `keys_max`."""

    def settle(self, rulings: Sequence[Ruling], before_us: int, events_max: int) -> Settled:
        """Settle up to `events_max` unverified events received before `before_us` of the rulings' keys: each by the
        last ruling of its key at or before its `received_at`. The first ruling of a key must lie before all of them."""

    def unannounced(self, limit: int) -> list[Event]:
        """Return up to `limit` events that were settled as ACCEPT and not announced yet, in order of reception. Their
        ids are kept, in settlement's own transaction, only where the warehouse was opened with `announces=True`."""

    def announced(self, ids: Sequence[str]) -> None:
        """Forget that these events (Event.id) are to be announced; ids that are not waiting are passed over."""

    def unverified(self, until_us: int) -> int:
        """Return how many unverified events were received at or before `until_us`."""

    def tombstones(self) -> frozenset[str]:
        """Return the accounts whose events are refused here."""

    def remains(self, tombstones: Sequence[Tombstone]) -> Mapping[str, Remains]:
        """Return what is there of each account, by a query of its own."""

    def purge(self, tombstones: Sequence[Tombstone]) -> bool:
        """Delete what is there of these accounts, for good: from the first moment on no event of theirs is taken any
        more, by whomever. What is deleted or refused is counted under `purged`, each event once.

        Return whether its bytes are gone from the warehouse's files too; if not, ask again a little later. Dying at any
        point, and calling it again with the same or with more accounts, comes to the same."""

    def write_off(self, ids: Sequence[str]) -> None:
        """Count these events (Event.id) under `purged`, that lay somewhere else and will never come: dead letters of a
        purged account. One that is counted already is passed over."""

    def sums(self) -> dict[str, Any]:
        """Return, for `verify`: journals {id: {highest, events, unverified, <reason>: n}}, streams, missing ranges."""

    def reader(self) -> "WarehouseReader":
        """Open another way in, for one thread at a time, that sees whole transactions only."""

    def close(self) -> None:
        """Flush and let go of the files. Idempotent."""


class WarehouseReader(Protocol):
    """Reads for reports and exports. Every method shows what `view` allows, and nothing else (I11)."""

    def counts(self, view: View, period: Period, month: Period) -> Counts:
        """Return a report's figures over `period`; `mtu` counts distinct visitors over `month`."""

    def events(self, view: View, period: Period) -> Iterator[Event]:
        """Stream events in order of reception, in bounded memory."""

    def write_parquet(self, view: View, period: Period, path: Path) -> int:
        """Write the same events as a Parquet file at `path`; return how many."""

    def active(self, since_us: int, after: str, limit: int) -> list[tuple[str, int]]:
        """Return accounts beyond `after`, in order of their ids' bytes, with when the newest of their settled events
        was received, of those received at `since_us` or later; at most `limit`. For no person's eyes: hidden events
        count like others."""

    def close(self) -> None:
        """Let go. Idempotent."""
