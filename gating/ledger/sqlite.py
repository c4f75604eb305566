"""SQLite as the ledger's engine: how its file is opened, how transactions begin, what its errors mean to a caller.

The rollback journal, never WAL: SQLite 3.40.1, which Debian 12 ships, carries the WAL-reset bug. The price is that a
reader holds a commit up for as long as it reads, so every read here is short, and long ones go in pages.

A process that has the ledger open must not open and close its file in any other way: POSIX locks belong to the
process, and closing any descriptor of the file drops them (sqlite.org/howtocorrupt.html, 2.2).
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DisconnectionError, IntegrityError, ProgrammingError
from sqlalchemy.pool import QueuePool

from gating.errors import InputInvalid, Unreachable
from gating.ledger.store import Channel, Turn, Unstorable

BUSY_MS: Final = 5_000
"""How long a statement waits for the file's lock; a flip takes milliseconds, so who holds it longer is stuck."""
_WRITE: Final = "pixelgate_write"


def sqlite_url(path: Path) -> str:
    """The URL of a ledger file, for `Ledger.open`; the path may hold any character."""
    return URL.create("sqlite", database=str(path.absolute())).render_as_string(hide_password=False)


def path_of(url: str) -> Path:
    """The file a URL names. Raises InputInvalid for another engine's URL and for one without a file."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InputInvalid("the ledger's URL does not read: expected sqlite:////absolute/path") from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        raise InputInvalid(
            f"the ledger's URL has scheme {parsed.drivername!r}: expected sqlite:////absolute/path, with a file"
        )
    return Path(parsed.database)


class SQLiteStore:
    """One ledger file and its connections: `store.Store` for one machine."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._read_only = read_only
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=QueuePool)
        self._writers = threading.Lock()  # SQLite's own waiting sleeps in steps of up to 100 ms; threads need not
        event.listen(self._engine, "begin", _begin)
        if read_only:
            event.listen(self._engine, "checkout", self._check_file)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One short read transaction: a snapshot. Raises Unreachable."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, turn: Turn = Turn.CHANGE) -> Iterator[Connection]:  # noqa: ARG002  one lock for every turn
        """One write transaction, alone from its first statement on; commits at the end, rolls back on any error.

        The file has one lock, so every turn waits for every other. Raises Unreachable; where that speaks of a lock
        nothing was changed, elsewhere look at the head.
        """
        if not self._writers.acquire(timeout=BUSY_MS / 1000):
            raise self._locked()
        try:
            with self._translated(), self._engine.connect() as connection:
                connection.execution_options(**{_WRITE: True})  # of this checkout alone
                with connection.begin():
                    yield connection
        finally:
            self._writers.release()

    def await_writers(self) -> None:
        """Wait until no write transaction runs; the lock is taken and given back at once, and nothing is written.

        Raises Unreachable, for a file that this process may not write too.
        """
        with self._translated():
            pooled = self._engine.raw_connection()
            try:
                cursor = pooled.cursor()
                cursor.execute("PRAGMA query_only = OFF")  # under it not even the lock can be had
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                    cursor.execute("ROLLBACK")
                finally:
                    cursor.execute(f"PRAGMA query_only = {int(self._read_only)}")
            finally:
                pooled.close()

    def migrating(self) -> AbstractContextManager[Connection]:
        """One write transaction; none of its statements is cut short."""
        return self.writing()

    def tell(self, connection: Connection, channel: Channel, word: str) -> None:
        """Nobody: the gating process is the file's only writer, and knows of its own commits."""

    def close(self) -> None:
        """Close the idle connections; to be called when no transaction runs."""
        self._engine.dispose()

    def _connect(self) -> "_Connection":
        file = _identity(self.path)  # before it is opened: a file put there in between is met as another one
        # A reader opens for writing too, with `query_only`: a file opened read-only could not have the journal rolled
        # back that a killed writer left, and would stay unreadable until somebody wrote. Never `rwc`: it makes files.
        connection = sqlite3.connect(
            f"file:{_quoted(self.path)}?mode=rw",
            uri=True,
            timeout=BUSY_MS / 1000,
            isolation_level=None,  # BEGIN is ours to say: `_begin` below
            check_same_thread=False,  # the pool hands a connection to one thread at a time
            factory=_Connection,
        )
        connection.file = file
        try:
            _prepare(connection, self._read_only)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _check_file(self, connection: "_Connection", *_: object) -> None:
        """A reader follows the name: the history of a file that was moved away or replaced is nobody's truth any more.

        A writer need not: SQLite refuses to write to a file that was moved.
        """
        if connection.file != _identity(self.path):
            raise DisconnectionError(f"{self.path} is another file by now")  # the pool then opens that one

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise  # a broken constraint or statement is a bug, and stays what it is
        except DatabaseError as error:
            raise self._unreachable(error.orig) from error
        except sqlite3.Error as error:
            raise self._unreachable(error) from error
        except UnicodeEncodeError as error:
            raise Unstorable from error

    def _unreachable(self, error: BaseException | None) -> Unreachable:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._locked()
        # Not "nothing was changed": an I/O error at the very end of a commit may come after it took effect.
        return Unreachable(f"the ledger {self.path} cannot be used: {error}")

    def _locked(self) -> Unreachable:
        return Unreachable(
            f"the ledger {self.path} stayed locked for {BUSY_MS / 1000:g} s: nothing was changed; "
            "look for a stopped or stuck pixelgate process and try again"
        )


class _Connection(sqlite3.Connection):
    """A connection that knows which file it opened."""

    file: tuple[int, int] | None = None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands under the name: device and inode; None where none does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare(connection: sqlite3.Connection, read_only: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return
    mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    if mode != "delete":
        raise sqlite3.OperationalError(f"its journal mode stays {mode!r}: another program holds it open in that mode")
    connection.execute("PRAGMA synchronous = FULL")  # a commit that was answered survives a power cut
    connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten (I12)


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE, False)
    # A plain BEGIN would take the write lock at the first write: too late, since what was read before may be stale.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def create_private(path: Path) -> None:
    """Make the file, readable by its owner alone (it holds addresses), unless it is there. Raises Unreachable."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise Unreachable(f"the ledger {path} cannot be made: {error.strerror}") from error


def _quoted(path: Path) -> str:
    # SQLite takes `?` and `#` in a `file:` name as the URI's own (sqlite.org/uri.html).
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
