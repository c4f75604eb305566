"""PostgreSQL as the ledger's engine: its connections, how transactions begin, who waits for whom.

A writer's first statement takes an advisory lock and only then is anything read. Under READ COMMITTED every later
statement has a snapshot of its own, so it sees what the writer before committed; under REPEATABLE READ the snapshot
would be the first statement's, taken before the wait, and the counter's row could no longer be locked. The counter is
locked as well (`transaction.py`): versions stay unique even if the advisory lock were to be passed by.

`await_writers` takes the same lock shared, which needs no right on any table. PostgreSQL gives a transaction's locks
back after it has become visible, and queues in the order of asking, so nobody is overtaken for ever.
"""

import select
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from gating.errors import DataDirectoryUnknown, Unreachable
from gating.ledger.conninfo import connection_parameters, place_of
from gating.ledger.postgres_errors import told
from gating.ledger.store import Channel, Turn, Unstorable

T = TypeVar("T")

LOCK_SECONDS: Final = 5
"""How long a transaction waits for its turn: SQLite's figure (`sqlite.BUSY_MS`); a flip takes milliseconds."""
IDLE_SECONDS: Final = 10
"""How long a transaction may go without a statement: a process that is frozen inside one is cut off, so that others get
their turn. The longest honest pause is 10,000 changes decided between two statements: a second, several on a machine
that is busy."""
STATEMENT_SECONDS: Final = 15
"""A page or a batch takes milliseconds, and a statement's time counts its wait for a lock."""
ANSWER_SECONDS: Final = 20.0
"""How long this side waits for an answer: a server that is frozen, or whose disk hangs, can keep no promise of its
own."""
MIGRATION_SECONDS: Final = 3_600
"""One statement of a migration: it may rewrite the history."""
if not LOCK_SECONDS < STATEMENT_SECONDS < ANSWER_SECONDS:
    raise ValueError("each bound must tell its own story, so a shorter one may not hide behind a longer one")

CONNECTIONS_MAX: Final = 10
"""Of one process: twice what its threads can use at once (a transaction, and a question asked within it)."""


def _lock_number(name: str) -> int:
    """An advisory lock's number; the upper half says whose, since the whole database shares the numbers."""
    return zlib.crc32(b"pixelgate ledger") >> 1 << 32 | zlib.crc32(name.encode())


_LOCKS: Final = {turn: _lock_number(turn) for turn in Turn}
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"  # one snapshot for every statement of the block
_AWAIT: Final = f"BEGIN READ ONLY; SELECT pg_advisory_xact_lock_shared({_LOCKS[Turn.CHANGE]})"
_WRITE: Final = {
    turn: f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({lock})"
    for turn, lock in _LOCKS.items()
}
_MIGRATE: Final = "; ".join(
    [_WRITE[Turn.CHANGE], f"SELECT pg_advisory_xact_lock({_LOCKS[Turn.NOTE]})",
     f"SET LOCAL statement_timeout = '{MIGRATION_SECONDS}s'"]
)  # fmt: skip
_BEGIN: Final = "pixelgate_begin"
_NOTIFY: Final = text("SELECT pg_notify(:channel, :word)")


class PostgresStore:
    """One ledger's schema in a PostgreSQL database, and this process's connections to it: `store.Store` for many hosts.

    Connections are made when they are needed, so opening one reaches no server.
    """

    def __init__(self, url: str, *, read_only: bool) -> None:
        """Raises InputInvalid."""
        self._parameters = connection_parameters(url)
        self.place = place_of(self._parameters)
        self._read_only = read_only
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_size=CONNECTIONS_MAX // 2,
            max_overflow=CONNECTIONS_MAX // 2,
            pool_timeout=LOCK_SECONDS,
            use_native_hstore=False,  # else a look-up at the first connection, for a type that no table has
            hide_parameters=True,  # an error that is a bug is logged: without people's names in it
        )
        event.listen(self._engine, "begin", _begin)
        event.listen(self._engine, "checkout", _check)

    def reading(self) -> AbstractContextManager[Connection]:
        """One short read transaction: a snapshot. Raises Unreachable."""
        return self._transaction(_READ)

    @contextmanager
    def writing(self, turn: Turn = Turn.CHANGE) -> Iterator[Connection]:
        """One write transaction, alone of its turn; commits at the end, rolls back on any error.

        Raises Conflict; Unreachable, which says that nothing was changed where that is known.
        """
        if self._read_only:
            raise Unreachable(f"the ledger {self.place} was opened for reading alone: nothing was changed")
        with self._transaction(_WRITE[turn]) as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """One write transaction of every turn, whose statements may take MIGRATION_SECONDS each."""
        with self._transaction(_MIGRATE) as connection:
            driver = cast("_Connection", connection.connection.dbapi_connection)
            driver.answer_seconds = MIGRATION_SECONDS + ANSWER_SECONDS
            try:
                yield connection
            finally:
                del driver.answer_seconds  # back to what holds for all

    def await_writers(self) -> None:
        """Wait until every change that was begun before the call is committed or gone. Raises Unreachable."""
        with self._transaction(_AWAIT):
            pass

    def tell(self, connection: Connection, channel: Channel, word: str) -> None:
        """Wake the channel's listeners when this transaction commits."""
        connection.execute(_NOTIFY, {"channel": channel.value, "word": word})

    def close(self) -> None:
        """Close the idle connections; to be called when no transaction runs."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._translated(), self._engine.connect() as connection:
            connection.execution_options(**{_BEGIN: begin})  # of this checkout alone
            with connection.begin():
                yield connection

    def _connect(self) -> "_Connection":
        connection = _Connection.connect(**self._parameters, autocommit=True)  # BEGIN is ours to say: `_begin` below
        try:
            _prepare(connection, read_only=self._read_only)
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise DataDirectoryUnknown(
                    f"the ledger {self.place} lies in a database with encoding {encoding!r}: "
                    "make one with ENCODING 'UTF8'"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if (meaning := told(error.orig, self.place)) is None:
                raise  # a broken constraint or statement is a bug, and stays what it is
            raise meaning from error
        except psycopg.Error as error:
            if (meaning := told(error, self.place)) is None:
                raise
            raise meaning from error
        except PoolTimeoutError as error:
            raise Unreachable(
                f"all {CONNECTIONS_MAX} connections of this process to {self.place} stayed in use: nothing was changed"
            ) from error
        except UnicodeEncodeError as error:
            raise Unstorable from error


class _Connection(psycopg.Connection[Any]):
    """A connection that waits for no answer for ever."""

    answer_seconds: float = ANSWER_SECONDS

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """As psycopg waits, within `answer_seconds`."""
        try:
            return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()  # an answer may come yet: not to the next question
            raise


def _prepare(connection: psycopg.Connection[Any], *, read_only: bool) -> None:
    """Bound every wait; see one schema alone; have a commit that was answered survive a crash, whatever the server's
    default."""
    settings = [
        f"SET statement_timeout = '{STATEMENT_SECONDS}s'",
        f"SET lock_timeout = '{LOCK_SECONDS}s'",
        f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'",
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        # Else a table that is missing here is taken from the next schema of the path: another ledger's, even.
        "SELECT set_config('search_path', quote_ident(current_schema()), false) WHERE current_schema() IS NOT NULL",
        *(["SET default_transaction_read_only = on"] if read_only else []),
    ]
    connection.execute("; ".join(settings))


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    # Without parameters psycopg sends it as it is: BEGIN and the lock are one round trip.
    connection.exec_driver_sql(options.get(_BEGIN, "BEGIN"), execution_options={"no_parameters": True})


def _check(connection: psycopg.Connection[Any], *_: object) -> None:
    """Leave an idle connection that the server has ended, and all that are as old, for new ones.

    Nothing is sent: an end that came (a restart, a keepalive without answer) makes the socket readable, and so does
    nothing else that is worth keeping. That saves a round trip on each of a flip's transactions.
    """
    poll = select.poll()
    if not connection.closed:
        poll.register(connection.fileno(), select.POLLIN)
    if connection.closed or poll.poll(0):
        raise InvalidatePoolError("the server has ended the connection")
