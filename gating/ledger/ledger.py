"""Ledger: the truth about accounts, in a SQLite file or in PostgreSQL. Opens it, begins write transactions, reads.

Called by the gating service and sweeper, by settlement, by the command line. Every read is one short snapshot; what may
be long (accounts, history, changes) is read in pages, since a reader holds a commit up (`sqlite.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, tuple_

from gating.errors import Unreachable
from gating.feed import StatusChange
from gating.ledger import schema, tables
from gating.ledger.activity import ActivityRows
from gating.ledger.beat import BeatRow
from gating.ledger.chain import Progress
from gating.ledger.effects import EffectRows
from gating.ledger.engines import file_is_missing, open_store
from gating.ledger.history import HISTORY
from gating.ledger.key_rows import KeyRows
from gating.ledger.lead_rows import LeadRows
from gating.ledger.people import PersonRow, remove_person
from gating.ledger.projections import verify_projections
from gating.ledger.purges import Purges
from gating.ledger.refusals import RefusalRows
from gating.ledger.relayed import RelayedRows
from gating.ledger.retry import noted, tried_again
from gating.ledger.rows import AccountRow, Come, Fault, Head, HistoryRow, KeyRow, OutboxRow, no_account
from gating.ledger.store import Channel, Store, Unstorable
from gating.ledger.timeline import Timeline, changes_of
from gating.ledger.tokens import TokenRows
from gating.ledger.transaction import Transaction
from gating.status import Status

T = TypeVar("T")

PAGE_ROWS: Final = 1_000
"""Rows in one read where the caller names no number: 5 to 10 ms that a commit waits at the most."""


class Ledger(LeadRows):
    """One open ledger. Threads may share it; a transaction keeps to one thread. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.purges = Purges(store)
        self.effects = EffectRows(store)
        self.tokens = TokenRows(store)
        self.relayed = RelayedRows(store)
        self.beat = BeatRow(store)
        self.activity = ActivityRows(store)
        self.refusals = RefusalRows(store)
        self.key_rows = KeyRows(store)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open for writing: makes what is missing and brings the schema up to this release's, in one transaction.

        url: sqlite:////absolute/path, or postgresql:// as libpq takes it. Several may open at once. Raises
        DataDirectoryUnknown for a newer release's ledger or a foreign database, Unreachable, InputInvalid for any
        other URL.
        """
        store = open_store(url, read_only=False)
        try:
            with store.reading() as connection:
                current = schema.is_current(connection)
            if not current:
                with store.migrating() as connection:
                    schema.migrate(connection)
        except BaseException:
            store.close()
            raise
        return cls(store)

    @classmethod
    def open_reading(cls, url: str) -> Self:
        """Open for reading alone: makes nothing and writes nothing, but for finishing what a killed writer left (SQLite
        then rolls its half transaction back). `begin` then raises Unreachable.

        Raises as `open` does; Unreachable too where there is no ledger yet, or one of an older release.
        """
        return cls._of_this_release(url, read_only=True)

    @classmethod
    def open_existing(cls, url: str) -> Self:
        """Open for writing what is there and of this release: makes nothing and migrates nothing.

        For processes beside the gating service, which owns the schema. Raises as `open_reading` does.
        """
        if file_is_missing(url):
            raise Unreachable("there is no ledger yet: start the gating service, which makes it")
        return cls._of_this_release(url, read_only=False)

    @classmethod
    def _of_this_release(cls, url: str, *, read_only: bool) -> Self:
        store = open_store(url, read_only=read_only)
        try:
            with store.reading() as connection:
                schema.require_current(connection)
        except BaseException:
            store.close()
            raise
        return cls(store)

    @staticmethod
    def exists(url: str) -> bool:
        """Tell whether a ledger was ever made there; makes nothing. Raises as `open` does."""
        if file_is_missing(url):
            return False
        store = open_store(url, read_only=True)
        try:
            with store.reading() as connection:
                return schema.revision(connection) is not None
        finally:
            store.close()

    def close(self) -> None:
        """Close all connections; to be called when no transaction runs."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- writing --------------------------------------------------------------------------------------------------

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """One write transaction, the only one of all processes; commits on leaving, changes nothing on an error.

        Waits up to 5 s for another one to end. Raises Conflict too: `change` runs the whole again then.
        """
        with self._store.writing() as connection:
            transaction = Transaction(connection)
            before = transaction.epoch, transaction.head
            yield transaction
            transaction.finish()
            if before != (transaction.epoch, transaction.head):
                self._store.tell(connection, Channel.CHANGES, str(transaction.head))

    def change(self, block: Callable[[Transaction], T]) -> T:
        """Run `block` in one write transaction, and the whole again where the engine undid it for another's sake.

        So `block` leaves nothing behind but what it returns. Raises what it raises, and Conflict after
        CONFLICT_TRIES_MAX.
        """

        def attempt() -> T:
            with self.begin() as transaction:
                return block(transaction)

        return tried_again(attempt)

    def await_writers(self) -> None:
        """Wait until no write transaction runs that began before this call.

        What is read afterwards holds every change dated before the call, since a change is dated inside its own
        transaction. Settlement calls it once a batch, for hits at least the clocks' uncertainty old.
        """
        self._store.await_writers()

    # ---- accounts and keys ----------------------------------------------------------------------------------------

    def head(self) -> Head:
        """The epoch, and the newest version in it."""
        with self._store.reading() as connection:
            row = connection.execute(select(tables.meta.c.epoch, tables.meta.c.head)).one()
        return Head(row.epoch, row.head)

    def account(self, account: str) -> AccountRow:
        """The account as of its newest change. Raises NotFound."""
        wanted = select(tables.accounts).where(tables.accounts.c.id == account)
        return AccountRow.of(self._one(wanted, account))

    def accounts(self, status: Status | None = None, rulebook: str | None = None) -> Iterator[AccountRow]:
        """All accounts by id, or those of a status or rulebook; read page by page while it is gone through."""
        filters: list[ColumnElement[bool]] = []
        if status is not None:
            filters.append(tables.accounts.c.status == status)
        if rulebook is not None:
            filters.append(tables.accounts.c.rulebook == rulebook)
        after = ""
        while True:
            wanted = select(tables.accounts).where(tables.accounts.c.id > after, *filters)
            page = self._rows(wanted.order_by(tables.accounts.c.id).limit(PAGE_ROWS))
            yield from map(AccountRow.of, page)
            if len(page) < PAGE_ROWS:
                return
            after = page[-1].id

    def keys(self, account: str) -> list[KeyRow]:
        """Its write keys, revoked ones too, oldest first. Raises NotFound for an unknown account."""
        wanted = select(tables.keys).where(tables.keys.c.account == account)
        rows = self._rows(wanted.order_by(tables.keys.c.created_version, tables.keys.c.write_key))
        if not rows:  # every account has at least the key it was created with
            self.account(account)
        return [KeyRow.of(row) for row in rows]

    def account_of_key(self, write_key: str) -> str | None:
        """Whose key it is or was; None for a key that nobody has."""
        wanted = select(tables.keys.c.account).where(tables.keys.c.write_key == write_key)
        rows = self._rows(wanted)
        return rows[0].account if rows else None

    def details(self, account: str) -> dict[str, str]:
        """The newest text of each name that stands beside the account's history: owner, name, reason ...; {} once
        erased."""
        wanted = select(tables.details).where(tables.details.c.account == account)
        return {row.name: row.text for row in self._rows(wanted.order_by(tables.details.c.version))}

    def revealed_version(self, account: str) -> int:
        """The account's newest change into an ACCEPT status: its hidden events of a lower version are visible.

        0 where there was none. Raises NotFound.
        """
        wanted = select(tables.accounts.c.revealed_version).where(tables.accounts.c.id == account)
        return int(self._one(wanted, account).revealed_version)

    def rulebook(self, digest: str) -> tuple[str, str] | None:
        """(name, text) of the rulebook that was stored under this digest; None where none was."""
        rows = self._rows(select(tables.rulebooks).where(tables.rulebooks.c.digest == digest))
        return (rows[0].name, rows[0].text) if rows else None

    def come(self, until_us: int, after: tuple[int, str] = (0, ""), limit: int = PAGE_ROWS) -> list[Come]:
        """The accounts whose stored deadline comes by `until_us`, earliest first, beyond a place in that order."""
        place = tables.accounts.c.deadline_at_us, tables.accounts.c.id
        wanted = select(*place, tables.accounts.c.state).where(place[0] <= until_us, tuple_(*place) > after)
        return [Come(row.id, row.deadline_at_us, row.state) for row in self._rows(wanted.order_by(*place).limit(limit))]

    def count_come(self, until_us: int) -> int:
        """How many accounts have a stored deadline that comes by `until_us`."""
        counted = select(func.count().label("accounts")).where(tables.accounts.c.deadline_at_us <= until_us)
        return int(self._rows(counted)[0].accounts)

    def next_deadline_us(self) -> int | None:
        """When the earliest stored deadline comes; None where there is none."""
        at_us: int | None = self._rows(select(func.min(tables.accounts.c.deadline_at_us).label("at_us")))[0].at_us
        return at_us

    # ---- people ---------------------------------------------------------------------------------------------------

    def people(self, account: str) -> list[PersonRow]:
        """Who belongs to the account now, first come first. Raises NotFound for an unknown account."""
        row = tables.people.c
        wanted = select(tables.people).where(row.account == account, row.removed_at_us.is_(None))
        found = self._rows(wanted.order_by(row.created_at_us, row.id))
        if not found:
            self.account(account)
        return [PersonRow.of(person) for person in found]

    def remove_person(self, account: str, person: str, at_us: int) -> None:
        """Take somebody out of an account, end their tokens and forget their address. Raises NotFound."""
        noted(self._store, lambda connection: remove_person(connection, account, person, at_us))

    # ---- changes --------------------------------------------------------------------------------------------------

    def changes_since(self, version: int, limit: int = PAGE_ROWS) -> list[StatusChange]:
        """The newest change of each account that changed after `version`, by version, `limit` at the most."""
        wanted = select(tables.gate.c.change).where(tables.gate.c.version > version)
        rows = self._rows(wanted.order_by(tables.gate.c.version).limit(limit))
        return [StatusChange.decode(row.change) for row in rows]

    def history(self, account: str) -> list[HistoryRow]:
        """All changes of the account, oldest first, each with what was written beside it. Raises NotFound."""
        rows = self._history_of(account)
        if not rows:
            raise no_account(account)
        details: dict[int, dict[str, str]] = {}
        for row in self._rows(select(tables.details).where(tables.details.c.account == account)):
            details.setdefault(row.version, {})[row.name] = row.text
        return [HistoryRow.of(row, details.get(row.version)) for row in rows]

    def timeline(self, write_key: str) -> Timeline | None:
        """What held for hits with that key, at any time; None for a key that nobody has. See `await_writers`."""
        rows = self._rows(select(tables.keys).where(tables.keys.c.write_key == write_key))
        return self._timeline(KeyRow.of(rows[0])) if rows else None

    def timeline_of_account(self, account: str, write_key: str) -> Timeline | None:
        """The same, for a key that must be that account's; None where it is not."""
        timeline = self.timeline(write_key)
        return timeline if timeline is not None and timeline.account == account else None

    def outbox(self, after: int = 0, *, kind: str | None = None, limit: int = PAGE_ROWS) -> list[OutboxRow]:
        """What is owed and not yet delivered, oldest first, beyond id `after`. kind: CHANGE, or an effect's name."""
        wanted = select(tables.outbox).where(tables.outbox.c.id > after)
        if kind is not None:
            wanted = wanted.where(tables.outbox.c.kind == kind)
        rows = self._rows(wanted.order_by(tables.outbox.c.id).limit(limit))
        return [OutboxRow(r.id, r.id // tables.OWED_MAX, r.account, r.at_us, r.kind, r.payload) for r in rows]

    def delivered(self, kind: str, up_to: int) -> int:
        """Forget what was owed of one kind, up to an outbox id; returns how many rows went. Harmless twice."""
        rows = tables.outbox.c
        going = delete(tables.outbox).where(rows.kind == kind, rows.id <= up_to)
        return noted(self._store, lambda connection: int(connection.execute(going).rowcount))

    # ---- other tables -----------------------------------------------------------------------------------------------

    def note(self, work: Callable[[Connection], T]) -> T:
        """Write what is no change of an account, in one transaction that changes need not wait for on PostgreSQL; run
        again where it had to give way, so `work` leaves nothing behind but what it returns."""
        return noted(self._store, work)

    def look(self, ask: Callable[[Connection], T]) -> T:
        """Read within one short snapshot."""
        with self._store.reading() as connection:
            return ask(connection)

    # ---- checks ---------------------------------------------------------------------------------------------------

    def chain(self) -> tuple[int, bytes]:
        """The newest version and its row's digest: kept elsewhere, they show later that nothing was written anew."""
        return HISTORY.newest(self._store)

    def chained_rows(self, after: int, head: int) -> Iterator[dict[str, Any]]:
        """The history's rows beyond `after`, up to `head`, as JSON can hold them; read while it is gone through."""
        return HISTORY.rows(self._store, after, head)

    def verify_history(self, kept: bytes | None = None, progress: Progress | None = None) -> list[Fault]:
        """Every history row that was altered, removed, added or moved; [] where the chain is whole and has `kept`."""
        return HISTORY.verify(self._store, kept, progress)

    def verify_projections(self) -> list[Fault]:
        """Everywhere `accounts`, `keys` and `gate` say something else than the history; [] where they agree."""
        return verify_projections(self._store)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _rows(self, wanted: Any) -> list[Row[Any]]:
        try:
            with self._store.reading() as connection:
                return list(connection.execute(wanted).all())
        except Unstorable:
            return []  # asked for by a text that no row can hold

    def _one(self, wanted: Any, account: str) -> Row[Any]:
        rows = self._rows(wanted)
        if not rows:
            raise no_account(account)
        return rows[0]

    def _history_of(self, account: str) -> list[Row[Any]]:
        found: list[Row[Any]] = []
        while True:
            after = found[-1].version if found else 0
            rows = tables.history.c
            wanted = select(tables.history).where(rows.account == account, rows.version > after)
            page = self._rows(wanted.order_by(rows.version).limit(PAGE_ROWS))
            found += page
            if len(page) < PAGE_ROWS:
                return found

    def _timeline(self, key: KeyRow) -> Timeline:
        changes = changes_of(HistoryRow.of(row) for row in self._history_of(key.account))
        return Timeline(key.account, key.write_key, key.created_at_us, key.revoked_at_us, changes)
