"""Desk: what an operator asks and tells about webhook events; and the erasing of an account's.

Behind the command line's socket (`routes.py`), in the service or in a command line that leads by itself. What it sets
going again is carried out by the applier of the service that leads.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import orjson
from sqlalchemy import Connection

from gating.errors import InputInvalid, NotFound, Refused
from gating.feed import StatusChange
from gating.ledger import Ledger, Transaction, events
from gating.ledger.events import PAGE_ROWS, EventRow, State
from gating.service import Service
from gating.times import rfc3339
from gating.views import Document
from gating.webhooks.mapping import providers

T = TypeVar("T")

CUSTOMER_CHARACTERS_MAX: Final = 255


class Desk:
    """The verbs of `pixelgate billing`. Documents are what it prints as JSON."""

    def __init__(self, ledger: Ledger, service: Service) -> None:
        self._ledger = ledger
        self._service = service

    async def events(
        self, state: str | None, account: str | None, before: int | None, limit: int = PAGE_ROWS
    ) -> list[Document]:
        """Stored events, newest first, `limit` at the most, below sequence `before`. Raises InputInvalid."""
        if state is not None and state not in list(State):
            raise InputInvalid(f"no state {state[:40]!r}; there are: {', '.join(State)}")
        wanted = None if state is None else State(state)
        rows = await self._look(lambda connection: events.page(connection, wanted, account, before, limit))
        return [_line(row) for row in rows]

    async def event(self, event: str) -> Document:
        """One event, by its id or as `provider:id`, with its body where it is not erased. Raises NotFound."""
        row = await self._find(event)
        return {**_line(row), "body": orjson.loads(row.body) if row.body else None}

    async def retry(self, event: str) -> Document:
        """Have it tried again. Raises NotFound; Refused for one that waits, was applied or is erased."""
        row = await self._find(event)

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            return {"retried": events.retry(transaction.connection, row.sequence)}, []

        if not (await self._service.commit(change))["retried"]:
            raise Refused(
                f"event {row.event_id!r} is {row.state}{'' if row.body else ' and its body is erased'}: only a failed, "
                "parked or ignored one is tried again"
            )
        return _line(await self._find(event))

    async def link(self, account: str, provider: str, customer: str, now_us: int) -> Document:
        """Say whose a customer is; what was parked for want of it waits again. Raises NotFound, InputInvalid."""
        if provider not in providers():
            raise InputInvalid(f"no provider {provider[:40]!r}; there are: {', '.join(providers())}")
        if not (0 < len(customer) <= CUSTOMER_CHARACTERS_MAX and customer.isprintable()):
            raise InputInvalid(f"a customer's id has 1 to {CUSTOMER_CHARACTERS_MAX} printable characters")

        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            transaction.account(account)  # who is not there has no customer
            again = events.link(transaction.connection, provider, customer, account, now_us)
            return {"account": account, "provider": provider, "customer": customer, "retried": again}, []

        done = await self._service.commit(change)
        return {name: done[name] for name in ("account", "provider", "customer", "retried")}

    async def _find(self, event: str) -> EventRow:
        provider, colon, event_id = event.partition(":")
        known = colon and provider in providers()
        rows = await self._look(lambda connection: events.named(connection, event_id if known else event))
        rows = [row for row in rows if not known or row.provider == provider]
        if not rows:
            raise NotFound(f"there is no event {event[:140]!r}; `pixelgate billing events` lists those there are")
        if len(rows) > 1:
            raise InputInvalid(f"several providers have an event {event!r}: name it {rows[0].provider}:{event}")
        return rows[0]

    async def _look(self, ask: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._ledger.look, ask)


def erase_events(ledger: Ledger, account: str) -> int:
    """Erase all that providers told of an account, its customers and subscriptions too; how many rows went.

    For the deletion of an account, once it is DELETED: what comes later for it loses its body as it is applied.
    Harmless twice. Blocks for a commit or two.
    """
    return ledger.change(lambda transaction: events.erase_account(transaction.connection, account))


def _line(row: EventRow) -> Document:
    return {
        "sequence": row.sequence,
        "provider": row.provider,
        "event": row.event_id,
        "type": row.type,
        "state": row.state,
        "account": row.account,
        "customer": row.customer,
        "created_at": rfc3339(row.created_at_us),
        "received_at": rfc3339(row.received_at_us),
        "why": row.why,
        "version": row.version,
        "tries": row.tries,
    }
