"""Accounts' last activity, as the consumers report it, and up to when all of it is known. Reached as `Ledger.activity`.

Reports stand beside the accounts: whoever carries a deadline on activity out looks here when it comes
(`gating/deadlines.py`), so that neither a hit nor a report touches what flips write.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, select, text

from gating.ledger.retry import noted
from gating.ledger.store import Store
from gating.ledger.tables import activity, activity_reporters
from gating.status import DAY_US

SILENT_US: Final = DAY_US
"""A reporter that has been silent for this long counts no more: its partitions went to others, or nothing is known."""
FUTURE_US: Final = DAY_US
"""A report from farther ahead is one of a wrong clock: it counts for nothing."""

# Portable SQL that SQLAlchemy has no portable words for (SQLite 3.24, PostgreSQL 9.5). A report that comes late or
# twice moves nothing back.
_LATER: Final = text(
    "INSERT INTO activity (account, at_us) VALUES (:account, :at_us) "
    "ON CONFLICT (account) DO UPDATE SET at_us = excluded.at_us WHERE excluded.at_us > activity.at_us"
)
# Not the later of both: a consumer whose clock stood ahead must not have known the future for ever.
_REPORTED: Final = text(
    "INSERT INTO activity_reporters (place, until_us, seen_at_us) VALUES (:place, :until_us, :seen_at_us) "
    "ON CONFLICT (place) DO UPDATE SET until_us = excluded.until_us, seen_at_us = excluded.seen_at_us"
)


@dataclass(frozen=True, slots=True)
class Activity:
    """at_us: when the newest known kept hit of an account was received; 0 for none. known_us: hits received before
    it are all known; 0 where none are."""

    at_us: int
    known_us: int


class ActivityRows:
    """One ledger's. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, newest: Mapping[str, int]) -> None:
        """Keep when each account's newest kept hit was received. Late or twice is harmless. Raises Unstorable."""
        # In one order, so that two reporters never wait for each other in a circle.
        rows = [{"account": account, "at_us": at_us} for account, at_us in sorted(newest.items())]
        if rows:
            noted(self._store, lambda connection: connection.execute(_LATER, rows))

    def note_known(self, place: str, until_us: int, now_us: int) -> None:
        """All hits received before `until_us` that this reporter's sources held have been noted."""
        values = {"place": place, "until_us": until_us, "seen_at_us": now_us}
        noted(self._store, lambda connection: connection.execute(_REPORTED, values))

    def reported_us(self, place: str) -> int:
        """Up to when this reporter has noted all; 0 where it never has."""
        wanted = select(activity_reporters.c.until_us).where(activity_reporters.c.place == place)
        with self._store.reading() as connection:
            return int(connection.execute(wanted).scalar() or 0)

    def known_us(self, now_us: int) -> int:
        """Up to when all activity is known: each reporter asks every place that may hold hits, so the one that knows
        most counts. 0 where nothing is known."""
        with self._store.reading() as connection:
            return known_us(connection, now_us)

    def of(self, account: str, now_us: int) -> Activity:
        """What is known of one account."""
        with self._store.reading() as connection:
            return of_account(connection, account, now_us)


def known_us(connection: Connection, now_us: int) -> int:
    """As `ActivityRows.known_us`."""
    row = activity_reporters.c
    heard = select(func.max(row.until_us)).where(
        row.seen_at_us > now_us - SILENT_US, row.seen_at_us < now_us + FUTURE_US
    )
    return min(int(connection.execute(heard).scalar() or 0), now_us)


def of_account(connection: Connection, account: str, now_us: int) -> Activity:
    """As `ActivityRows.of`."""
    at_us = connection.execute(select(activity.c.at_us).where(activity.c.account == account)).scalar()
    return Activity(min(int(at_us or 0), now_us), known_us(connection, now_us))


def erase(connection: Connection, account: str) -> None:
    """Forget when the account was last active; with its receipt."""
    connection.execute(delete(activity).where(activity.c.account == account))
