"""`pixelgate effects`: what decisions still owe to the world, what was given up, what a person has to do."""

from typing import Annotated

import typer

from deploy.output import fields, table
from deploy.session import Session, command, group

effects = group("What decisions owe: notices, calls to other systems, tasks for people.")

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="The effect's id, as the lists show it.")]
COLUMNS = ("id", "account", "kind", "at", "tries", "next", "last_error")


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(effects, name="effects")


@command(effects, "list", "pixelgate effects list")
def list_(session: Session) -> None:
    """List what is owed and not carried out yet, oldest first."""
    _show(session, "", COLUMNS, "nothing is owed")


@command(effects, "dead", "pixelgate effects dead")
def dead(session: Session) -> None:
    """List what was given up."""
    _show(session, "/dead", COLUMNS, "there are no dead letters")


@command(effects, "due", "pixelgate effects due")
def due(session: Session) -> None:
    """List what a person has to do, the soonest first."""
    _show(session, "/due", ("id", "account", "kind", "due", "overdue"), "nothing is due")


def _show(session: Session, which: str, columns: tuple[str, ...], nothing: str) -> None:
    with session.gateway() as gateway:
        found = gateway.effects(which)
    rows = [tuple(str(row[name]) for name in columns) for row in found]
    session.emit(found, lambda: table(columns, rows, nothing))


@command(effects, "retry", "pixelgate effects retry 1025")
def retry(session: Session, effect: IdArgument) -> None:
    """Have a dead letter tried again, under the same idempotency key."""
    with session.gateway() as gateway:
        answer = gateway.change_effect(effect, "retry")
    session.emit(answer, lambda: fields(answer.items()))


@command(effects, "done", "pixelgate effects done 1025")
def done(session: Session, effect: IdArgument) -> None:
    """Mark what was due as done."""
    with session.gateway() as gateway:
        answer = gateway.change_effect(effect, "done")
    session.emit(answer, lambda: fields(answer.items()))
