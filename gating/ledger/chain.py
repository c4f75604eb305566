"""Chain: rows numbered 1, 2, 3 ... without a gap, each with the digest of the one before. Used by history and refusals.

    digest = SHA-256(digest of the row before + this row's fields as JSON), 32 zero bytes before the first

Beside the rows stand the newest one's number and digest, so a row that was altered, removed (the last one too), added
or moved shows. Not promised: whoever can rewrite every later row and what stands beside them leaves nothing to see;
keep a head's digest elsewhere.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, Select, Table, select

from gating.ledger.rows import Fault
from gating.ledger.store import Store

GENESIS: Final = bytes(32)
PAGE_ROWS: Final = 2_000
"""About 20 ms of reading: how long a page holds a commit up."""
FAULTS_MAX: Final = 100
"""A list that a person reads; a ledger with more faults is lost as a whole."""
NAMED_MAX: Final = 10
"""Removed rows in a row whose accounts are looked for."""

Progress = Callable[[int, int], None]
Owner = Callable[[Connection, int], str | None]


def digest_of(values: Iterable[Any], previous: bytes) -> bytes:
    """The digest of a row with these values, in the order of its columns, after the row with digest `previous`.

    Raises TypeError for a value that no row holds.
    """
    text = orjson.dumps([value.hex() if isinstance(value, bytes) else value for value in values])
    return hashlib.sha256(previous + text).digest()


@dataclass(frozen=True, slots=True)
class Chain:
    """One table of chained rows. name: for messages. number: its counting column. head: selects the newest row's number
    and digest. option: by which a kept digest is given. owner: whose a removed row was, where other tables tell."""

    table: Table
    name: str
    number: str
    head: Select[Any]
    option: str
    owner: Owner

    @property
    def chained(self) -> tuple[str, ...]:
        """The columns that the digest covers, in order."""
        return tuple(column.name for column in self.table.columns if column.name not in ("previous", "digest"))

    def digest(self, fields: Mapping[str, Any], previous: bytes) -> bytes:
        """The digest of a row with these fields. Raises TypeError as `digest_of`."""
        return digest_of((fields[name] for name in self.chained), previous)

    def newest(self, store: Store) -> tuple[int, bytes]:
        """The newest row's number and digest; 0 and GENESIS before the first."""
        with store.reading() as connection:
            number, digest = connection.execute(self.head).one()
        return number, digest

    def rows(self, store: Store, after: int, head: int) -> Iterator[dict[str, Any]]:
        """Rows `after` + 1 to `head` as JSON can hold them, bytes in hex; read page by page."""
        for row in self.read(store, head, after):
            fields = row._asdict().items()  # SQLAlchemy's names are no plain `str`
            yield {str(name): value.hex() if isinstance(value, bytes) else value for name, value in fields}

    def verify(self, store: Store, kept: bytes | None = None, progress: Progress | None = None) -> list[Fault]:
        """Read all rows, in pages, up to the head of now. Returns what cannot be, at most FAULTS_MAX faults.

        kept: a head's digest from earlier, which the chain must still contain. progress: told (number, head) of each
        row. Raises Unreachable.
        """
        return _Check(self, store).faults(kept, progress or (lambda _done, _of: None))

    def read(self, store: Store, head: int, after: int = 0) -> Iterator[Row[Any]]:
        """The same, as the database holds them."""
        number = self.table.c[self.number]
        while True:
            wanted = select(self.table).where(number > after, number <= head).order_by(number).limit(PAGE_ROWS)
            with store.reading() as connection:
                page = list(connection.execute(wanted).all())
            yield from page
            if len(page) < PAGE_ROWS:
                return
            after = getattr(page[-1], self.number)


class _Check:
    """One reading of a chain."""

    def __init__(self, chain: Chain, store: Store) -> None:
        self._chain, self._store = chain, store
        self._faults: list[Fault] = []
        self._altered: dict[int, Row[Any]] = {}
        self._missing: list[int] = []

    def faults(self, kept: bytes | None, progress: Progress) -> list[Fault]:
        """All there are, by number."""
        head, newest = self._chain.newest(self._store)
        found = kept is None or kept == GENESIS
        previous, number, sound = GENESIS, 0, True  # sound: whether the row before can be followed
        for row in self._chain.read(self._store, head):
            at = getattr(row, self._chain.number)
            found = found or row.digest == kept
            progress(at, head)
            sound = sound and at == number + 1
            self._gap(number, at)
            sound = self._row(row, at, previous if sound else None)
            previous, number = row.digest, at
            if len(self._faults) >= FAULTS_MAX:
                return self._told()
        self._gap(number, head + 1)
        if number == head and previous != newest and sound:
            self._fault(head, f"row {head}, the newest, is not the one that was recorded as newest", "replaced")
        if not found:
            option = self._chain.option
            self._fault(
                0, f"no {self._chain.name} row has the digest given as {option}: what led up to it was written anew",
                "rewritten", plain=True,
            )  # fmt: skip
        self._beyond(head)
        return self._told()

    def _fault(self, number: int, message: str, what: str, account: str | None = None, *, plain: bool = False) -> None:
        text = message if plain else f"{self._chain.name} {message}"
        self._faults.append(Fault(number, text, account, what, self._chain.name))

    def _row(self, row: Row[Any], number: int, previous: bytes | None) -> bool:
        """Note what is wrong with one row; True where nothing is. previous: None where the row before cannot count."""
        account = None if row.account is None else str(row.account)
        if self._digest(row, number) != row.digest:
            self._altered[number] = row
            self._fault(number, f"row {number} was altered: its digest does not match what it says", "altered", account)
            return False
        if previous is not None and row.previous != previous:
            self._fault(
                number, f"row {number} does not follow the row before it: one was replaced", "replaced", account
            )
            return False
        return True

    def _digest(self, row: Row[Any], number: int) -> bytes:
        try:
            return self._chain.digest({**row._asdict(), self._chain.number: number}, row.previous)
        except TypeError:
            return b""

    def _gap(self, before: int, found: int) -> None:
        """Note the rows missing between two numbers, or before the first, or after the last."""
        missing = range(before + 1, found)
        if not missing:
            return
        self._missing += missing[:FAULTS_MAX]
        with self._store.reading() as connection:
            owners = {self._chain.owner(connection, number) for number in missing[:NAMED_MAX]}
        named = ", ".join(sorted(owner for owner in owners if owner)) or None
        which = f"row {missing[0]} was" if len(missing) == 1 else f"rows {missing[0]} to {missing[-1]} were"
        self._fault(missing[-1], f"{which} removed", "removed", named)

    def _beyond(self, head: int) -> None:
        """Note a row with a number that was never given; there is none while the counter only moved on meanwhile."""
        number = self._chain.table.c[self._chain.number]
        newest = self._chain.newest(self._store)[0]
        with self._store.reading() as connection:
            wanted = select(number, self._chain.table.c.account).where(number > max(head, newest))
            found = connection.execute(wanted.order_by(number).limit(1)).first()
        if found is not None:
            self._fault(found[0], f"row {found[0]} was added beside the ledger", "added", found[1])

    def _told(self) -> list[Fault]:
        """The faults, with rows that only stand elsewhere told from those that say something else."""
        places = [*self._altered, *self._missing][: 2 * FAULTS_MAX]
        return [self._placed(fault, places) for fault in self._faults[:FAULTS_MAX]]

    def _placed(self, fault: Fault, places: list[int]) -> Fault:
        row = self._altered.get(fault.version)
        if row is None:
            return fault
        was = next((place for place in places if self._digest(row, place) == row.digest), None)
        if was is None:
            return fault
        text = f"{self._chain.name} row {fault.version} was moved: it is row {was}"
        return replace(fault, message=text, what="moved")
