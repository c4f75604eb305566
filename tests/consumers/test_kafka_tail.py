"""A tail out of Kafka: from its beginning on nothing of what comes is missed, whatever becomes of the partitions."""

from collections import Counter

import pytest

from consumers.kafka_tail import KafkaTail
from consumers.tail import Filter
from consumers.warehouse.protocol import Audience, View
from gating.status import Access
from tests.consumers.events import event
from tests.eventually import aeventually
from tests.kafka import Writer, add_partitions, delete_topics, make_topics, own_topics

VIEW = View("shop", Audience.OPERATOR, Access.FULL, 1)


@pytest.fixture
async def topics(kafka_cluster):
    topics = own_topics()
    await make_topics(kafka_cluster.bootstrap, *topics.of_events)
    yield topics
    await delete_topics(kafka_cluster.bootstrap, *topics.of_events)


async def test_events_of_partitions_that_are_added_meanwhile_are_shown_from_the_first_and_no_other_is_missed(
    kafka_cluster, topics
):
    writer = await Writer(kafka_cluster.bootstrap, topics).start()
    await writer.write([event(1)], partition=0)
    tail = KafkaTail(kafka_cluster.bootstrap, Filter(), lambda *_: VIEW, topics)
    seen: list[str] = []

    def has(*sequences):
        seen.extend(shown["id"].rpartition("-")[2] for shown in tail.poll())
        return set(map(str, sequences)) <= set(seen)

    await writer.write([event(2)], partition=0)
    await aeventually(lambda: has(2), 20)
    await add_partitions(kafka_cluster.bootstrap, 3, *topics.of_events)
    await writer.close()  # it knows one partition
    writer = await Writer(kafka_cluster.bootstrap, topics).start()
    for number in range(3, 9):
        await writer.write([event(number)], partition=number % 3)
    await aeventually(lambda: has(*range(2, 9)), 20)
    await writer.write([event(9)], partition=0)
    await writer.write([event(10)], partition=2)
    await aeventually(lambda: has(9, 10), 20)
    assert Counter(seen) == Counter(map(str, range(2, 11)))
    tail.close()
    await writer.close()
