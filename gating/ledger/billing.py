"""Billing records: payments in the fewest fields the law asks for, kept for their term and erased then.

Recorded by the billing webhooks inside their own transaction (`record_payment`); the purge sets the term that the
account's rulebook asks for (`keep`), and erases what is past it (`Purges.erase_payments`). No view, report or export
shows them: they serve no other purpose than the books.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from gating.errors import InputInvalid
from gating.ledger.store import Unstorable, is_storable
from gating.ledger.tables import billing_records
from gating.times import years_after_us

KEEP_YEARS: Final = 7
"""From the payment, unless the account's rulebook says another number when it is purged."""

TEXT_CHARACTERS_MAX: Final = 320
"""The longest address there is (RFC 5321: 64 + 1 + 255); providers' ids are shorter."""

# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_KNOWN: Final = select(billing_records.c.at_us).where(
    billing_records.c.account == bindparam("b_account"),
    billing_records.c.transaction_id == bindparam("b_transaction"),
)
_INSERT: Final = insert(billing_records)


def record_payment(
    connection: Connection,
    account: str,
    *,
    at_us: int,
    amount: int,
    currency: str,
    email: str,
    transaction_id: str,
) -> bool:
    """Keep one payment; False where that transaction of the account is recorded already, which changes nothing.

    amount: in the currency's smallest unit, as the providers give it. Raises InputInvalid for a text too long.
    """
    texts = {"currency": currency, "email": email, "transaction_id": transaction_id}
    for name, text in texts.items():
        if len(text) > TEXT_CHARACTERS_MAX:
            raise InputInvalid(f"{name} has {len(text)} characters, at most {TEXT_CHARACTERS_MAX} are kept")
        if not is_storable(text):
            raise Unstorable
    if connection.execute(_KNOWN, {"b_account": account, "b_transaction": transaction_id}).first() is not None:
        return False
    keep_until_us = years_after_us(at_us, KEEP_YEARS)
    values = {"account": account, "at_us": at_us, "amount": amount, "keep_until_us": keep_until_us, **texts}
    connection.execute(_INSERT, values)
    return True


def keep(connection: Connection, account: str, years: int | None) -> tuple[int, int | None]:
    """Set the term of an account's records, counted from each payment; (how many, when the last one goes or None).

    years: as its rulebook says; None where it says nothing, which leaves KEEP_YEARS.
    """
    row = billing_records.c
    found = connection.execute(select(row.transaction_id, row.at_us).where(row.account == account)).all()
    ends = {r.transaction_id: years_after_us(r.at_us, KEEP_YEARS if years is None else years) for r in found}
    for transaction_id, end_us in ends.items():
        one = (row.account == account) & (row.transaction_id == transaction_id)
        connection.execute(update(billing_records).where(one).values(keep_until_us=end_us))
    return len(ends), max(ends.values(), default=None)


def erase_ended(connection: Connection, now_us: int) -> int:
    """Erase the records whose term has ended; returns how many."""
    return int(connection.execute(delete(billing_records).where(billing_records.c.keep_until_us <= now_us)).rowcount)
