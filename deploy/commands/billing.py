"""`pixelgate billing`: what payment providers told by webhook, and whose their customers are."""

from typing import Annotated, Any

import typer

from deploy.commands.account import AccountArgument
from deploy.output import fields, table
from deploy.session import Session, command, group

billing = group("Billing: events that payment providers sent, and whose their customers are.")

EventArgument = Annotated[str, typer.Argument(metavar="EVENT", help="The provider's id of it, such as evt_1Abc.")]
COLUMNS = ("received_at", "provider", "type", "event", "state", "account", "why")


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(billing, name="billing")


@command(billing, "events", "pixelgate billing events --state parked")
def events(
    session: Session,
    state: Annotated[
        str | None, typer.Option(metavar="S", help="Only these: pending, applied, ignored, failed, parked.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only this account's.")] = None,
    before: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only below this sequence: the next page.")
    ] = None,
) -> None:
    """List stored events, newest first, 200 at the most."""
    with session.gateway() as gateway:
        found = gateway.billing_events(state=state, account=account, before=before)
    rows = [[row[column] for column in COLUMNS] for row in found]
    session.emit(found, lambda: table(COLUMNS, rows, "no such events"))


@command(billing, "show", "pixelgate billing show evt_1Abc")
def show(session: Session, event: EventArgument) -> None:
    """Show one event: what became of it and why, and what the provider sent."""
    with session.gateway() as gateway:
        answer = gateway.billing_event(event)
    session.emit(answer, lambda: fields(answer.items()))


@command(billing, "retry", "pixelgate billing retry evt_1Abc")
def retry(session: Session, event: EventArgument) -> None:
    """Have an event applied again that failed, was parked or ignored."""
    with session.gateway() as gateway:
        answer = gateway.retry_event(event)
    session.emit(answer, lambda: _told(answer))


@command(billing, "link", "pixelgate billing link shop --provider stripe --customer cus_123")
def link(
    session: Session,
    account: AccountArgument,
    provider: Annotated[str, typer.Option(metavar="NAME", help="stripe or paddle.")],
    customer: Annotated[str, typer.Option(metavar="C", help="The provider's id of the customer.")],
) -> None:
    """Say whose a provider's customer is; events that were parked for want of it are applied."""
    with session.gateway() as gateway:
        answer = gateway.link_customer(account, provider=provider, customer=customer)
    session.emit(answer, lambda: fields(answer.items()))


def _told(answer: dict[str, Any]) -> None:
    fields((name, answer[name]) for name in ("provider", "event", "type", "state"))
