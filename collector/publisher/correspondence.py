"""Correspondence: the publisher's half of `pixel.publishers` (see `collector/publishers.py` for the words).

Run beside the pump, by clients of its own, so that neither waits for the other. It announces this publisher and
answers each question once all that the journals held when it came is acknowledged. What fails here is tried again, for
ever: whoever asked waits, and asks anew.
"""

import asyncio
import contextlib
import logging
import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from collector.journal.directory import sync_directory
from collector.journal.spool import journal_ends
from collector.publishers import BEAT_SECONDS, ID_CHARS, Announcement, Answer, Ask, Farewell, Place, Word, decode
from gating.datadir import DataDirectory

LOG: Final = logging.getLogger("pixelgate.publisher")
ID_NAME: Final = "publisher.id"
ASKS_MAX: Final = 100
"""Questions that wait at once; the oldest is given up for a newer one, and whoever asked it asks anew."""

ASK_SECONDS_MAX: Final = 3600.0
"""A question is waited on as long as `--settled` may wait."""

BACK_RECORDS: Final = 100
"""How far a start looks back for questions that came while nobody was here. Hosts' clocks do not say which are old: an
answer that nobody waits for any more does no harm."""

POLL_SECONDS: Final = 0.02
REQUEST_SECONDS: Final = 15.0
STOP_SECONDS: Final = 2.0
BACKOFF_SECONDS: Final = (0.2, 10.0)


@dataclass(slots=True)
class Waiting:
    """A question, when it came (monotonic), and each journal's end then."""

    nonce: str
    came: float
    ends: Mapping[str, int]


class Correspondent:
    """One publisher's voice."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        data: DataDirectory,
        through: Callable[[str], int],
        offsets: Callable[[], Mapping[Place, int]],
        *,
        host: str,
    ) -> None:
        """through: up to which sequence a journal is acknowledged. offsets: what of each partition is this host's."""
        self.publisher = publisher_id(data.root)
        self._bootstrap, self._topic, self._data = bootstrap, topic, data
        self._through, self._offsets = through, offsets
        self._host, self._started_us = host, time.time_ns() // 1000
        self._waiting: list[Waiting] = []
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Speak and listen until cancelled."""
        shortest, longest = BACKOFF_SECONDS
        wait_seconds = shortest
        while True:
            begun = time.monotonic()
            try:
                await self._converse()
            except (KafkaError, OSError, TimeoutError, ExceptionGroup) as error:
                LOG.info("the publishers' topic %s: %s", self._topic, error)
            wait_seconds = shortest if time.monotonic() - begun > longest else min(longest, wait_seconds * 2)
            await asyncio.sleep(wait_seconds * random.uniform(0.5, 1.0))  # noqa: S311

    async def farewell(self) -> None:
        """Tell that nothing is owed here any more; bounded, and no matter where it fails: the last word expires."""
        producer = self._producer()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await producer.start()
                await self._say(producer, Farewell(self.publisher))
        except (KafkaError, OSError, TimeoutError) as error:
            LOG.info("the farewell was not said: %s", error)
        finally:
            await _bounded(producer.stop())

    async def _converse(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id="pixelgate-publisher",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            request_timeout_ms=round(REQUEST_SECONDS * 1000),
        )
        producer = self._producer()
        try:
            async with asyncio.timeout(REQUEST_SECONDS * 2):
                await producer.start()
                await consumer.start()
                await self._begin(consumer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(consumer))
                tasks.create_task(self._beat(producer))
                tasks.create_task(self._answer(producer))
        finally:
            await _bounded(consumer.stop())
            await _bounded(producer.stop())

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="pixelgate-publisher",
            acks="all",
            request_timeout_ms=round(REQUEST_SECONDS * 1000),
        )

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        """Stand near the topic's end."""
        place = TopicPartition(self._topic, 0)
        consumer.assign([place])
        first = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        consumer.seek(place, max(first, end - BACK_RECORDS))

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            word = decode(record.key, record.value)
            if isinstance(word, Ask):
                ends = await asyncio.to_thread(journal_ends, self._data.journals)
                self._waiting.append(Waiting(word.nonce, time.monotonic(), ends))
                del self._waiting[:-ASKS_MAX]
                self._asked.set()

    async def _beat(self, producer: AIOKafkaProducer) -> None:
        while True:
            await self._say(
                producer, Announcement(self.publisher, self._host, self._started_us, time.time_ns() // 1000)
            )
            await asyncio.sleep(BEAT_SECONDS)

    async def _answer(self, producer: AIOKafkaProducer) -> None:
        while True:
            if not self._waiting:  # nobody waits, so nothing is looked at
                self._asked.clear()
                await self._asked.wait()
            await asyncio.sleep(POLL_SECONDS)
            for waiting in [waiting for waiting in self._waiting if self._is_met(waiting)]:
                await self._say(producer, Answer(waiting.nonce, self.publisher, dict(self._offsets())))
                self._waiting.remove(waiting)
            oldest = time.monotonic() - ASK_SECONDS_MAX
            self._waiting = [waiting for waiting in self._waiting if waiting.came > oldest]

    def _is_met(self, waiting: Waiting) -> bool:
        return all(self._through(journal) >= end for journal, end in waiting.ends.items())

    async def _say(self, producer: AIOKafkaProducer, word: Word) -> None:
        async with asyncio.timeout(REQUEST_SECONDS * 2):
            await producer.send_and_wait(self._topic, word.encode(), word.key, partition=0)


def publisher_id(root: Path) -> str:
    """Return the data directory's publisher id: 128 random bits in hex, made the first time. Raises OSError."""
    path = root / ID_NAME
    with contextlib.suppress(FileNotFoundError):
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if len(text) == ID_CHARS and all(digit in "0123456789abcdef" for digit in text):
            return text
    made = secrets.token_hex(ID_CHARS // 2)
    temporary = path.with_suffix(".id.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(descriptor)
    temporary.rename(path)
    sync_directory(root)
    return made


async def _bounded(closing: Awaitable[None]) -> None:
    """Wait for a client to let go, but not for long: it may wait for what can no longer be had."""
    task = asyncio.ensure_future(closing)
    done, _ = await asyncio.wait({task}, timeout=STOP_SECONDS)
    if not done:
        task.cancel()
    elif not task.cancelled() and (error := task.exception()):
        LOG.info("closing a client: %s", error)
