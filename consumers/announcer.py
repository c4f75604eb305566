"""Announcer: events that settlement accepted come on `pixel.events` after all.

Runs beside the loop where Kafka is set. What was unverified lies on `pixel.hidden`, which readers of `pixel.events`
never see: here it is written again under the same id, with header `again` and `revealed_at`, and only then noted as
announced. Whoever dies in between announces it twice, which is harmless: readers drop by id. Must not judge an event.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from collector.event import Event
from collector.topics import Topics
from consumers.errors import WarehouseFailed
from consumers.kafka_clients import stopped, worded
from consumers.kafka_records import AGAIN, SCHEMA, SCHEMA_VALUE
from gating.status import Verdict

EVENTS_MAX: Final = 500
"""Of one announcement: a few hundred kilobytes, so that the next batch is not held up for long."""

IDLE_SECONDS: Final = 0.5
SEND_SECONDS: Final = 30.0
BACKOFF_SECONDS_MAX: Final = 10.0
LOG: Final = logging.getLogger("pixelgate.consumers")
OnWorker = Callable[..., Awaitable[Any]]
"""Runs a call on the one thread that may touch the warehouse (`Loop.on_worker`)."""


class Announcements(Protocol):
    """What is asked of a warehouse opened with `announces=True`."""

    def unannounced(self, limit: int) -> list[Event]: ...

    def announced(self, ids: Sequence[str]) -> None: ...


class Announcer:
    """One process's announcements. Several may announce out of one warehouse, for a moment: then some come twice.

    my_turn: whether this process is the one that does, now.
    """

    def __init__(
        self,
        bootstrap: str,
        warehouse: Announcements,
        on_worker: OnWorker,
        now_us: Callable[[], int],
        topics: Topics | None = None,
        my_turn: Callable[[], bool] = lambda: True,
    ) -> None:
        self._bootstrap = bootstrap
        self._my_turn = my_turn
        self._warehouse = warehouse
        self._on_worker = on_worker
        self._now_us = now_us
        self._topic = (topics or Topics()).events
        self._producer: AIOKafkaProducer | None = None
        self.announced = 0
        self.trouble = ""  # why the last attempt failed; empty when it did not

    async def run(self) -> None:
        """Go on until cancelled. Kafka may be away for as long as it likes: what is settled waits in the warehouse."""
        failures = 0
        while True:
            try:
                events = await self.announce_some() if self._my_turn() else 0
                failures, self.trouble = 0, ""
            except (KafkaError, OSError, TimeoutError, WarehouseFailed) as error:
                events, failures = 0, failures + 1
                self.trouble = f"what was settled is not announced: {worded(error)}"
                LOG.warning(self.trouble)
                await self.close()  # a producer that failed once may fail for ever (aiokafka 0.14)
            if not events:
                pause = min(IDLE_SECONDS * 2**failures, BACKOFF_SECONDS_MAX)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  jitter is no secret

    async def announce_some(self) -> int:
        """Announce up to EVENTS_MAX events; return how many. Raises KafkaError, OSError, TimeoutError, WarehouseFailed;
        then they are announced again."""
        events: list[Event] = await self._on_worker(self._warehouse.unannounced, EVENTS_MAX)
        if events:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send([announcement(event, self._now_us()) for event in events])
            await self._on_worker(self._warehouse.announced, [event.id for event in events])
            self.announced += len(events)
        return len(events)

    async def close(self) -> None:
        """Let go of the connection. Idempotent."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with contextlib.suppress(asyncio.CancelledError):
                await stopped(producer)

    async def _send(self, events: Sequence[Event]) -> None:
        """Write the events and return once every one is acknowledged by all replicas that must."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap, client_id="pixelgate-announcer", acks="all", enable_idempotence=True
            )
            try:
                await producer.start()
            except BaseException:
                await stopped(producer)
                raise
            self._producer = producer
        sent = [
            await self._producer.send(self._topic, event.encode(), event.kafka_key, headers=headers_again(event))
            for event in events
        ]
        await asyncio.gather(*sent)


def announcement(event: Event, now_us: int) -> Event:
    """The event as it comes later: accepted for sure, and revealed now where it does not say when. Pure."""
    revealed_at = now_us if event.revealed_at is None else event.revealed_at
    return replace(event, verdict=Verdict.ACCEPT, verified=True, revealed_at=revealed_at)


def headers_again(event: Event) -> list[tuple[str, bytes]]:
    """The headers of a record whose id may have come before."""
    return [(SCHEMA, SCHEMA_VALUE), ("verdict", event.verdict.name.encode()), (AGAIN, b"1")]
