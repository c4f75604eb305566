"""What aiokafka 0.14 and brokers do to a producer, on a real broker: nothing is lost, and what comes twice is told.

I10, DESIGN 8: the known hazards. Tests that hurt a broker start their own.
"""

import random
import string

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from collector.publisher import sink as sink_module
from collector.publisher.book import read_book
from collector.publisher.dead_letters import DIRECTORY, find
from collector.publisher.resend import resend
from collector.publisher.sink import KafkaSink
from collector.publisher.topics import Admin
from tests.collector.publisher.kit import (
    TIME_US,
    Host,
    all_published,
    deduped,
    publishing,
    record,
    seen,
    topics,
    until,
    visitors,
    write,
)
from tests.servers.kafka import KafkaCluster


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path / "data")
    yield host
    host.close()


@pytest.fixture
def own_kafka(tmp_path, kafka_cluster):  # kafka_cluster: skips where Kafka cannot be had
    cluster = KafkaCluster(tmp_path / "kafka")
    cluster.start()
    yield cluster
    cluster.stop()


async def test_a_producer_near_the_end_of_its_sequence_numbers_is_replaced(host, kafka_cluster, monkeypatch):
    """aiokafka wraps 2^31 to a negative number, and the broker refuses every later batch of that partition."""
    names = topics()
    sink = KafkaSink(kafka_cluster.bootstrap, names, 1)
    journal = host.journal()
    async with publishing(host, kafka_cluster.bootstrap, names, sink=sink) as publisher:
        await until(lambda: publisher.intake.lanes)
        first = sink._producer
        first._txn_manager._sequence_numbers[TopicPartition(names.events, 0)] = 2**31 - 150
        sink._sent[names.events, 0] = sink_module.RECORDS_PER_PRODUCER_MAX - 50
        for total in (100, 200, 300):
            write(journal, visitors(100))
            await until(lambda total=total: publisher.through(journal.id) == total)
        assert sink._producer is not first
        assert publisher.counts.batches_failed == 0
    assert [one.sequence for one in await seen(kafka_cluster.bootstrap, names.events)] == list(range(1, 301))


async def test_without_a_new_producer_the_wrap_fails_and_still_nothing_is_lost(host, kafka_cluster, monkeypatch):
    """The hazard is real: this is what `spent` avoids, and what a failed batch costs."""
    monkeypatch.setattr(sink_module, "RECORDS_PER_PRODUCER_MAX", 2**62)
    names = topics()
    sink = KafkaSink(kafka_cluster.bootstrap, names, 1)
    journal = host.journal()
    async with publishing(host, kafka_cluster.bootstrap, names, sink=sink) as publisher:
        await until(lambda: publisher.intake.lanes)
        sink._producer._txn_manager._sequence_numbers[TopicPartition(names.events, 0)] = 2**31 - 150
        for total in (100, 200, 300):
            write(journal, visitors(100))
            await until(lambda total=total: publisher.through(journal.id) == total)
        assert publisher.counts.batches_failed > 0
    found = deduped(await seen(kafka_cluster.bootstrap, names.events))
    assert [one.sequence for one in found] == list(range(1, 301))


async def test_a_broker_that_is_frozen_past_the_delivery_time_loses_and_doubles_nothing(host, own_kafka):
    """A failed batch poisons the producer: it is thrown away, and everything from the cursor on is sent again."""
    names = topics()
    journal = host.journal()
    sink = KafkaSink(own_kafka.bootstrap, names, 4, request_seconds=2)
    async with publishing(host, own_kafka.bootstrap, names, sink=sink, delivery_seconds=1) as publisher:
        write(journal, visitors(500))
        await until(lambda: publisher.counts.events >= 500)
        own_kafka.brokers[0].freeze()
        write(journal, visitors(500))
        await until(lambda: publisher.counts.batches_failed > 0)
        write(journal, visitors(500))
        own_kafka.brokers[0].thaw()
        await until(lambda: publisher.through(journal.id) == 1500)
    found = await seen(own_kafka.bootstrap, names.events)
    assert sorted(one.sequence for one in deduped(found)) == list(range(1, 1501))


async def test_too_few_replicas_fail_batches_until_they_are_back(host, kafka_three):
    """min.insync.replicas violated: acknowledged is only what two brokers have."""
    names = topics()
    journal = host.journal()
    sink = KafkaSink(kafka_three.bootstrap, names, 4, request_seconds=2)
    async with publishing(host, kafka_three.bootstrap, names, sink=sink, delivery_seconds=2) as publisher:
        write(journal, visitors(400))
        await until(lambda: publisher.counts.events >= 400)
        for broker in kafka_three.brokers[1:]:
            broker.kill()
        write(journal, visitors(400))
        await until(lambda: publisher.counts.batches_failed > 0)
        assert publisher.through(journal.id) < 800
        for broker in kafka_three.brokers[1:]:
            broker.launch()
        for broker in kafka_three.brokers[1:]:
            broker.await_ready()
        await until(lambda: publisher.through(journal.id) == 800, 90)
    found = await seen(kafka_three.bootstrap, names.events)
    assert sorted(one.sequence for one in deduped(found)) == list(range(1, 801))


def noise(characters: int, seed: int) -> str:
    """Text that no codec makes small."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=characters))


async def test_an_event_larger_than_the_topic_takes_becomes_a_dead_letter_at_once(host, kafka_cluster):
    """One oversize record would poison its partition: it never enters a batch."""
    names = topics()
    async with Admin(kafka_cluster.bootstrap) as admin:
        await admin.create(names.events, 4, {"max.message.bytes": "20000"})
    journal = host.journal()
    hits = visitors(40)
    hits.insert(20, record(extra=f"&x={noise(30_000, 1)}"))
    write(journal, hits)
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.through(journal.id) == 41)
        assert publisher.counts.batches_refused == publisher.counts.batches_failed == 0
        assert publisher.counts.dead == 1
    ((_, letter),) = find(host.data.root / DIRECTORY).unsent
    assert (letter.journal, letter.sequence, letter.topic) == (journal.id, 21, names.events)
    assert "bytes, the topic takes" in letter.reason
    assert read_book(host.data.root).journals[journal.id].dead == 1
    assert read_book(host.data.root).journals[journal.id].published == 40
    assert len(await seen(kafka_cluster.bootstrap, names.events)) == 40


async def test_a_batch_that_the_broker_refuses_is_narrowed_down_to_the_one_record(host, kafka_cluster):
    """MESSAGE_TOO_LARGE for a limit that was lowered meanwhile: the others arrive, in order, the one is set aside."""
    names = topics()
    journal = host.journal()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        await set_topic(kafka_cluster.bootstrap, names.events, "max.message.bytes", "20000")
        publisher._sink.__class__ = _KnowsNoLimit
        hits = visitors(300)
        hits.insert(123, record(visitor="large", extra=f"&x={noise(40_000, 2)}"))
        write(journal, hits)
        journal.close()
        await until(lambda: host.owed() == [])
        assert publisher.counts.batches_refused > 1
    ((_, letter),) = find(host.data.root / DIRECTORY).unsent
    assert letter.sequence == 124
    assert "too large for the broker" in letter.reason
    found = deduped(await seen(kafka_cluster.bootstrap, names.events))
    assert sorted(one.sequence for one in found) == [*range(1, 124), *range(125, 302)]


class _KnowsNoLimit(KafkaSink):
    """As if the limit had been lowered again after each look at it."""

    async def _prepare(self) -> None:
        return


async def test_a_dead_letter_is_sent_again_marked_and_only_once(host, kafka_cluster):
    names = topics()
    async with Admin(kafka_cluster.bootstrap) as admin:
        await admin.create(names.events, 4, {"max.message.bytes": "20000"})
    write(host.journal(), [record(visitor="a"), record(visitor="b", extra=f"&x={noise(30_000, 3)}"), record()], group=3)
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await all_published(publisher)
    letters = host.data.root / DIRECTORY
    refused = await resend(letters, KafkaSink(kafka_cluster.bootstrap, names, 4))
    assert (refused.sent, len(refused.refused)) == (0, 1)
    await set_topic(kafka_cluster.bootstrap, names.events, "max.message.bytes", "1000000")
    assert (await resend(letters, KafkaSink(kafka_cluster.bootstrap, names, 4))).sent == 1
    assert (await resend(letters, KafkaSink(kafka_cluster.bootstrap, names, 4))).sent == 0
    found = await seen(kafka_cluster.bootstrap, names.events)
    assert sorted((one.sequence, one.again) for one in found) == [(1, False), (2, True), (3, False)]
    assert len(deduped(found)) == 3


async def test_a_clock_that_the_broker_does_not_believe_costs_the_timestamp_alone(host, kafka_cluster):
    names = topics()
    async with Admin(kafka_cluster.bootstrap) as admin:
        await admin.create(names.events, 2, {"message.timestamp.before.max.ms": "60000"})
    journal = host.journal()
    write(journal, visitors(100), at_us=TIME_US - 400 * 86_400_000_000)
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.through(journal.id) == 100)
        assert publisher.counts.dead == 0
    found = deduped(await seen(kafka_cluster.bootstrap, names.events))
    assert len(found) == 100
    assert all(one.event.received_at == TIME_US - 400 * 86_400_000_000 for one in found)


async def test_partitions_added_while_running_are_used_and_a_visitors_order_holds(host, kafka_cluster):
    names = topics()
    journal = host.journal()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        write(journal, visitors(300))
        await until(lambda: publisher.through(journal.id) == 300)
        await add_partitions(kafka_cluster.bootstrap, names.events, 7)
        await until(lambda: publisher.intake.partitions.get(names.events) == 7)
        write(journal, visitors(300))
        await until(lambda: publisher.through(journal.id) == 600)
    found = await seen(kafka_cluster.bootstrap, names.events)
    assert len(found) == 600
    assert {one.partition for one in found} > {0, 1, 2, 3}
    assert sorted(one.sequence for one in deduped(found)) == list(range(1, 601))


async def test_what_is_sent_again_after_partitions_were_added_says_so(host, kafka_cluster):
    """DESIGN 8: it may lie in another partition already, whose sequences do not tell; across a restart too."""
    names = topics()
    journal = host.journal()
    write(journal, visitors(300))
    async with publishing(host, kafka_cluster.bootstrap, names, commit_seconds=3600) as publisher:
        await until(lambda: publisher.counts.events == 300)

        async def refuse(_offsets: object) -> None:
            raise OSError(5, "the disk is gone")

        publisher.intake.commit = refuse
    await add_partitions(kafka_cluster.bootstrap, names.events, 7)
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.through(journal.id) == 300)
        write(journal, visitors(50))
        await until(lambda: publisher.through(journal.id) == 350)
    found = await seen(kafka_cluster.bootstrap, names.events)
    assert len(found) == 650
    assert [one.sequence for one in found if one.again] != []
    assert all(one.sequence <= 300 for one in found if one.again)
    assert len(deduped(sorted(found, key=lambda one: one.again))) == 350


async def test_a_topic_made_anew_is_written_to_again(host, own_kafka):
    names = topics()
    journal = host.journal()
    sink = KafkaSink(own_kafka.bootstrap, names, 4, request_seconds=2, metadata_seconds=0.5)
    async with publishing(host, own_kafka.bootstrap, names, sink=sink, delivery_seconds=2) as publisher:
        write(journal, visitors(100))
        await until(lambda: publisher.through(journal.id) == 100)
        async with Admin(own_kafka.bootstrap) as admin:
            await admin._client.delete_topics([names.events])
        write(journal, visitors(100))
        await until(lambda: publisher.through(journal.id) == 200, 90)
    assert {one.sequence for one in await seen(own_kafka.bootstrap, names.events)} >= set(range(101, 201))


async def set_topic(bootstrap: str, topic: str, name: str, value: str) -> None:
    async with Admin(bootstrap) as admin:
        await admin._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])
        for _ in range(1000):  # a look is an answer of the broker's: it takes its time by itself
            if (await admin._settings([topic]))[topic].get(name) == value:
                return
        raise AssertionError(f"{topic} does not take {name}={value}")


async def add_partitions(bootstrap: str, topic: str, total: int) -> None:
    async with Admin(bootstrap) as admin:
        await admin._client.create_partitions({topic: NewPartitions(total)})
