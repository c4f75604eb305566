"""`pixelgate clock`: what the service's clock shows, whether it is believed, and saying that it is right."""

from typing import Any

import typer

from deploy.output import fields
from deploy.session import Session, command, group

clock = group("The service's clock: whether it is believed, and what waits because it is not.")


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(clock, name="clock")


@command(clock, "show", "pixelgate clock show")
def show(session: Session) -> None:
    """Show the clock, the last heartbeat, and the deadlines that wait."""
    with session.gateway() as gateway:
        answer = gateway.clock()
    session.emit(answer, lambda: fields(_words(answer)))


@command(clock, "confirm", "pixelgate clock confirm")
def confirm(session: Session) -> None:
    """Say that the clock is right: deletions that were held because of it are then carried out."""
    with session.gateway() as gateway:
        answer = gateway.confirm_clock()
    session.emit(answer, lambda: fields(answer.items()))


def _words(answer: dict[str, Any]) -> list[tuple[str, Any]]:
    known = answer["activity_known_until"] or "no consumer has reported"
    return [
        ("now", answer["now"]),
        ("host's clock", f"{answer['host_ahead_seconds']:+.3f} s from it"),
        ("last heartbeat", answer["heartbeat"] or "none yet"),
        ("in doubt", f"{answer['in_doubt']}: {answer['why']}" if answer["in_doubt"] else "no"),
        ("deadlines that wait", answer["waiting"]),
        ("activity known until", known),
    ]
