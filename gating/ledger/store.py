"""Store: what the ledger asks of its engine: transactions that read, transactions that write, and an end to wait for.

`sqlite.py` and `postgres.py` are its two forms, `engines.py` picks one by a URL; nothing outside gating/ledger may know
which. Every method raises Unreachable where the engine does not answer within its bounds.
"""

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from gating.errors import InputInvalid, Unreachable


class Turn(StrEnum):
    """Whom a write transaction waits for: all others of its kind, at least.

    CHANGE: changes of accounts, dated inside their transaction; `await_writers` waits for these.
    NOTE: the lead's row, what was delivered or relayed; a long sweep must not keep a leader from renewing its term.
    """

    CHANGE = "change"
    NOTE = "note"


class Channel(StrEnum):
    """What a committed transaction wakes others by; the names are seen in the database."""

    CHANGES = "pixelgate_changes"
    ENFORCED = "pixelgate_enforced"


class Conflict(Unreachable):
    """The engine undid the whole transaction in favour of another one: nothing was changed, and it may be run again."""

    code = "conflict"


class Unstorable(InputInvalid):
    """A text that no column can hold: one with a NUL character, or with half of a surrogate pair."""

    def __init__(self) -> None:
        super().__init__("a text with a NUL character, or that is not valid Unicode, cannot be stored")


def is_storable(text: str) -> bool:
    """Tell whether either engine can hold the text. PostgreSQL holds no NUL, so SQLite is given none either."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


class Store(Protocol):
    """One ledger's tables. Threads may share it; each transaction keeps to one thread."""

    def reading(self) -> AbstractContextManager[Connection]:
        """One short read transaction: a snapshot, whatever is committed meanwhile."""

    def writing(self, turn: Turn = Turn.CHANGE) -> AbstractContextManager[Connection]:
        """One write transaction, alone of its turn from its first statement on: it reads what the one before committed.

        Commits at the end, rolls back on any error. Raises Conflict too. Where an error does not say that nothing was
        changed, the commit may have taken effect: look at the head.
        """

    def migrating(self) -> AbstractContextManager[Connection]:
        """One write transaction for the schema: alone of every turn, with time for long statements."""

    def await_writers(self) -> None:
        """Wait until every transaction of Turn.CHANGE that began before the call has ended; needs no right to write."""

    def tell(self, connection: Connection, channel: Channel, word: str) -> None:
        """Wake those who listen to the channel once this write transaction has committed, and only then."""

    def close(self) -> None:
        """Close the idle connections; to be called when no transaction runs."""
