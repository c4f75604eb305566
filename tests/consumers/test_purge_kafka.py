"""I8, I12 where events go through Kafka: late ones stay out, and a purge knows when the log holds none any more."""

import uuid

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from consumers.purge_kafka import KafkaLog
from consumers.warehouse.protocol import Tombstone
from tests.consumers.events import HIDE, event
from tests.consumers.house import KEY, now_us
from tests.consumers.test_kafka_service import hits, scaled  # noqa: F401  a fixture
from tests.eventually import aeventually
from tests.kafka import Writer, admin, delete_topics, make_topics, own_topics


async def test_a_deleted_accounts_events_that_come_late_through_kafka_are_refused(scaled):  # noqa: F811
    """I8: as undecoded lines, as events sent again, under an older verdict, without an account."""
    await scaled.write(hits(scaled.journal, 1, 2))
    assert (await scaled.events())["visible"] == 2
    await scaled.service.loop.on_worker(scaled.service.warehouse.purge, [Tombstone("shop", (KEY,))])
    await scaled.write(hits(scaled.journal, 3, 4))
    await scaled.write(hits(scaled.journal, 5, verdict=HIDE, version=3))
    await scaled.write(hits(scaled.journal, 6, verified=False, account=""))
    await scaled.writer.write(hits(scaled.journal, 1, 7), again=True)
    await scaled.write(hits(uuid.uuid4().hex, 1, account="else", write_key="other"))
    assert await scaled.events() == {"visible": 0, "hidden": 0, "unverified": 0}
    await aeventually(lambda: scaled.service.loop.materialiser.taken.purged == 5, 20)
    sums = await scaled.service.sums()
    assert sums["journals"][scaled.journal] == {"purged": 7}


@pytest.fixture
async def topics(kafka_cluster):
    topics = own_topics()
    await make_topics(kafka_cluster.bootstrap, *topics.of_events, partitions=2, file_delete_delay_ms="500")
    yield topics
    await delete_topics(kafka_cluster.bootstrap, *topics.of_events)


async def test_the_log_is_past_once_every_partition_begins_behind_where_it_ended(kafka_cluster, topics):
    """I12: by retention alone; what came after the moment does not count."""
    log = KafkaLog(kafka_cluster.bootstrap, now_us, topics, ask_seconds=0)
    writer = await Writer(kafka_cluster.bootstrap, topics).start()
    for partition in (0, 1):
        await writer.write([event(n) for n in range(1, 4)], partition=partition)
    ends = await log.ends()
    assert [end[3] for end in ends["ends"]] == [3, 3]
    week_us = 7 * 24 * 3600 * 1_000_000
    assert log.gone_by_us(ends) - ends["at_us"] == 2 * week_us + 300_500_000  # Kafka's own defaults, and the delays
    assert log.gone_by_us({**ends, "terms": {**ends["terms"], "retention.ms": -1}}) is None
    await writer.write([event(9)], partition=0)
    assert not await log.is_past(ends)
    async with admin(kafka_cluster.bootstrap) as client:
        await client.delete_records({TopicPartition(topics.events, 0): RecordsToDelete(before_offset=3)})
        assert not await log.is_past(ends)
        await client.delete_records({TopicPartition(topics.events, 1): RecordsToDelete(before_offset=3)})
    for _ in range(100):
        if await log.is_past(ends):
            break
    else:
        raise AssertionError("not past")
    await writer.close()


async def test_a_topic_that_was_made_anew_holds_nothing_from_before(kafka_cluster, topics):
    log = KafkaLog(kafka_cluster.bootstrap, now_us, topics, ask_seconds=0)
    writer = await Writer(kafka_cluster.bootstrap, topics).start()
    await writer.write([event(1)], partition=0)
    await writer.close()
    ends = await log.ends()
    ends["terms"]["file.delete.delay.ms"] = 0
    assert not await log.is_past(ends)
    await delete_topics(kafka_cluster.bootstrap, *topics.of_events)
    await make_topics(kafka_cluster.bootstrap, *topics.of_events, partitions=2)
    assert await log.is_past(ends)
