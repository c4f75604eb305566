"""Timeline: what held for one write key, at any instant; pure. Settlement judges unverified hits by it (DESIGN 6).

A worker that was cut off stamped its hits by the last clock it was told, so an instant is uncertain by a second: every
change counts from a second before its own time, deadlines, keys made and keys revoked included. A hit received after
`--wait` returned is so never judged by the old status (I5).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gating.ledger.rows import HistoryRow
from gating.status import SECOND_US, Verdict

UNCERTAINTY_US: Final = SECOND_US


@dataclass(frozen=True, slots=True)
class Change:
    """From `at_us` on `verdict` holds; from `until_us` on, if it is set, `then`."""

    version: int
    at_us: int
    verdict: Verdict
    until_us: int | None
    then: Verdict | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """One write key's whole life. changes: its account's, by version, without those that moved no verdict."""

    account: str
    write_key: str
    created_at_us: int
    revoked_at_us: int | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What held for a hit: `version` is of the change that brought it, and 0 before there was one.

    account: empty for a key that no account has.
    """

    account: str
    verdict: Verdict
    version: int


UNKNOWN: Final = Held("", Verdict.DROP, 0)


def changes_of(rows: Iterable[HistoryRow]) -> tuple[Change, ...]:
    """The verdicts of an account, from its history rows by version. A change of keys alone moves none."""
    changes: list[Change] = []
    for row in rows:
        change = Change(row.version, row.at_us, row.verdict, row.until_us, row.then)
        last = changes[-1] if changes else None
        if last is None or (last.verdict, last.until_us, last.then) != (row.verdict, row.until_us, row.then):
            changes.append(change)
    return tuple(changes)


def standing_at(timeline: Timeline | None, received_at_us: int, uncertainty_us: int = UNCERTAINTY_US) -> Held:
    """What held for a hit received at that time. None, a key that nobody has, drops.

    Only as good as the timeline is complete: see `Ledger.await_writers`.
    """
    if timeline is None:
        return UNKNOWN
    instant_us = received_at_us + uncertainty_us
    change = _last_change(timeline.changes, instant_us)
    if change is None or instant_us < timeline.created_at_us:
        return Held(timeline.account, Verdict.DROP, 0)
    if timeline.revoked_at_us is not None and instant_us >= timeline.revoked_at_us:
        return Held(timeline.account, Verdict.DROP, change.version)
    if change.until_us is not None and change.then is not None and instant_us >= change.until_us:
        return Held(timeline.account, change.then, change.version)
    return Held(timeline.account, change.verdict, change.version)


def _last_change(changes: tuple[Change, ...], instant_us: int) -> Change | None:
    # From the end: hits are settled soon after they came, so the first look nearly always finds it.
    return next((change for change in reversed(changes) if change.at_us <= instant_us), None)
