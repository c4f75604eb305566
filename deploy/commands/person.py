"""`pixelgate account person`: add, list, remove the people of an account."""

from typing import Annotated

import typer

from deploy.commands.account import AccountArgument, accounts
from deploy.output import fields, table
from deploy.session import Session, command, group
from gating.status import Role

people = group("People of an account: owners, admins, members, billing.")

COLUMNS = ("person", "role", "permissions", "email", "created_at")


def register(_: typer.Typer) -> None:
    """Add the group below `account`."""
    accounts.add_typer(people, name="person")


@command(people, "add", "pixelgate account person add shop --role owner --email ann@example.com")
def add(
    session: Session,
    account: AccountArgument,
    role: Annotated[Role, typer.Option(metavar="ROLE", help="owner, admin, member or billing.")],
    email: Annotated[str | None, typer.Option(metavar="EMAIL", help="Where they are written to.")] = None,
    permission: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What a member may beside: billing.")
    ] = None,
) -> None:
    """Add somebody to an account; there may be several owners."""
    with session.gateway() as gateway:
        answer = gateway.add_person(account, role=role, email=email, permissions=permission or [])
    session.emit(answer, lambda: fields((name, answer.get(name)) for name in COLUMNS))


@command(people, "list", "pixelgate account person list shop")
def list_(session: Session, account: AccountArgument) -> None:
    """List who belongs to an account."""
    with session.gateway() as gateway:
        found = gateway.people(account)
    rows = [[row.get(name) or None for name in COLUMNS] for row in found]
    session.emit(found, lambda: table(COLUMNS, rows, f"account {account!r} has no people"))


@command(people, "remove", "pixelgate account person remove shop person-1f0c...")
def remove(
    session: Session,
    account: AccountArgument,
    person: Annotated[str, typer.Argument(help="Their id.")],
) -> None:
    """Take somebody out of an account, and forget their address."""
    with session.gateway() as gateway:
        answer = gateway.remove_person(account, person)
    session.emit(answer, lambda: print(f"{account}: {person} belongs to it no more"))
