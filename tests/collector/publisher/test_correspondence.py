"""What consumers ask on `pixel.publishers`, answered by a publisher at a real broker."""

import asyncio
import contextlib
import secrets
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from collector.publisher.correspondence import Correspondent, publisher_id
from collector.publisher.partitions import partition_of
from collector.publisher.sink import KafkaSink
from collector.publishers import Announcement, Answer, Ask, Farewell, decode
from tests.collector.publisher.kit import Host, publishing, record, seen, topics, until, visitors, write


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path / "data")
    yield host
    host.close()


class Ear:
    """Hears everything that is said, and asks."""

    def __init__(self, bootstrap, topic):
        self.words = []
        self._bootstrap, self._topic = bootstrap, topic

    async def __aenter__(self):
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        self._consumer = AIOKafkaConsumer(
            self._topic, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await self._producer.start()
        await self._consumer.start()
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_):
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        await self._consumer.stop()
        await self._producer.stop()

    async def _listen(self):
        async for one in self._consumer:
            self.words.append(decode(one.key, one.value))

    async def ask(self):
        word = Ask(secrets.token_hex(16), time.time_ns() // 1000)
        await self._producer.send_and_wait(self._topic, word.encode(), word.key)
        return word.nonce

    def answers(self, nonce):
        return [word for word in self.words if isinstance(word, Answer) and word.nonce == nonce]

    def heard(self, kind):
        return [word for word in self.words if isinstance(word, kind)]


@contextlib.asynccontextmanager
async def voice_of(host, bootstrap, names, publisher):
    voice = Correspondent(
        bootstrap, names.publishers, host.data, publisher.through, lambda: publisher.offsets, host="h1"
    )
    speaking = asyncio.create_task(voice.run())
    try:
        yield voice
    finally:
        speaking.cancel()
        await asyncio.wait({speaking})


async def test_a_publisher_announces_itself_under_an_id_that_it_keeps(host, kafka_cluster):
    names = topics()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        async with (
            Ear(kafka_cluster.bootstrap, names.publishers) as ear,
            voice_of(host, kafka_cluster.bootstrap, names, publisher) as voice,
        ):
            await until(lambda: ear.heard(Announcement))
            (word,) = ear.heard(Announcement)
            assert (word.publisher, word.host) == (voice.publisher, "h1")
            assert publisher_id(host.data.root) == voice.publisher


async def test_an_answer_covers_every_hit_that_was_journalled_before_the_question(host, kafka_cluster):
    """What `--settled` waits for: reading each partition up to the offsets given, everything is seen."""
    names = topics()
    journals = [host.journal() for _ in range(2)]
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        async with (
            Ear(kafka_cluster.bootstrap, names.publishers) as ear,
            voice_of(host, kafka_cluster.bootstrap, names, publisher),
        ):
            await until(lambda: ear.heard(Announcement))
            for total in (200, 400):
                for journal in journals:
                    write(journal, visitors(200))
                nonce = await ear.ask()
                await until(lambda nonce=nonce: ear.answers(nonce))
                (answer,) = ear.answers(nonce)
                within = [
                    one
                    for one in await seen(kafka_cluster.bootstrap, *names.of_events)
                    if one.offset <= answer.offsets.get((one.topic, one.partition), -1)
                ]
                assert {(one.journal, one.sequence) for one in within} >= {
                    (journal.id, sequence) for journal in journals for sequence in range(1, total + 1)
                }


async def test_no_answer_comes_before_everything_asked_about_is_acknowledged(host, kafka_cluster):
    names = topics()
    gate = asyncio.Event()

    class Held(KafkaSink):
        async def send(self, place, batch):
            await gate.wait()
            return await super().send(place, batch)

    sink = Held(kafka_cluster.bootstrap, names, 4)
    async with publishing(host, kafka_cluster.bootstrap, names, sink=sink) as publisher:
        await until(lambda: publisher.intake.lanes)
        async with (
            Ear(kafka_cluster.bootstrap, names.publishers) as ear,
            voice_of(host, kafka_cluster.bootstrap, names, publisher) as voice,
        ):
            await until(lambda: ear.heard(Announcement))
            write(host.journal(), [record()])
            nonce = await ear.ask()
            await until(lambda: voice._waiting)
            assert ear.answers(nonce) == []
            gate.set()
            await until(lambda: ear.answers(nonce))
            assert ear.answers(nonce)[0].offsets == {(names.events, partition_of(b"shop:v", 4)): 0}


async def test_a_question_that_came_just_before_the_publisher_is_answered(host, kafka_cluster):
    names = topics()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        async with Ear(kafka_cluster.bootstrap, names.publishers) as ear:
            nonce = await ear.ask()
            async with voice_of(host, kafka_cluster.bootstrap, names, publisher) as voice:
                await until(lambda: ear.answers(nonce))
            assert {answer.publisher for answer in ear.answers(nonce)} == {voice.publisher}
            assert {len(answer.offsets) for answer in ear.answers(nonce)} == {0}  # nothing was journalled before it


async def test_a_farewell_is_a_tombstone(host, kafka_cluster):
    names = topics()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        async with Ear(kafka_cluster.bootstrap, names.publishers) as ear:
            async with voice_of(host, kafka_cluster.bootstrap, names, publisher) as voice:
                await until(lambda: ear.heard(Announcement))
            await voice.farewell()
            await until(lambda: ear.heard(Farewell))
            assert ear.heard(Farewell) == [Farewell(voice.publisher)]
