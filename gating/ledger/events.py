"""Events: what payment providers told, from being stored to being erased, and whose their customers are.

Called by gating/webhooks inside a transaction of the ledger's (`Ledger.note`, `Ledger.look`, or a change's own), so
each function takes its connection. It decides nothing of what an event means. Times are microseconds UTC.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, tuple_, update

from gating.ledger.tables import webhook_customers as customers
from gating.ledger.tables import webhook_events as events
from gating.ledger.tables import webhook_subscriptions as subscriptions

PAGE_ROWS: Final = 200
WHY_CHARACTERS_MAX: Final = 500


class State(StrEnum):
    """Where an event stands."""

    PENDING = "pending"  # stored, and to be applied
    APPLIED = "applied"  # it changed its account, or a notice of it is owed
    IGNORED = "ignored"  # nothing was to be done: `why` says so
    FAILED = "failed"  # it could not be read as the provider's mapping says; an operator may retry it
    PARKED = "parked"  # nobody knows whose it is; `billing link` sets it going again


@dataclass(frozen=True, slots=True)
class Received:
    """An event that is to be stored; account, customer: as it names them. state: PENDING, or IGNORED and why."""

    provider: str
    event_id: str
    type: str
    created_at_us: int
    received_at_us: int
    account: str | None
    customer: str | None
    body: bytes
    state: State = State.PENDING
    why: str | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A stored event. body: as it was signed; empty where it was not asked for, or once erased."""

    sequence: int
    provider: str
    event_id: str
    type: str
    created_at_us: int
    received_at_us: int
    state: State
    account: str | None
    customer: str | None
    why: str | None
    version: int | None
    tries: int
    body: bytes = b""

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """From a row of the table, with or without its body."""
        values = dict(row._mapping)
        return cls(**{**values, "state": State(values["state"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event that was tried."""

    state: State
    why: str | None = None
    account: str | None = None
    version: int | None = None
    keeps_body: bool = True


_LINE: Final = tuple(column for column in events.c if column is not events.c.body)
_INSERT: Final = insert(events)
_SETTLE: Final = (
    update(events)
    .where(events.c.sequence == bindparam("b_sequence"))
    .values(
        state=bindparam("b_state"), why=bindparam("b_why"), version=bindparam("b_version"),
        account=func.coalesce(bindparam("b_account"), events.c.account), tries=events.c.tries + 1,
    )
)  # fmt: skip

# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it, and these are of every event.
_ACCOUNT_OF: Final = select(customers.c.account).where(
    customers.c.provider == bindparam("b_provider"), customers.c.customer == bindparam("b_customer")
)
_KNOWN: Final = select(subscriptions).where(subscriptions.c.account == bindparam("b_account"))
_KEEP_KNOWN: Final = (
    update(subscriptions)
    .where(
        subscriptions.c.account == bindparam("b_account"), subscriptions.c.provider == bindparam("b_provider"),
        subscriptions.c.subscription == bindparam("b_subscription"),
    )
    .values(known=bindparam("b_known"), moved_at_us=bindparam("b_moved_at_us"))
)  # fmt: skip


# ---- storing ---------------------------------------------------------------------------------------------------------


def store(connection: Connection, received: Sequence[Received]) -> int:
    """Store each event that is not there yet, once; returns how many were new. Alone of its turn (`Ledger.note`)."""
    new = {(one.provider, one.event_id): one for one in reversed(received)}
    keys = tuple_(events.c.provider, events.c.event_id)
    for row in connection.execute(select(events.c.provider, events.c.event_id).where(keys.in_(list(new)))):
        del new[row.provider, row.event_id]
    if not new:
        return 0
    last = connection.execute(select(func.max(events.c.sequence))).scalar() or 0
    rows = [
        {
            "sequence": sequence, "provider": one.provider, "event_id": one.event_id, "type": one.type,
            "created_at_us": one.created_at_us, "received_at_us": one.received_at_us, "state": one.state.value,
            "why": one.why, "account": one.account, "customer": one.customer, "tries": 0, "body": one.body,
        }
        for sequence, one in enumerate(reversed(new.values()), last + 1)
    ]  # fmt: skip
    connection.execute(_INSERT, rows)
    return len(rows)


# ---- applying --------------------------------------------------------------------------------------------------------


def pending(connection: Connection, limit: int) -> list[EventRow]:
    """The events that wait, as they came, with their bodies."""
    wanted = select(events).where(events.c.state == State.PENDING.value).order_by(events.c.sequence).limit(limit)
    return [EventRow.of(row) for row in connection.execute(wanted)]


def still_pending(connection: Connection, sequences: Iterable[int]) -> set[int]:
    """Those of them that still wait: asked inside the transaction that applies them."""
    wanted = select(events.c.sequence).where(
        events.c.sequence.in_(list(sequences)), events.c.state == State.PENDING.value
    )
    return {row.sequence for row in connection.execute(wanted)}


def settle(connection: Connection, sequence: int, outcome: Outcome) -> None:
    """Note what became of an event."""
    connection.execute(
        _SETTLE,
        {
            "b_sequence": sequence, "b_state": outcome.state.value, "b_version": outcome.version,
            "b_why": outcome.why and outcome.why[:WHY_CHARACTERS_MAX], "b_account": outcome.account,
        },
    )  # fmt: skip
    if not outcome.keeps_body:
        connection.execute(update(events).where(events.c.sequence == sequence).values(body=b"", customer=None))


# ---- whose, and what is known ----------------------------------------------------------------------------------------


def account_of(connection: Connection, provider: str, customer: str) -> str | None:
    """The account a provider's customer belongs to."""
    found: str | None = connection.execute(_ACCOUNT_OF, {"b_provider": provider, "b_customer": customer}).scalar()
    return found


def customers_of(connection: Connection, provider: str, account: str) -> set[str]:
    """The provider's customers that belong to the account."""
    rows = customers.c
    wanted = select(rows.customer).where(rows.account == account, rows.provider == provider)
    return set(connection.execute(wanted).scalars())


def providers_of_customers(connection: Connection) -> set[str]:
    """The providers that accounts pay by."""
    return set(connection.execute(select(customers.c.provider).distinct()).scalars())


def link(connection: Connection, provider: str, customer: str, account: str, at_us: int) -> int:
    """Say whose a customer is, from now on; its parked events wait again: how many. The account must exist."""
    here = (customers.c.provider == provider) & (customers.c.customer == customer)
    if account_of(connection, provider, customer) is None:
        connection.execute(
            insert(customers).values(provider=provider, customer=customer, account=account, at_us=at_us)
        )  # fmt: skip
    else:
        connection.execute(update(customers).where(here).values(account=account, at_us=at_us))
    parked = (events.c.state == State.PARKED.value) & (events.c.provider == provider) & (events.c.customer == customer)
    return int(connection.execute(update(events).where(parked).values(state=State.PENDING.value)).rowcount)


def known(connection: Connection, account: str) -> dict[tuple[str, str], tuple[str, int]]:
    """(provider, subscription) -> (what is known, when billing last moved the account by it)."""
    found = connection.execute(_KNOWN, {"b_account": account})
    return {(row.provider, row.subscription): (row.known, row.moved_at_us) for row in found}


def keep_known(
    connection: Connection, account: str, provider: str, subscription: str, text: str, moved_at_us: int
) -> None:
    """Note what is known of a subscription by now."""
    values = {
        "account": account, "provider": provider, "subscription": subscription, "known": text,
        "moved_at_us": moved_at_us,
    }  # fmt: skip
    if not connection.execute(_KEEP_KNOWN, {f"b_{name}": value for name, value in values.items()}).rowcount:
        connection.execute(insert(subscriptions).values(values))


# ---- looking ---------------------------------------------------------------------------------------------------------


def page(
    connection: Connection, state: State | None, account: str | None, before: int | None, limit: int = PAGE_ROWS
) -> list[EventRow]:
    """Stored events without their bodies, newest first, below sequence `before`."""
    wanted = select(*_LINE).order_by(events.c.sequence.desc()).limit(limit)
    if state is not None:
        wanted = wanted.where(events.c.state == state.value)
    if account is not None:
        wanted = wanted.where(events.c.account == account)
    if before is not None:
        wanted = wanted.where(events.c.sequence < before)
    return [EventRow.of(row) for row in connection.execute(wanted)]


def named(connection: Connection, event_id: str) -> list[EventRow]:
    """The events with this id, one a provider at the most, with their bodies."""
    return [EventRow.of(row) for row in connection.execute(select(events).where(events.c.event_id == event_id))]


def retry(connection: Connection, sequence: int) -> bool:
    """Have a failed, parked or ignored event wait again; False for one that waits, was applied or is erased."""
    again = events.c.state.in_([State.FAILED.value, State.PARKED.value, State.IGNORED.value])
    here = (events.c.sequence == sequence) & again & (func.length(events.c.body) > 0)
    return bool(connection.execute(update(events).where(here).values(state=State.PENDING.value)).rowcount)


def standing_of(connection: Connection) -> dict[State, int]:
    """How many events stand in each state."""
    wanted = select(events.c.state, func.count()).group_by(events.c.state)
    return {State(row[0]): row[1] for row in connection.execute(wanted)}


def oldest_pending_us(connection: Connection) -> int | None:
    """When the event was received that has waited longest; None where none waits."""
    wanted = select(events.c.received_at_us).where(events.c.state == State.PENDING.value)
    found: int | None = connection.execute(wanted.order_by(events.c.sequence).limit(1)).scalar()
    return found


# ---- erasing ---------------------------------------------------------------------------------------------------------


def erase_before(connection: Connection, received_before_us: int, limit: int) -> int:
    """Erase events, oldest first, that nothing waits for any more and that were received before; how many."""
    gone = 0
    for state in (State.APPLIED, State.IGNORED, State.FAILED, State.PARKED):
        old = select(events.c.sequence).where(
            events.c.state == state.value, events.c.received_at_us < received_before_us
        )  # fmt: skip
        sequences = [row.sequence for row in connection.execute(old.order_by(events.c.sequence).limit(limit - gone))]
        if sequences:
            gone += connection.execute(delete(events).where(events.c.sequence.in_(sequences))).rowcount
    return gone


def erase_account(connection: Connection, account: str) -> int:
    """Erase all that providers told of an account: its events and its customers' parked ones, whose its customers are,
    what is known of its subscriptions. Returns how many rows went; harmless twice."""
    theirs = select(customers.c.provider, customers.c.customer).where(customers.c.account == account)
    gone = 0
    for row in connection.execute(theirs).all():
        of_customer = (events.c.provider == row.provider) & (events.c.customer == row.customer)
        nobodys = or_(events.c.account.is_(None), events.c.account == account)
        gone += connection.execute(delete(events).where(of_customer & nobodys)).rowcount
    gone += connection.execute(delete(events).where(events.c.account == account)).rowcount
    gone += connection.execute(delete(customers).where(customers.c.account == account)).rowcount
    gone += connection.execute(delete(subscriptions).where(subscriptions.c.account == account)).rowcount
    return gone
