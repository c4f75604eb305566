"""`pixelgate token`: create, list, revoke the tokens that people and programs sign in with."""

import re
from typing import Annotated

import typer

from deploy.errors import Misused
from deploy.output import fields, table
from deploy.session import Session, command, group
from gating.status import Role

tokens = group("Tokens: what people and programs sign in with. A secret is shown once and kept as its hash.")

UNITS = {"m": 60, "h": 3600, "d": 86400}
COLUMNS = ("id", "role", "account", "person", "permissions", "expires_at", "revoked_at")


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(tokens, name="token")


@command(tokens, "create", "pixelgate token create --role operator --expires 90d")
def create(
    session: Session,
    role: Annotated[Role, typer.Option(metavar="ROLE", help="Whose hands it acts with.")],
    account: Annotated[str | None, typer.Option(metavar="ID", help="The account it acts for.")] = None,
    person: Annotated[str | None, typer.Option(metavar="ID", help="Who holds it: an id, never a name.")] = None,
    permission: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What a member may beside: billing.")
    ] = None,
    expires: Annotated[str | None, typer.Option(metavar="D", help="For how long, as 30m, 12h, 90d.")] = None,
) -> None:
    """Make a token, and show it this once."""
    seconds = None if expires is None else seconds_of(expires)
    with session.gateway(new=True) as gateway:
        answer = gateway.create_token(
            role=role, account=account, person=person, permissions=permission or [], expires=seconds
        )
    session.emit(answer, lambda: fields((name, answer.get(name)) for name in ("token", *COLUMNS[:6])))


@command(tokens, "list", "pixelgate token list")
def list_(session: Session) -> None:
    """List all tokens, ended ones too; never their secrets."""
    with session.gateway() as gateway:
        found = gateway.tokens()
    rows = [[row.get(name) or None for name in COLUMNS] for row in found]
    session.emit(found, lambda: table(COLUMNS, rows, "no tokens; make one with `pixelgate token create`"))


@command(tokens, "revoke", "pixelgate token revoke token-1f0c...")
def revoke(session: Session, token: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="Its id.")]) -> None:
    """End a token for good."""
    with session.gateway() as gateway:
        answer = gateway.revoke_token(token)
    session.emit(answer, lambda: fields((name, answer.get(name)) for name in COLUMNS))


def seconds_of(text: str) -> float:
    """Read 30m, 12h or 90d. Raises Misused."""
    read = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if read is None:
        raise Misused(f"--expires {text[:40]!r} does not read: write it as 30m, 12h or 90d")
    return float(int(read[1]) * UNITS[read[2]])
