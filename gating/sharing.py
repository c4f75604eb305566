"""Sharing: a gating service on a ledger that several share, or whose workers are on other hosts, reached by Redis.

What `process.Leading` is for one host: the service and its API, with a `SharedLead` behind them. One that contends for
the lead runs the relay too. One that does not (a command line) commits, and waits for what the leader notes.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

from fastapi import FastAPI

from gating.accounts_topic import AccountsTopic
from gating.api import make_api
from gating.clock import Clock
from gating.config import LeadSettings
from gating.datadir import DataDirectory
from gating.effects.desk import add_routes
from gating.election import Candidate
from gating.errors import InputInvalid
from gating.ledger import Ledger, ledger_url
from gating.ledger.store import Channel
from gating.ledger.wake import Wakeups
from gating.redis_client import open_redis
from gating.relay import Relay
from gating.service import Service
from gating.shared_lead import SharedLead
from gating.webhooks.desk import Desk
from gating.webhooks.routes import add_billing

HOLDER_BYTES: Final = 16


class Sharing:
    """For as long as the block runs: a service over the ledger, and this process's part in leading."""

    def __init__(self, directory: DataDirectory, settings: LeadSettings, *, contends: bool) -> None:
        """Raises InputInvalid for a service that would lead and has no Redis to lead by."""
        if contends and not settings.redis_url:
            raise InputInvalid(
                "DATABASE_URL is set and REDIS_URL is not: workers learn of flips from Redis where the ledger is no "
                "file of their own host; set both, or neither"
            )
        self._settings = settings
        self._contends = contends
        self._url = ledger_url(directory, settings.database_url)
        self._closing = contextlib.AsyncExitStack()
        self._relaying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as opening:
            self.ledger = opening.enter_context(contextlib.closing(await asyncio.to_thread(Ledger.open, self._url)))
            clock = Clock()
            shared = self._settings.database_url is not None
            holder = secrets.token_hex(HOLDER_BYTES)
            candidate = Candidate(self.ledger, holder, alone=not shared, reading=clock.reading)
            redis = open_redis(self._settings.redis_url, name="pixelgate-gating") if self._settings.redis_url else None
            if redis is not None:
                opening.push_async_callback(redis.aclose)
            self.lead = SharedLead(self.ledger, redis if self._contends else None, candidate, clock, notes=shared)
            opening.callback(self.lead.close)
            self.service = opening.enter_context(contextlib.closing(Service(self.ledger, self.lead, clock)))
            self.api: FastAPI = make_api(self.service)
            add_billing(self.api, Desk(self.ledger, self.service))
            add_routes(self.api, self.ledger, clock, self.service.in_turn)
            wakeups = await opening.enter_async_context(Wakeups(self._url))
            opening.push_async_callback(_ended, asyncio.create_task(self._wake(wakeups)))
            self.relay: Relay | None = None
            if redis is not None and self._contends:
                self.relay = Relay(
                    self.ledger, redis, self.lead, in_turn=self.service.in_turn, accounts_topic=self._topic()
                )
                self.lead.on_news = self.relay.wake
                await opening.enter_async_context(self.lead.running())
                self._relaying = asyncio.create_task(self.relay.run())
                opening.push_async_callback(_ended, self._relaying)
            self._closing = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    @property
    def leads(self) -> bool:
        """Whether this is the service that sweeps deadlines now."""
        return self.lead.leads

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """Nothing but to notice a relay that ends by a bug: it relays from the block's beginning to its end."""
        return [] if self._relaying is None else [_outcome(self._relaying)]

    def _topic(self) -> AccountsTopic | None:
        if not self._settings.kafka_bootstrap:
            return None
        return AccountsTopic(self.ledger, self._settings.kafka_bootstrap, in_turn=self.service.in_turn)

    async def _wake(self, wakeups: Wakeups) -> None:
        """Pass on what other services did to the ledger."""
        async for channel in wakeups:
            if channel is Channel.CHANGES:
                self.lead.on_news(())
            else:
                self.lead.noticed()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _outcome(task: "asyncio.Task[None]") -> None:
    """Raises what the task raised; cancelling this leaves the task to whoever owns it."""
    await asyncio.shield(task)
