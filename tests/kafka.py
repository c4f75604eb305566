"""Topics of a test's own on a real cluster, and what a publisher would write to them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaError

from collector.event import TOPIC_EVENTS, Event
from collector.publishers import Announcement, Answer, Ask, Farewell, Word, decode
from collector.topics import Topics
from tests.eventually import aeventually

SCHEMA = ("schema", b"1")
AGAIN = ("again", b"1")


def own_topics() -> Topics:
    name = uuid.uuid4().hex[:8]
    return Topics(f"events-{name}", f"hidden-{name}", f"publishers-{name}")


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def make_topics(bootstrap: str, *names: str, partitions: int = 1, replicas: int = 1, **settings: str) -> None:
    """Make topics, waiting for those of the same names that are just going."""
    configs = {name.replace("_", "."): value for name, value in settings.items()}
    async with admin(bootstrap) as client:
        for name in names:
            for _ in range(100):
                response = await client.create_topics(
                    [NewTopic(name, partitions, replicas, topic_configs=configs)], timeout_ms=10_000
                )
                error = response.topic_errors[0][1]
                if not error:
                    break
                await asyncio.sleep(0.05)  # a poll: the broker is asked again until the old one is gone
            assert not error, f"{name}: error {error}"


async def delete_topics(bootstrap: str, *names: str) -> None:
    async with admin(bootstrap) as client:
        await client.delete_topics(list(names), timeout_ms=10_000)


async def add_partitions(bootstrap: str, total: int, *names: str) -> None:
    async with admin(bootstrap) as client:
        await client.create_partitions({name: NewPartitions(total, None) for name in names})


def headers_of(event: Event, *, again: bool = False) -> list[tuple[str, bytes]]:
    return [SCHEMA, ("verdict", event.verdict.name.encode()), *([AGAIN] if again else [])]


class Writer:
    """Writes events as the publisher does: encoded, with its key and headers, acknowledged before it returns."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self.topics = topics
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> "Writer":
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, linger_ms=2
        )
        await self._producer.start()
        return self

    async def write(
        self, events: Iterable[Event], *, again: bool = False, partition: int | None = None
    ) -> dict[tuple[str, int], int]:
        """Return the highest offset written, by topic and partition."""
        sent = [
            await self._producer.send(
                self.topic_of(event),
                event.encode(),
                event.kafka_key,
                partition,
                headers=headers_of(event, again=again),
            )
            for event in events
        ]
        return _highest([await one for one in sent])

    def topic_of(self, event: Event) -> str:
        return self.topics.events if event.topic == TOPIC_EVENTS else self.topics.hidden

    async def raw(
        self, topic: str, value: bytes | None, headers: Sequence[tuple[str, bytes]] = (SCHEMA,), partition: int = 0
    ) -> int:
        sent = await self._producer.send_and_wait(topic, value, b"key", partition, headers=list(headers))
        return sent.offset

    async def close(self) -> None:
        await self._producer.stop()


def _highest(sent) -> dict[tuple[str, int], int]:
    offsets: dict[tuple[str, int], int] = {}
    for one in sent:
        place = one.topic, one.partition
        offsets[place] = max(one.offset, offsets.get(place, 0))
    return offsets


class Answering:
    """A publisher's part of the talk on `pixel.publishers`, on a topic of the test's own."""

    def __init__(self, bootstrap: str, topic: str, publisher: str | None = None) -> None:
        self.publisher = publisher or uuid.uuid4().hex
        self.offsets: dict[tuple[str, int], int] = {}
        self.silent = False
        self._bootstrap, self._topic = bootstrap, topic
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> "Answering":
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        self._consumer = AIOKafkaConsumer(self._topic, bootstrap_servers=self._bootstrap, auto_offset_reset="latest")
        await self._producer.start()
        await self._consumer.start()
        await self._consumer.seek_to_end()
        await self.say(Announcement(self.publisher, "host-1", 1_700_000_000_000_000, 1_700_000_000_000_000))
        self._task = asyncio.create_task(self._answer())
        return self

    async def say(self, word: Word) -> None:
        await self._producer.send_and_wait(self._topic, word.encode(), word.key, 0)

    async def _answer(self) -> None:
        async for record in self._consumer:
            word = decode(record.key, record.value)
            if isinstance(word, Ask) and not self.silent:
                await self.say(Answer(word.nonce, self.publisher, self.offsets))

    async def farewell(self) -> None:
        await self.say(Farewell(self.publisher))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))
        await self._consumer.stop()
        await self._producer.stop()


async def reachable(bootstrap: str) -> None:
    """Return once the cluster answers metadata questions again."""

    async def probe() -> bool:
        try:
            async with admin(bootstrap) as client:
                await client.list_topics()
        except (KafkaError, OSError):
            return False
        return True

    for _ in range(300):
        if await probe():
            return
        await asyncio.sleep(0.05)  # a poll, up to a deadline
    raise AssertionError(f"{bootstrap} does not answer")


__all__ = [
    "AGAIN",
    "SCHEMA",
    "Answering",
    "Writer",
    "add_partitions",
    "aeventually",
    "delete_topics",
    "make_topics",
    "own_topics",
]
