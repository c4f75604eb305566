"""Pages: lists of the ledger read a bounded part at a time, from a position on, for whoever must not read them whole.

A position is the order's own columns of the last row that was read, so a page stays right while rows are added: none is
told twice, and none that was there is left out. Called within one short snapshot (`Ledger.look`).
"""

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, and_, or_, select, true

from gating.ledger import tables
from gating.ledger.people import PersonRow
from gating.ledger.rows import AccountRow, HistoryRow, KeyRow
from gating.ledger.tokens import TokenRow

Place = tuple[int, str]
"""Where a list ordered by a number and then an id goes on: beyond this row."""
START: Final[Place] = (-1, "")
ROWS_MAX: Final = 1_000
"""What is read at once where no page is asked for."""


def accounts(
    connection: Connection, after: str, limit: int, *, rulebook: str | None = None, only: str | None = None
) -> list[AccountRow]:
    """Accounts by id. only: at most this one."""
    row = tables.accounts.c
    wanted = select(tables.accounts).where(row.id > after, _is(row.rulebook, rulebook), _is(row.id, only))
    return [AccountRow.of(found) for found in connection.execute(wanted.order_by(row.id).limit(limit))]


def history(connection: Connection, after: int, limit: int, *, account: str | None = None) -> list[HistoryRow]:
    """Changes by version, of all accounts or one, each with what was written beside it."""
    row, beside = tables.history.c, tables.details.c
    wanted = select(tables.history).where(row.version > after, _is(row.account, account))
    found = list(connection.execute(wanted.order_by(row.version).limit(limit)).all())
    if not found:
        return []
    details: dict[int, dict[str, str]] = {}
    accounts_of = {one.account for one in found}
    texts = select(beside.version, beside.name, beside.text).where(
        beside.account.in_(accounts_of), beside.version.in_([one.version for one in found])
    )
    for text in connection.execute(texts):
        details.setdefault(text.version, {})[text.name] = text.text
    return [HistoryRow.of(one, details.get(one.version)) for one in found]


def keys(connection: Connection, account: str, after: Place, limit: int) -> list[KeyRow]:
    """An account's write keys, revoked ones too, oldest first."""
    row = tables.keys.c
    beyond = _beyond(row.created_version, row.write_key, after)
    wanted = select(tables.keys).where(row.account == account, beyond)
    return [KeyRow.of(one) for one in connection.execute(_in_order(wanted, row.created_version, row.write_key, limit))]


def people(connection: Connection, account: str, after: Place, limit: int) -> list[PersonRow]:
    """Who belongs to an account now, first come first."""
    row = tables.people.c
    beyond = _beyond(row.created_at_us, row.id, after)
    wanted = select(tables.people).where(row.account == account, row.removed_at_us.is_(None), beyond)
    return [PersonRow.of(one) for one in connection.execute(_in_order(wanted, row.created_at_us, row.id, limit))]


def tokens(connection: Connection, after: Place, limit: int, *, account: str | None = None) -> list[TokenRow]:
    """Tokens, ended ones too, oldest first; of all accounts or one."""
    row = tables.tokens.c
    wanted = select(tables.tokens).where(_is(row.account, account), _beyond(row.created_at_us, row.id, after))
    return [TokenRow.of(one) for one in connection.execute(_in_order(wanted, row.created_at_us, row.id, limit))]


def deadlines(
    connection: Connection, after: Place, limit: int, *, until_us: int | None = None, account: str | None = None
) -> list[AccountRow]:
    """Accounts with a stored deadline, the soonest first. until_us: those alone that come by then."""
    row = tables.accounts.c
    due = true() if until_us is None else row.deadline_at_us <= until_us
    wanted = select(tables.accounts).where(
        row.deadline_at_us.is_not(None), due, _is(row.id, account), _beyond(row.deadline_at_us, row.id, after)
    )
    return [AccountRow.of(one) for one in connection.execute(_in_order(wanted, row.deadline_at_us, row.id, limit))]


def _is(column: Column[Any], value: str | None) -> ColumnElement[bool]:
    return true() if value is None else column == value


def _beyond(number: Column[Any], name: Column[Any], after: Place) -> ColumnElement[bool]:
    """Written out, and with a bound that an index takes: engines plan a comparison of tuples differently."""
    return and_(number >= after[0], or_(number > after[0], name > after[1]))


def _in_order(wanted: Any, number: Column[Any], name: Column[Any], limit: int) -> Any:
    return wanted.order_by(number, name).limit(limit)
