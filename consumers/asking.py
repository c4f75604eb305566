"""Asking: how far the partitions must be read so that every hit answered before now is in. For `KafkaSource.ends`.

A question goes to `pixel.publishers`, and every publisher answers it there once all that its host had answered is in
Kafka (`collector/publishers.py`). This side follows the topic from the first question on and knows who must answer.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from collector.event import time_text
from collector.publishers import TOPIC_PUBLISHERS, Announcement, Answer, Ask, Farewell, Place, decode
from consumers.errors import NotSettledInTime
from consumers.kafka_clients import stopped
from gating.errors import Unreachable

CONNECT_SECONDS: Final = 10.0
NAMED_MAX: Final = 5
LOG: Final = logging.getLogger("pixelgate.consumers")


class Hearing:
    """What was said on the topic so far, and who must still answer the questions asked here. Pure."""

    def __init__(self) -> None:
        self._known: dict[str, Announcement] = {}
        self._awaited: dict[str, dict[str, Announcement]] = {}  # by nonce, once the question itself was read
        self._offsets: dict[str, dict[Place, int]] = {}

    def ask(self, nonce: str) -> None:
        """A question is put now."""
        self._offsets[nonce] = {}

    def begin_anew(self) -> None:
        """The topic is read from its start again."""
        self._known.clear()
        self._awaited.clear()

    def forget(self, nonce: str) -> None:
        """Nobody waits for it any more."""
        self._offsets.pop(nonce, None)
        self._awaited.pop(nonce, None)

    def hear(self, key: bytes | None, value: bytes | None) -> None:
        """Take in the topic's next record. Whoever is known where a question stands must answer it or say farewell."""
        match decode(key, value):
            case Announcement() as announcement:
                self._known[announcement.publisher] = announcement
            case Farewell(publisher):
                self._known.pop(publisher, None)
                for awaited in self._awaited.values():
                    awaited.pop(publisher, None)
            case Ask(nonce) if nonce in self._offsets:
                self._awaited[nonce] = dict(self._known)
            case Answer(nonce, publisher, offsets) if nonce in self._awaited:
                self._awaited[nonce].pop(publisher, None)
                needed = self._offsets[nonce]
                for place, offset in offsets.items():
                    needed[place] = max(offset, needed.get(place, 0))

    def missing(self, nonce: str) -> list[Announcement] | None:
        """Who has not answered yet, longest silent first; None while the question itself was not read back."""
        awaited = self._awaited.get(nonce)
        return None if awaited is None else sorted(awaited.values(), key=lambda one: one.beat_us)

    def offsets(self, nonce: str) -> Mapping[Place, int]:
        """The highest offset that any answer named, by partition."""
        return self._offsets[nonce]


class Asker:
    """Asks on one cluster. Made where a loop runs; connects at the first question."""

    def __init__(self, bootstrap: str, topic: str = TOPIC_PUBLISHERS) -> None:
        self._bootstrap = bootstrap
        self._partition = TopicPartition(topic, 0)
        self._hearing = Hearing()
        self._heard = asyncio.Condition()
        self._connecting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._following: asyncio.Task[None] | None = None

    async def ask(self, seconds: float) -> Mapping[Place, int]:
        """Return the highest offset that any publisher's hits answered before now lie at, by partition.

        Raises NotSettledInTime, which names who has not answered after `seconds`; Unreachable.
        """
        nonce = secrets.token_hex(16)
        self._hearing.ask(nonce)
        try:
            async with asyncio.timeout(seconds):
                await self._put(Ask(nonce, time.time_ns() // 1000))
                async with self._heard:
                    await self._heard.wait_for(lambda: self._gone() or self._hearing.missing(nonce) == [])
            if self._hearing.missing(nonce) != []:
                raise Unreachable(f"Kafka at {self._bootstrap} was lost while publishers were asked")
            return dict(self._hearing.offsets(nonce))
        except TimeoutError:
            raise NotSettledInTime(seconds, self._silent(nonce)) from None
        finally:
            self._hearing.forget(nonce)

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
            self._following = None
        if self._producer is not None:
            await stopped(self._producer)
            self._producer = None

    def _gone(self) -> bool:
        return self._following is None or self._following.done()

    def _silent(self, nonce: str) -> str:
        missing = self._hearing.missing(nonce)
        if missing is None:
            return f"Kafka at {self._bootstrap} has not taken the question to the publishers"
        told = [f"publisher {one.publisher[:8]} on {one.host} (last word {time_text(one.beat_us)})" for one in missing]
        more = f" and {len(told) - NAMED_MAX} more" if len(told) > NAMED_MAX else ""
        return f"no answer from {', '.join(told[:NAMED_MAX])}{more}"

    async def _put(self, question: Ask) -> None:
        async with self._connecting:
            if self._gone():
                await self.close()
                await self._connect()
        assert self._producer is not None
        try:
            await self._producer.send_and_wait(
                self._partition.topic, question.encode(), question.key, self._partition.partition
            )
        except KafkaError as error:
            raise Unreachable(f"Kafka at {self._bootstrap} does not take a question: {error}") from error

    async def _connect(self) -> None:
        """Follow the topic from its start: it holds a day of words at most, and beats are few."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, auto_offset_reset="earliest")
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await consumer.start()
                if self._partition.topic not in await consumer.topics():
                    raise Unreachable(f"Kafka has no topic {self._partition.topic}: no publisher ever ran there")
                consumer.assign([self._partition])
                await consumer.seek_to_beginning(self._partition)
                await producer.start()
        except BaseException as error:
            await stopped(consumer)
            await stopped(producer)
            if isinstance(error, KafkaError | OSError | TimeoutError):
                raise Unreachable(f"publishers cannot be asked through Kafka at {self._bootstrap}: {error}") from error
            raise
        self._hearing.begin_anew()
        self._producer = producer
        self._following = asyncio.create_task(self._follow(consumer))

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        self._hearing.hear(record.key, record.value)
                async with self._heard:
                    self._heard.notify_all()
        except KafkaError as error:
            LOG.warning("following what publishers say ended: %s", error)
        finally:
            await stopped(consumer)
            async with self._heard:
                self._heard.notify_all()
