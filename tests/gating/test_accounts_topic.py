"""`pixel.accounts` on a real broker: every change in order, whatever Kafka did meanwhile."""

import asyncio
import contextlib
import itertools

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gating.accounts_topic import AccountsTopic
from gating.feed import StatusChange
from gating.ledger import CHANGE, Ledger, sqlite_url
from tests.eventually import aeventually
from tests.feeds import RedisHouse, in_turn
from tests.gating.ledger.desk import Desk
from tests.servers.kafka import KafkaCluster

NUMBERS = itertools.count()


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(sqlite_url(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


@pytest.fixture
def name():
    return f"accounts-{next(NUMBERS)}"


@contextlib.asynccontextmanager
async def carried(ledger, bootstrap, name):
    """The topic, carried to for as long as the block runs."""
    topic = AccountsTopic(ledger, bootstrap, in_turn=in_turn, topic=name)
    running = asyncio.create_task(topic.run(lambda: 1))
    try:
        yield topic
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def records(bootstrap, name):
    """Every record there is now, in each partition's order."""
    consumer = AIOKafkaConsumer(name, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        found = []
        ends = await consumer.end_offsets(consumer.assignment())
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                for batch in (await consumer.getmany(partition, timeout_ms=1000)).values():
                    found += batch
        return found
    finally:
        await consumer.stop()


def versions(found):
    return [StatusChange.decode(record.value).version for record in found]


async def test_every_change_is_carried_in_order_with_the_account_as_key(ledger, kafka_cluster, name):
    desk = Desk(ledger)
    async with carried(ledger, kafka_cluster.bootstrap, name) as topic:
        desk.open("shop")
        desk.open("other")
        for _ in range(3):
            desk.do("pause"), desk.do("resume")
        topic.wake()
        await aeventually(lambda: topic.version == 8, 30)
    found = await records(kafka_cluster.bootstrap, name)
    assert versions(found) == list(range(1, 9))
    assert all(record.key.decode() == StatusChange.decode(record.value).account for record in found)
    assert found[0].headers == (("schema", b"1"),)
    assert ledger.relayed.version("kafka") == 8


async def test_a_restart_goes_on_where_the_last_one_was(ledger, kafka_cluster, name):
    desk = Desk(ledger)
    desk.open("shop")
    for command in ("pause", "resume"):
        async with carried(ledger, kafka_cluster.bootstrap, name) as topic:
            made = desk.do(command)
            await aeventually(lambda version=made.version, topic=topic: topic.version == version, 30)
    assert versions(await records(kafka_cluster.bootstrap, name)) == [1, 2, 3]


async def test_the_topic_is_made_compacted(ledger, kafka_cluster, name):
    Desk(ledger).open("shop")
    async with carried(ledger, kafka_cluster.bootstrap, name) as topic:
        await aeventually(lambda: topic.version == 1, 30)
    assert await policy(kafka_cluster.bootstrap, name) == "compact"


async def policy(bootstrap, name):
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        return next(entry[1] for entry in answer.resources[0][4] if entry[0] == "cleanup.policy")
    finally:
        await admin.close()


async def test_a_topic_that_forgets_by_age_is_told(ledger, kafka_cluster, name, caplog):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_cluster.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    Desk(ledger).open("shop")
    async with carried(ledger, kafka_cluster.bootstrap, name) as topic:
        await aeventually(lambda: topic.version == 1, 30)
    assert "cleanup.policy=delete" in caplog.text


async def test_what_the_outbox_does_not_hold_any_more_comes_as_each_accounts_newest(ledger, kafka_cluster, name):
    """Kafka was named after years, or was away for longer than changes are kept."""
    desk = Desk(ledger)
    with ledger.begin() as transaction:
        for n in range(1203):
            desk.open_in(transaction, f"account-{n}")
    desk.do("pause", "account-7")
    ledger.delivered(CHANGE, ledger.outbox(kind=CHANGE, limit=10_000)[-1].id)
    async with carried(ledger, kafka_cluster.bootstrap, name) as topic:
        await aeventually(lambda: topic.version == ledger.head().version, 30)
        desk.do("resume", "account-7")
        topic.wake()
        await aeventually(lambda: topic.version == ledger.head().version, 30)
    newest = {
        record.key.decode(): StatusChange.decode(record.value)
        for record in await records(kafka_cluster.bootstrap, name)
    }
    assert newest == {change.account: change for change in ledger.changes_since(0, 10_000)}


async def test_kafka_away_holds_redis_up_in_nothing_and_gets_everything_later(ledger, redis_url, tmp_path):
    cluster = KafkaCluster(tmp_path / "kafka")
    cluster.start()
    try:
        topic = AccountsTopic(ledger, cluster.bootstrap, in_turn=in_turn)
        async with RedisHouse(ledger, redis_url, accounts_topic=topic, changes_retained=0) as house:
            house.announce(house.desk.open("shop"))
            await house.settled()
            await aeventually(lambda: topic.version == 1, 30)
            cluster.brokers[0].kill()
            for _ in range(20):
                house.announce(house.desk.do("pause"), house.desk.do("resume"))
            await house.settled()
            await aeventually(lambda: topic.trouble, 60)
            await house.relay.forget()
            assert [row.version for row in ledger.outbox(kind=CHANGE)] == list(range(2, 42))
            cluster.brokers[0].start()
            await aeventually(lambda: topic.version == 41 and not topic.trouble, 60)
            await house.relay.forget()
            assert ledger.outbox(kind=CHANGE) == []
        found = versions(await records(cluster.bootstrap, "pixel.accounts"))
        assert sorted(set(found)) == list(range(1, 42))
        # A repeat is harmless where the newest comes last.
        assert found[-1] == 41
    finally:
        cluster.stop()


async def test_nobody_carries_who_does_not_lead(ledger, kafka_cluster, name):
    Desk(ledger).open("shop")
    topic = AccountsTopic(ledger, kafka_cluster.bootstrap, in_turn=in_turn, topic=name)
    term = 0
    running = asyncio.create_task(topic.run(lambda: term))
    topic.wake()
    await aeventually(lambda: not topic._due.is_set())
    assert (topic.version, topic._producer) == (0, None)
    term = 1
    await aeventually(lambda: topic.version == 1, 30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
