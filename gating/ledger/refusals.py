"""Refusals as the ledger keeps them: what was refused to whom, ids and codes alone, chained as the history is.

Called by `gating/refusals.py`, never inside a change's transaction. Rows are only ever added.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, insert, select, update

from gating.ledger.chain import Chain, Progress
from gating.ledger.retry import noted
from gating.ledger.rows import Fault
from gating.ledger.store import Store, is_storable
from gating.ledger.tables import refusals, refusals_head

PAGE_ROWS: Final = 1_000
"""Refusals in one answer: 5 to 10 ms that a commit waits at the most."""

CHAIN: Final = Chain(
    refusals, "refusals", "sequence", select(refusals_head.c.sequence, refusals_head.c.chain), "--refusals-head",
    lambda _connection, _sequence: None,
)  # fmt: skip
# On PostgreSQL this locks the counter; SQLite's BEGIN IMMEDIATE has locked the file already.
_COUNTER: Final = select(refusals_head).with_for_update()


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """One refusal, or `times` equal ones from `at_us` until `until_us` (microseconds UTC).

    account: None where the row counts refusals that were not written down one by one. version: the account's when it
    was refused. command: as the rulebook knows it. code: the error's. rule: its place in the rulebook, or a word.
    """

    account: str | None
    version: int | None
    at_us: int
    until_us: int
    times: int
    command: str
    actor: str
    role: str
    on_behalf: str | None
    code: str
    rule: str | None
    sequence: int = 0

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of the table."""
        return cls(**{field.name: getattr(row, field.name) for field in fields(cls)})


class RefusalRows:
    """The refusals of one ledger. Threads may share it. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, rows: Sequence[RefusalRow]) -> None:
        """Write rows down in one transaction, in this order, each under the next sequence."""

        def work(connection: Connection) -> None:
            head = connection.execute(_COUNTER).one()
            sequence, digest = head.sequence, head.chain
            chained = []
            for row in rows:
                sequence += 1
                named = {name: sequence if name == "sequence" else getattr(row, name) for name in CHAIN.chained}
                previous, digest = digest, CHAIN.digest(named, digest)
                chained.append({**named, "previous": previous, "digest": digest})
            connection.execute(insert(refusals), chained)
            connection.execute(update(refusals_head).values(sequence=sequence, chain=digest))

        if rows:
            noted(self._store, work)

    def of(self, account: str, before: int | None = None, limit: int = PAGE_ROWS) -> list[RefusalRow]:
        """The account's newest refusals below a sequence, oldest first; [] for an account there is not."""
        if not is_storable(account):
            return []
        wanted = select(refusals).where(refusals.c.account == account)
        if before is not None:
            wanted = wanted.where(refusals.c.sequence < before)
        with self._store.reading() as connection:
            found = connection.execute(wanted.order_by(refusals.c.sequence.desc()).limit(limit)).all()
        return [RefusalRow.of(row) for row in reversed(found)]

    def chain(self) -> tuple[int, bytes]:
        """The newest sequence and its row's digest."""
        return CHAIN.newest(self._store)

    def chained_rows(self, after: int, head: int) -> Iterator[dict[str, Any]]:
        """The refusals beyond `after`, up to `head`, as JSON can hold them; read while it is gone through."""
        return CHAIN.rows(self._store, after, head)

    def verify(self, kept: bytes | None = None, progress: Progress | None = None) -> list[Fault]:
        """Every refusal that was altered, removed, added or moved; [] where the chain is whole and has `kept`."""
        return CHAIN.verify(self._store, kept, progress)
