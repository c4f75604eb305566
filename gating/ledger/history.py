"""The history's chain: how a row is digested, and whether all rows are still as they were written.

    digest = SHA-256(digest of the row before + this row's fields as JSON), 32 zero bytes before the first

Versions go 1, 2, 3 ... without a gap, and `meta` holds the newest row's version and digest, so a row that was altered,
removed (the last one too), inserted or moved shows. Details lie outside the chain and can be erased without a trace.
Not promised: whoever can rewrite every later row and `meta` leaves nothing to see; keep a head's digest elsewhere.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, select

from gating.ledger.rows import Fault
from gating.ledger.store import Store
from gating.ledger.tables import history, meta

GENESIS: Final = bytes(32)
PAGE_ROWS: Final = 2_000
"""About 20 ms of reading: how long a page holds a commit up."""
FAULTS_MAX: Final = 100
"""A list that a person reads; a ledger with more faults is lost as a whole."""

_CHAINED: Final = tuple(column.name for column in history.columns if column.name not in ("previous", "digest"))


def digest_of(fields: Mapping[str, Any], previous: bytes) -> bytes:
    """The digest of a history row with these fields that follows the row with digest `previous`."""
    values = [fields[name] for name in _CHAINED]
    text = orjson.dumps([value.hex() if isinstance(value, bytes) else value for value in values])
    return hashlib.sha256(previous + text).digest()


def verify_history(
    store: Store, kept: bytes | None = None, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> list[Fault]:
    """Read the whole chain, in pages, up to the head it has now. Returns what cannot be, at most FAULTS_MAX faults.

    kept: a head's digest from earlier, which the chain must still contain. progress: told (version, head) of each row.
    Raises Unreachable.
    """
    with store.reading() as connection:
        head, chain = connection.execute(select(meta.c.head, meta.c.chain)).one()
    faults: list[Fault] = []
    previous, version = GENESIS, 0
    found = kept is None or kept == GENESIS
    for row in _rows(store, head):
        found = found or row.digest == kept
        progress(row.version, head)
        faults += _gap(version, row.version)
        fault = _fault(
            row, previous, intact=row.version == version + 1 and not (faults and faults[-1].version == version)
        )
        if fault:
            faults.append(fault)
        previous, version = row.digest, row.version
        if len(faults) >= FAULTS_MAX:
            return faults[:FAULTS_MAX]
    faults += _gap(version, head + 1)
    if version == head and previous != chain and not (faults and faults[-1].version == head):
        faults.append(Fault(head, f"history row {head}, the newest, is not the one that was recorded as newest"))
    if not found:
        faults.append(Fault(0, "no history row has the digest given as --head: what led up to it was written anew"))
    return (faults + _beyond(store, head))[:FAULTS_MAX]


def chained_rows(store: Store, after: int, head: int) -> Iterator[dict[str, Any]]:
    """The rows of versions `after` + 1 to `head` as JSON can hold them, bytes in hex; read page by page."""
    for row in _rows(store, head, after):
        yield {str(name): value.hex() if isinstance(value, bytes) else value for name, value in row._asdict().items()}


def _rows(store: Store, head: int, after: int = 0) -> Iterator[Row[Any]]:
    while True:
        with store.reading() as connection:
            page = _page(connection, after, head)
        yield from page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1].version


def _page(connection: Connection, after: int, head: int) -> list[Row[Any]]:
    wanted = select(history).where(history.c.version > after, history.c.version <= head)
    return list(connection.execute(wanted.order_by(history.c.version).limit(PAGE_ROWS)).all())


def _gap(before: int, found: int) -> list[Fault]:
    """The rows missing between two versions, or before the first, or after the last."""
    missing = range(before + 1, found)
    if not missing:
        return []
    which = f"row {missing[0]} was" if len(missing) == 1 else f"rows {missing[0]} to {missing[-1]} were"
    return [Fault(missing[-1], f"history {which} removed")]


def _fault(row: Row[Any], previous: bytes, *, intact: bool) -> Fault | None:
    """What is wrong with one row. intact: whether the row before is there and without a fault, so that it can be
    followed."""
    try:
        true = digest_of(row._asdict(), row.previous)
    except TypeError:
        true = b""
    if true != row.digest:
        return Fault(row.version, f"history row {row.version} was altered: its digest does not match what it says")
    if intact and row.previous != previous:
        return Fault(row.version, f"history row {row.version} does not follow the row before it: one was replaced")
    return None


def _beyond(store: Store, head: int) -> list[Fault]:
    """Rows that claim versions which were never given; none while the counter only moved on meanwhile."""
    with store.reading() as connection:
        newest = connection.execute(select(meta.c.head)).scalar_one()
        wanted = select(history.c.version).where(history.c.version > max(head, newest))
        found = connection.execute(wanted.order_by(history.c.version).limit(1)).scalar()
    return [] if found is None else [Fault(found, f"history row {found} was added beside the ledger")]
