"""ClickHouseClient: named statements to one ClickHouse, a server by HTTP(S) or its engine in this process (chDB).

Used by the warehouse and its readers, one client each. Every wait is bounded, and no message tells the password. Must
not know what the statements are for.

chDB is for tests and for trying things out. It takes one data directory a process: several clients on one path
share its engine, another path is refused until all of them are closed; and one process a directory.
"""

import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from consumers.errors import QuestionInvalid, ServerTooOld, WarehouseFailed
from consumers.warehouse.queries import load

VERSION_MIN: Final = (24, 8)
"""The oldest long-term release whose manual has all that clickhouse.sql uses; tests run on chDB's engine (26.9)."""

CONNECT_SECONDS_MAX: Final = 10
STATEMENT_SECONDS_MAX: Final = 120
"""The server gives a statement of the writer up after this. An answer is waited for longer than that, so that no
statement goes on behind the back of a writer that has given it up."""

ANSWER_SECONDS_MAX: Final = 180
SESSION_SECONDS: Final = 3600
"""A writer's temporary tables live in its session; each batch makes them anew, so one that was forgotten is no harm."""

MESSAGE_LETTERS_MAX: Final = 500  # of what the server says; it repeats whole statements

SORT_BYTES_MAX: Final = 512 * 1024**2
"""What a read sorts or groups beyond this goes to the server's disk."""

QUERIES: Final = load("consumers.warehouse", "clickhouse.sql")

_SETTINGS: Final[Mapping[str, Any]] = {
    "async_insert": 0,  # an insert is there when its answer is
    "insert_deduplicate": 0,  # rows are told apart by what they are sorted by, not whole inserts by their bytes
    "optimize_on_insert": 0,  # a batch holds no row twice: nothing to replace before it is written
    "throw_on_max_partitions_per_insert_block": 0,  # a batch may bring hits of many months
    "mutations_sync": 2,  # a delete is done when its answer is, on every replica
    "allow_nondeterministic_mutations": 1,  # replicated tables ask for it where a delete looks ids up in a table
    "do_not_merge_across_partitions_select_final": 1,  # the same id has the same time, hence the same partition
    "input_format_parallel_parsing": 0,  # a batch is not worth a pool of threads
    "input_format_skip_unknown_fields": 1,
    "input_format_json_read_objects_as_strings": 1,  # params
    "max_bytes_before_external_sort": SORT_BYTES_MAX,
    "max_bytes_before_external_group_by": SORT_BYTES_MAX,
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a CLICKHOUSE_URL says, in the keyword arguments of `get_client`; `name` is safe to show."""

    name: str
    arguments: Mapping[str, Any]
    secret: str
    embedded: bool


def place_of(url: str) -> Place:
    """Read `https://user:password@host:8443/database`, `http://...` or `chdb:///path[?database=name]`.

    Raises QuestionInvalid, which does not repeat the URL: it may hold a password.
    """
    forms = "https://user:password@host:8443/database, http://..., or chdb:///path"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise QuestionInvalid("CLICKHOUSE_URL", "a URL that does not read", forms) from None
    if parts.scheme == "chdb" and not parts.netloc and parts.path.startswith("/"):
        database = parse_qs(parts.query).get("database", ["default"])[0]
        arguments: dict[str, Any] = {"dsn": f"chdb://{parts.path}", "database": database}
        return Place(f"chdb://{parts.path}", arguments, "", embedded=True)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise QuestionInvalid("CLICKHOUSE_URL", f"{parts.scheme}://...", forms)
    port = port or (8443 if parts.scheme == "https" else 8123)
    database = unquote(parts.path.strip("/")) or "default"
    secret = unquote(parts.password or "")
    arguments = {
        "interface": parts.scheme,
        "host": parts.hostname,
        "port": port,
        "username": unquote(parts.username or "default"),
        "password": secret,
        "database": database,
        "connect_timeout": CONNECT_SECONDS_MAX,
        "send_receive_timeout": ANSWER_SECONDS_MAX,
    }
    return Place(f"{parts.scheme}://{parts.hostname}:{port}/{database}", arguments, secret, embedded=False)


class ClickHouseClient:
    """Runs the statements of clickhouse.sql. Not for two threads at once."""

    def __init__(self, place: Place, *, writes: bool) -> None:
        """Raises WarehouseFailed where it cannot be reached, and ServerTooOld."""
        self.place = place
        arguments = dict(place.arguments)
        settings = dict(_SETTINGS)
        if place.embedded:
            settings |= {"max_threads": 1, "max_insert_threads": 1}  # the collector's workers need the cores more
        if writes:
            settings["max_execution_time"] = STATEMENT_SECONDS_MAX
        if not place.embedded:
            arguments["autogenerate_session_id"] = False
            if writes:
                arguments["session_id"] = str(uuid.uuid4())
                settings["session_timeout"] = SESSION_SECONDS
        with self.failing("reaching it"):
            self._client = clickhouse_connect.get_client(settings=settings, **arguments)
        if version_of(self.version) < VERSION_MIN:
            self.close()
            raise ServerTooOld(place.name, self.version, ".".join(map(str, VERSION_MIN)))

    @property
    def version(self) -> str:
        """The server's version, as it says it."""
        return str(self._client.server_version)

    @contextmanager
    def failing(self, doing: str) -> Iterator[None]:
        """What goes wrong in the block is a WarehouseFailed of one line that holds no password."""
        try:
            yield
        except (ClickHouseError, OSError, ValueError, TypeError, ImportError) as error:
            raise WarehouseFailed(doing, RuntimeError(self._worded(error))) from None

    def _worded(self, error: BaseException) -> str:
        """The error's essence: the server's own words where there are any, else the first cause's."""
        inner: BaseException | None = error
        while inner is not None and "DB::Exception: " not in str(error):
            error, inner = inner, getattr(inner, "reason", None) or inner.__cause__
            inner = inner if isinstance(inner, BaseException) else None
        text = " ".join(str(error).split()) or type(error).__name__
        text = text.rpartition("DB::Exception: ")[2].partition(", Stack trace")[0][:MESSAGE_LETTERS_MAX]
        text = text.replace(self.place.secret, "***") if self.place.secret else text
        return f"{self.place.name}: {text}"

    def run(self, name: str, **values: Any) -> None:
        """Carry out a statement that gives no rows."""
        query = QUERIES[name]
        self._client.command(query.text, parameters=query.pick(values) or None)

    def define(self, name: str) -> None:
        """Carry out a statement whose `{name:Type}` belong to what it defines."""
        self._client.command(QUERIES[name].text)

    def ask(self, statement: str) -> Any:
        """Carry out a statement of somebody else's wording and return its one value, if it gives any."""
        return self._client.command(statement)

    def rows(self, name: str, **values: Any) -> Sequence[Sequence[Any]]:
        """All rows of a statement that gives few."""
        query = QUERIES[name]
        return self._client.query(query.text, parameters=query.pick(values) or None).result_rows

    def blocks(self, name: str, values: Mapping[str, Any]) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a statement that may give many, as they come."""
        query = QUERIES[name]
        with self._client.query_row_block_stream(query.text, parameters=query.pick(values)) as stream:
            yield from stream

    def chunks(self, name: str, format_: str, values: Mapping[str, Any]) -> Iterator[bytes]:
        """A statement's result in one of ClickHouse's formats, as it comes."""
        query = QUERIES[name]
        stream = cast("BinaryIO", self._client.raw_stream(query.text, parameters=query.pick(values), fmt=format_))
        with contextlib.closing(stream):
            while chunk := stream.read(256 * 1024):
                yield chunk

    def insert(self, table: str, lines: Sequence[bytes]) -> None:
        """Put lines of JSON into a table, whose engine reads them by itself."""
        self._client.raw_insert(table, insert_block=b"\n".join(lines), fmt="JSONEachRow")

    def close(self) -> None:
        """Let go. Idempotent."""
        self._client.close()


def version_of(text: str) -> tuple[int, int]:
    """Major and minor of a ClickHouse version such as 25.3.2.39."""
    major, minor = [*text.split("."), "0"][:2]
    return int(major), int(minor)
