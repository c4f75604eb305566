"""People of an account as the ledger keeps them. Called by Ledger and Transaction, inside their transactions.

The row of somebody who left stays without the address, so that an id in the history can be explained.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, func, insert, select, update

from gating.errors import NotFound, Refused
from gating.ledger.tables import people, tokens
from gating.ledger.tokens import demand_account
from gating.status import Role

PEOPLE_PER_ACCOUNT_MAX: Final = 1_000
"""People of one account, those who left too: a list of them is read whole."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Somebody who belongs to an account. email: None where none was given, or it was erased."""

    id: str
    account: str
    role: Role
    permissions: tuple[str, ...]
    email: str | None
    created_at_us: int

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of the table."""
        permissions = tuple(json.loads(row.permissions))
        return cls(row.id, row.account, Role(row.role), permissions, row.email, row.created_at_us)


def add_person(connection: Connection, person: PersonRow) -> None:
    """Keep a new person. Raises NotFound for an unknown account, Refused beyond PEOPLE_PER_ACCOUNT_MAX."""
    demand_account(connection, person.account)
    mine = select(func.count()).select_from(people).where(people.c.account == person.account)
    if connection.execute(mine).scalar_one() >= PEOPLE_PER_ACCOUNT_MAX:
        raise Refused(f"account {person.account!r} has {PEOPLE_PER_ACCOUNT_MAX} people, the most it may have")
    connection.execute(
        insert(people).values(
            id=person.id, account=person.account, role=person.role.value, permissions=json.dumps(person.permissions),
            email=person.email, created_at_us=person.created_at_us,
        )
    )  # fmt: skip


def remove_person(connection: Connection, account: str, person: str, at_us: int) -> None:
    """Take them out of the account, end their tokens, forget their address. Raises NotFound."""
    mine = (people.c.account == account) & (people.c.id == person) & people.c.removed_at_us.is_(None)
    if connection.execute(update(people).where(mine).values(removed_at_us=at_us, email=None)).rowcount == 0:
        raise NotFound(f"account {account[:80]!r} has no person {person[:80]!r}; `account person list` shows them")
    theirs = (tokens.c.account == account) & (tokens.c.person == person) & tokens.c.revoked_at_us.is_(None)
    connection.execute(update(tokens).where(theirs).values(revoked_at_us=at_us))


def erase_emails(connection: Connection, account: str) -> int:
    """Forget the addresses of all its people; how many went."""
    named = (people.c.account == account) & people.c.email.is_not(None)
    return int(connection.execute(update(people).where(named).values(email=None)).rowcount)
