"""Purges: what is owed to deleted accounts, how far it is, and the receipt at its end.

Used by the consumers' purge, which clears the stores and notes each here, so that whoever is killed is gone on for; and
by the gating service, which shows receipts. A purge is owed by an outbox row of kind `purge`, which goes with the
receipt, in one transaction with what people wrote. Must not decide what deletes an account: the row is the decision's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Connection, delete, func, insert, select, update

from gating.ledger import billing, tables
from gating.ledger.retry import noted
from gating.ledger.rows import CHANGE
from gating.ledger.store import Store

T = TypeVar("T")

PURGE: Final = "purge"
RECEIPT: Final = "receipt"
BACKUPS_DUE: Final = "backups_due"
NOT_WAITED_FOR: Final = (CHANGE, PURGE, RECEIPT, BACKUPS_DUE)
"""Of what an account is owed; the rest is carried out before its purge ends: it may need what the purge erases."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A purge that has no receipt yet. version, at_us: of the change to DELETED. keep_billing_years: None: not said."""

    account: str
    version: int
    at_us: int
    keep_billing_years: int | None


@dataclass(frozen=True, slots=True)
class Noted:
    """One store of one purge. found: the most of the account that was seen in it. done_at_us: None while it is not."""

    found: int = 0
    note: Mapping[str, Any] | None = None
    done_at_us: int | None = None


class Purges:
    """The purges of one ledger. Threads may share it. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def is_postgres(self) -> bool:
        """Whether deleted rows lie in the tables until a VACUUM; SQLite overwrites them at once (`secure_delete`)."""
        with self._store.reading() as connection:
            return connection.dialect.name == "postgresql"

    def owed(self, limit: int) -> list[Owed]:
        """The purges that are owed, oldest first."""
        rows = tables.outbox.c
        wanted = select(tables.outbox).where(rows.kind == PURGE).order_by(rows.id).limit(limit)
        with self._store.reading() as connection:
            found = connection.execute(wanted).all()
        return [
            Owed(r.account, r.id // tables.OWED_MAX, r.at_us, orjson.loads(r.payload).get("keep_billing_years"))
            for r in found
        ]

    def stores(self, account: str) -> dict[str, Noted]:
        """How far the account's purge is, by store."""
        with self._store.reading() as connection:
            found = connection.execute(select(tables.purges).where(tables.purges.c.account == account)).all()
        return {r.store: Noted(r.found, orjson.loads(r.note), r.done_at_us) for r in found}

    def note(
        self, account: str, store: str, found: int, note: Mapping[str, Any] | None = None, done_at_us: int | None = None
    ) -> None:
        """Note a store; what was found is never noted lower, what is done never undone. note: None leaves it."""
        rows = tables.purges.c
        one = (rows.account == account) & (rows.store == store)

        def work(connection: Connection) -> None:
            if _receipt(connection, account) is not None:
                return  # somebody else has given it meanwhile
            known = connection.execute(select(tables.purges).where(one)).one_or_none()
            text = orjson.dumps(note or {}).decode()
            if known is None:
                values = {"account": account, "store": store, "found": found, "note": text, "done_at_us": done_at_us}
                connection.execute(insert(tables.purges).values(values))
            else:
                kept = known.note if note is None else text
                done = known.done_at_us or done_at_us
                values = {"found": max(found, known.found), "note": kept, "done_at_us": done}
                connection.execute(update(tables.purges).where(one).values(values))

        noted(self._store, work)

    def places(self) -> dict[str, int]:
        """Who holds files that may hold events, and when each was last heard of (microseconds UTC)."""
        with self._store.reading() as connection:
            return {r.place: r.seen_at_us for r in connection.execute(select(tables.purge_places))}

    def note_place(self, place: str, now_us: int) -> None:
        """Note that this place is there: receipts wait for it from now on."""
        one = tables.purge_places.c.place == place

        def work(connection: Connection) -> None:
            if not connection.execute(update(tables.purge_places).where(one).values(seen_at_us=now_us)).rowcount:
                connection.execute(insert(tables.purge_places).values(place=place, seen_at_us=now_us))

        noted(self._store, work)

    def forget_place(self, place: str) -> bool:
        """A host is gone for good, its disk with it: no receipt waits for it any more. False for an unknown one."""
        gone = delete(tables.purge_places).where(tables.purge_places.c.place == place)
        return bool(noted(self._store, lambda connection: connection.execute(gone).rowcount))

    def effects_owed(self, account: str) -> list[str]:
        """Which effects of the account are still to be carried out before its receipt."""
        rows = tables.outbox.c
        wanted = select(rows.kind).where(rows.account == account, rows.kind.not_in(NOT_WAITED_FOR)).distinct()
        with self._store.reading() as connection:
            return sorted(connection.execute(wanted).scalars())

    def receipted(self, after: str, limit: int) -> list[str]:
        """The accounts that have their receipt, by id, beyond `after`."""
        rows = tables.receipts.c
        wanted = select(rows.account).where(rows.account > after).order_by(rows.account).limit(limit)
        with self._store.reading() as connection:
            return list(connection.execute(wanted).scalars())

    def receipt(self, account: str) -> dict[str, Any] | None:
        """The account's receipt; None where none was given (yet)."""
        with self._store.reading() as connection:
            text = _receipt(connection, account)
        return None if text is None else orjson.loads(text)

    def erase_payments(self, now_us: int) -> int:
        """Erase billing records whose term has ended; returns how many."""
        return noted(self._store, lambda connection: billing.erase_ended(connection, now_us))

    def payments_ended(self, now_us: int) -> int:
        """How many billing records are past their term; a read, so that nothing is locked day by day for nothing."""
        wanted = select(func.count()).where(tables.billing_records.c.keep_until_us <= now_us)
        with self._store.reading() as connection:
            return int(connection.execute(wanted).scalar_one())


def give(connection: Connection, account: str, document: Mapping[str, Any], at_us: int) -> bool:
    """The last step of a purge, in the transaction that has erased what people wrote: its receipt, and what was owed.

    False where the account has its receipt already. Called by `Transaction.give_receipt`.
    """
    if _receipt(connection, account) is not None:
        return False
    text = orjson.dumps(document).decode()
    connection.execute(insert(tables.receipts).values(account=account, at_us=at_us, document=text))
    owed = tables.outbox.c
    connection.execute(delete(tables.outbox).where(owed.account == account, owed.kind.in_((PURGE, RECEIPT))))
    connection.execute(delete(tables.effect_dead).where(tables.effect_dead.c.account == account))
    connection.execute(delete(tables.purges).where(tables.purges.c.account == account))
    return True


def words_left(connection: Connection, account: str) -> int:
    """How many texts of people stand beside the account's history."""
    details, keys = tables.details.c, tables.keys.c
    left = connection.execute(select(func.count()).where(details.account == account)).scalar_one()
    named = select(func.count()).where(keys.account == account, keys.source.is_not(None))
    return int(left + connection.execute(named).scalar_one())


def _receipt(connection: Connection, account: str) -> str | None:
    wanted = select(tables.receipts.c.document).where(tables.receipts.c.account == account)
    return connection.execute(wanted).scalar_one_or_none()
