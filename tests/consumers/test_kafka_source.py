"""I10 out of a real Kafka: whatever a publisher repeats and whatever becomes of the topics, each event once."""

import asyncio
import time
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from consumers.dead_letters import find
from tests.consumers.events import HIDE, event
from tests.consumers.members import Group
from tests.eventually import aeventually
from tests.kafka import AGAIN, SCHEMA, Writer, add_partitions, admin, delete_topics, make_topics, own_topics
from tests.servers import KafkaCluster


def journal() -> str:
    return uuid.uuid4().hex


def events(journal: str, *sequences: int, **fields):
    return [event(sequence, journal, visitor=f"v{sequence % 7}", **fields) for sequence in sequences]


def ids(journal: str, *sequences: int) -> set[str]:
    return {f"{journal}-{sequence}" for sequence in sequences}


@pytest.fixture
async def topics(kafka_cluster):
    topics = own_topics()
    await make_topics(kafka_cluster.bootstrap, topics.events, topics.hidden, partitions=2)
    return topics


@pytest.fixture
async def writer(kafka_cluster, topics):
    writer = await Writer(kafka_cluster.bootstrap, topics).start()
    yield writer
    await writer.close()


@pytest.fixture
async def group(kafka_cluster, topics, tmp_path):
    group = Group(kafka_cluster.bootstrap, topics, tmp_path)
    yield group
    await group.close()


async def test_accepted_and_hidden_events_of_several_journals_come_once(group, writer):
    group.join()
    one, two = journal(), journal()
    await writer.write(events(one, *range(1, 101)))
    await writer.write(events(two, *range(1, 51), verdict=HIDE))
    await writer.write(events(one, *range(101, 121), verified=False))
    await group.holds(ids(one, *range(1, 121)) | ids(two, *range(1, 51)))


async def test_a_batch_that_failed_while_later_ones_went_out_is_neither_lost_nor_doubled(group, writer):
    """DESIGN 8: what went out after it in other partitions comes again with the replay from the cursor."""
    one = journal()
    group.join()
    await writer.write(events(one, 1, 3, 5, 7), partition=0)
    await writer.write(events(one, 2), partition=1)  # 4 and 6 of this partition failed
    await group.holds(ids(one, 1, 2, 3, 5, 7))
    for partition in (0, 1):
        await writer.write(events(one, *range(1 + partition, 13, 2)), partition=partition)
    await group.holds(ids(one, *range(1, 13)))


async def test_a_replay_within_what_was_not_read_yet_is_told_by_its_order(group, writer):
    one = journal()
    await writer.write(events(one, 1, 2, 3), partition=0)
    await writer.write(events(one, 1, 2, 3, 4, 5), partition=0)
    member = group.join()
    await group.holds(ids(one, 1, 2, 3, 4, 5))
    assert member.materialiser.taken.events == 5


async def test_a_dead_letter_that_is_sent_again_is_taken_once(group, writer):
    one = journal()
    member = group.join()
    await writer.write(events(one, 1, 2, 4, 5), partition=0)
    await group.holds(ids(one, 1, 2, 4, 5))
    await writer.write(events(one, 3), again=True, partition=0)
    await writer.write(events(one, 2, 3), again=True, partition=1)
    await writer.write(events(one, 6), partition=0)
    await group.holds(ids(one, *range(1, 7)))
    await aeventually(lambda: member.source.status().again == 3)
    await group.holds(ids(one, *range(1, 7)))


async def test_what_is_replayed_after_partitions_were_added_is_taken_once(group, writer, topics):
    """Its first copy may lie in a partition that is read later than the one it comes in again."""
    one = journal()
    group.join()
    await writer.write(events(one, 1, 2, 3), partition=0)
    await group.holds(ids(one, 1, 2, 3))
    await add_partitions(group.bootstrap, 4, topics.events)
    await writer.write(events(one, 3, 4, 5), again=True, partition=1)
    await writer.write(events(one, 4), partition=0)  # it had gone out after all
    later = await Writer(group.bootstrap, topics).start()
    await later.write(events(one, 6, 7), partition=3)
    await later.close()
    await group.holds(ids(one, *range(1, 8)))


async def test_the_groups_own_offsets_are_never_believed(group, writer, topics):
    """Offsets are the warehouse's: an empty one reads from the start, whatever was committed to the group."""
    one = journal()
    await writer.write(events(one, *range(1, 21)))
    other = AIOKafkaConsumer(topics.events, topics.hidden, bootstrap_servers=group.bootstrap, group_id=group.name)
    await other.start()
    partitions = [TopicPartition(topic, n) for topic in topics.of_events for n in (0, 1)]
    await other.commit(await other.end_offsets(partitions))
    await other.stop()
    group.join()
    await group.holds(ids(one, *range(1, 21)))


async def test_members_that_come_and_go_under_load_neither_lose_nor_double(group, writer):
    """A rebalance takes every partition from everyone; who gets one goes on where the warehouse says."""
    one = journal()
    written, stopping = 0, asyncio.Event()

    async def load() -> None:
        nonlocal written
        while not stopping.is_set():
            await writer.write(events(one, *range(written + 1, written + 101)))
            written += 100
            await asyncio.sleep(0.01)

    first = group.join()
    loading = asyncio.create_task(load())
    try:
        await aeventually(lambda: first.batches > 3, 30)
        second = group.join()
        await aeventually(lambda: second.batches > 3, 30)
        third = group.join()
        await group.leave(first)
        await aeventually(lambda: third.batches > 3, 30)
        await group.leave(second)
        before = third.batches
        await aeventually(lambda: third.batches > before + 3, 30)
    finally:
        stopping.set()
        await loading
    await group.holds(ids(one, *range(1, written + 1)))


async def test_of_several_members_one_settles_and_another_takes_that_over(group):
    """A warehouse without transactions is settled by one process at a time."""
    first = group.join()
    await aeventually(lambda: first.source.settles, 30)
    second = group.join()

    def both_read() -> bool:
        return all(member.source.status().streams for member in (first, second))

    await aeventually(lambda: both_read() and first.source.settles != second.source.settles, 40)
    leaving, staying = (first, second) if first.source.settles else (second, first)
    await group.leave(leaving)
    await aeventually(lambda: staying.source.settles, 40)
    assert not leaving.source.settles


async def test_a_topic_made_anew_is_read_from_its_start(group, writer, topics):
    """Its offsets begin at 0 again, and stand beyond where the old one was read to before anyone looks."""
    one = journal()
    member = group.join()
    await writer.write(events(one, *range(1, 31)), partition=0)
    await group.holds(ids(one, *range(1, 31)))
    await group.leave(member)
    await delete_topics(group.bootstrap, topics.events)
    await make_topics(group.bootstrap, topics.events, partitions=2)
    anew = await Writer(group.bootstrap, topics).start()
    await anew.write(events(one, *range(21, 81)), partition=0)
    await anew.close()
    group.join()
    await group.holds(ids(one, *range(1, 81)))


@pytest.mark.parametrize("more", [5, 60])
async def test_a_topic_made_anew_while_it_is_read_loses_and_doubles_nothing(group, writer, topics, more):
    """Whether its new end lies before or beyond the place where the old one was read to."""
    one = journal()
    group.join()
    await writer.write(events(one, *range(1, 31)), partition=0)
    await group.holds(ids(one, *range(1, 31)))
    await delete_topics(group.bootstrap, topics.events)
    await make_topics(group.bootstrap, topics.events, partitions=2)
    anew = await Writer(group.bootstrap, topics).start()
    await anew.write(events(one, *range(31, 31 + more)), partition=0)
    await anew.close()
    await group.holds(ids(one, *range(1, 31 + more)), 60)


async def test_a_topic_made_anew_behind_the_clients_back_is_never_read_on_from_the_old_place(group, writer, topics):
    """No error and no metadata told the client: it fetches on in the new topic, whose id alone gives it away."""
    one = journal()
    member = group.join()
    await writer.write(events(one, *range(1, 31)), partition=0)
    await group.holds(ids(one, *range(1, 31)))
    consumer, partitions = member.source._member.consumer, [TopicPartition(topics.events, n) for n in (0, 1)]
    consumer.pause(*partitions)
    paused_ms = time.time() * 1000
    hidden = TopicPartition(topics.hidden, 0)
    await aeventually(lambda: consumer.last_poll_timestamp(hidden) > paused_ms + 600)  # its fetch in flight is over
    await delete_topics(group.bootstrap, topics.events)
    await make_topics(group.bootstrap, topics.events, partitions=2)
    anew = await Writer(group.bootstrap, topics).start()
    await anew.write(events(one, *range(31, 91)), partition=0)
    await anew.close()
    consumer.resume(*partitions)
    await group.holds(ids(one, *range(1, 91)), 60)


async def test_records_that_retention_took_before_they_were_read_are_told_and_counted(group, writer, topics):
    one = journal()
    member = group.join()
    await writer.write(events(one, *range(1, 11)), partition=0)
    await group.holds(ids(one, *range(1, 11)))
    await group.leave(member)
    await writer.write(events(one, *range(11, 31)), partition=0)
    async with admin(group.bootstrap) as client:
        await client.delete_records({TopicPartition(topics.events, 0): RecordsToDelete(before_offset=25)})
    member = group.join()
    await group.holds(ids(one, *range(1, 11), *range(26, 31)))
    assert member.source.status().lost == 15
    assert "15 records before offset 25" in member.source.status().faults[0]


async def test_a_position_that_retention_overtook_while_reading_is_told_and_counted(group, writer, topics):
    one = journal()
    member = group.join()
    await writer.write(events(one, *range(1, 6)), partition=0)
    await group.holds(ids(one, *range(1, 6)))
    partition = TopicPartition(topics.events, 0)
    member.source._member.consumer.pause(partition)  # it reads nothing while others write and retention works
    await writer.write(events(one, *range(6, 21)), partition=0)
    async with admin(group.bootstrap) as client:
        await client.delete_records({partition: RecordsToDelete(before_offset=15)})
    member.source._member.consumer.resume(partition)
    await group.holds(ids(one, *range(1, 6), *range(16, 21)))
    assert member.source.status().lost == 10


DEEP = b'"params":' + b'{"a":' * 400 + b"1" + b"}" * 400
POISON = [
    ("no JSON", b"\xff\xfe", (SCHEMA,)),
    ("no value", None, (SCHEMA,)),
    ("another schema", event(1).encode(), (("schema", b"2"),)),
    ("no schema", event(1).encode(), ()),
    ("no event", b'{"id": 5}', (SCHEMA,)),
    ("no journal's id", event(1).encode().replace(b"abab", b"zzzz", 1), (SCHEMA,)),
    ("a negative version", event(1, version=-1).encode(), (SCHEMA,)),
    ("a dropped hit", event(1).encode().replace(b"ACCEPT", b"DROP"), (SCHEMA,)),
    ("half a line", event(1).encode()[:-40], (SCHEMA,)),
    ("nested deeply", event(1).encode().replace(b'"params":{}', DEEP), (SCHEMA,)),
    ("no event that comes again", b"[]", (SCHEMA, AGAIN)),
]  # fmt: skip


async def test_what_is_no_event_becomes_a_dead_letter_and_the_rest_flows(group, writer, topics):
    one = journal()
    member = group.join()
    places = {}
    for sequence, (name, value, headers) in enumerate(POISON, 1):
        await writer.write(events(one, sequence), partition=0)
        places[await writer.raw(topics.events, value, headers)] = (name, value)
    await writer.write(events(one, len(POISON) + 1), partition=0)
    await group.holds(ids(one, *range(1, len(POISON) + 2)))
    letters = find(member.letters)
    assert {letter.offset: letter.value for letter in letters} == {at: value for at, (_, value) in places.items()}
    assert {(letter.topic, letter.partition, letter.key) for letter in letters} == {(topics.events, 0, b"key")}
    assert all(letter.reason for letter in letters)
    assert member.source.status().poison == len(POISON)
    await group.leave(member)  # the position moved past them
    again = group.join()
    await writer.write(events(one, 100), partition=0)
    await group.holds(ids(one, *range(1, len(POISON) + 2), 100))
    assert again.source.status().poison == 0


async def test_a_consumer_that_starts_before_its_topics_says_so_and_reads_them_once_they_are_there(
    kafka_cluster, tmp_path
):
    topics = own_topics()
    group = Group(kafka_cluster.bootstrap, topics, tmp_path)
    member = group.join()
    await aeventually(lambda: f"no topic {topics.events}" in member.source.status().trouble, 30)
    await make_topics(group.bootstrap, topics.events, topics.hidden)
    writer = await Writer(group.bootstrap, topics).start()
    one = journal()
    await writer.write(events(one, 1, 2, 3))
    await group.holds(ids(one, 1, 2, 3))
    assert member.source.status().trouble == ""
    await writer.close()
    await group.close()


async def test_a_broker_that_dies_and_comes_back_loses_and_doubles_nothing(tmp_path, kafka_cluster):
    """kafka_cluster: so that Kafka can be had at all; this test hurts a broker of its own."""
    cluster = KafkaCluster(tmp_path / "kafka")
    cluster.start()
    try:
        topics = own_topics()
        await make_topics(cluster.bootstrap, topics.events, topics.hidden, partitions=2)
        writer = await Writer(cluster.bootstrap, topics).start()
        group = Group(cluster.bootstrap, topics, tmp_path)
        member = group.join()
        one = journal()
        await writer.write(events(one, *range(1, 201)))
        await group.holds(ids(one, *range(1, 201)))
        await asyncio.to_thread(cluster.brokers[0].kill)
        await aeventually(lambda: "has not answered" in member.source.status().trouble, 30)
        await asyncio.to_thread(cluster.brokers[0].start)
        await writer.write(events(one, *range(201, 401)))
        await group.holds(ids(one, *range(1, 401)), 90)
        await aeventually(lambda: member.source.status().trouble == "", 30)
        await writer.close()
        await group.close()
    finally:
        cluster.stop()
