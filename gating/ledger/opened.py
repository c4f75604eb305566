"""Opened: what one write transaction holds and reads, and how it ends; `transaction.py` adds what it changes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, select, update

from gating.clock import Reading
from gating.heartbeat import Heartbeat
from gating.ledger import activity, beat, tables
from gating.ledger.activity import Activity
from gating.ledger.book import Book, Loaded
from gating.ledger.rows import AccountRow, KeyRow, no_account

# On PostgreSQL this locks the counter; SQLite's BEGIN IMMEDIATE has locked the file already.
_COUNTER: Final = select(tables.meta).with_for_update()
_MOVE_HEAD: Final = update(tables.meta)

UNREAD: Final = Heartbeat(Reading(0, "", 0), 0)
"""In place of a heartbeat that nobody has asked for: most transactions need none."""


class Opened:
    """On a connection whose write transaction has just begun. Not for two threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        row = connection.execute(_COUNTER).one()
        self.epoch: str = row.epoch
        self._head: int = row.head
        self._chain: bytes = row.chain
        self._book = Book(connection)
        self._beat: Heartbeat | None = UNREAD

    # ---- reading --------------------------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """For rows of other tables that must stand or fall with these changes."""
        return self._connection

    @property
    def head(self) -> int:
        """The newest version, this transaction's own changes included."""
        return self._head

    def find(self, account: str) -> AccountRow | None:
        """The account as it stands in this transaction, or None."""
        loaded = self._book.get(account)
        return None if loaded is None else loaded.row

    def account(self, account: str) -> AccountRow:
        """The account as it stands in this transaction. Raises NotFound."""
        return self._existing(account).row

    def keys(self, account: str) -> list[KeyRow]:
        """Its write keys, revoked ones too, oldest first. Raises NotFound."""
        return list(self._existing(account).keys)

    def load(self, accounts: Iterable[str]) -> None:
        """Read these accounts (or that they do not exist) with few statements, ahead of many changes."""
        self._book.load(accounts)

    def heartbeat(self) -> Heartbeat | None:
        """The leading service's last heartbeat; None before the first."""
        if self._beat is UNREAD:
            self._beat = beat.read(self._connection)
        return self._beat

    def activity(self, account: str, now_us: int) -> Activity:
        """What the consumers have reported of the account."""
        return activity.of_account(self._connection, account, now_us)

    # ---- its end --------------------------------------------------------------------------------------------------

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A block of changes that stands or falls by itself: an error undoes it, and leaves all that was before it."""
        self.finish()
        before = self._head, self._chain
        try:
            with self._connection.begin_nested():
                yield
                self.finish()
        except BaseException:
            self._head, self._chain = before
            self._book = Book(self._connection)
            raise

    def next_version(self) -> int:
        """The version that the next change will get; nobody else can get it while this transaction runs."""
        return self._head + 1

    def finish(self) -> None:
        """Write what is still in memory; `Ledger.begin` calls it before it commits."""
        if not self._book.is_clean:
            self._book.write()
            self._connection.execute(_MOVE_HEAD, {"head": self._head, "chain": self._chain})

    def _existing(self, account: str) -> Loaded:
        loaded = self._book.get(account)
        if loaded is None:
            raise no_account(account)
        return loaded
