"""The consumer's verbs where events come through Kafka: the whole way from a record to a report."""

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from collector.event import Event
from consumers import loop as loop_module
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from consumers.dead_letters import find
from consumers.errors import AccessDenied, NotSettledInTime
from consumers.exposition import ConsumerMetrics
from consumers.moments import ALWAYS
from consumers.service import Service
from consumers.tail import Filter
from consumers.warehouse.protocol import Audience
from gating.errors import Unreachable
from tests.consumers.events import HIDE, event
from tests.consumers.house import KEY, now_us
from tests.eventually import aeventually, eventually
from tests.kafka import SCHEMA, Answering, Writer, make_topics, own_topics
from tests.processes import ROOT, Process, answers
from tests.servers import KafkaCluster

SECONDS = 30
READER = ROOT / "docs" / "read_events.py"


def hits(journal: str, *sequences: int, **fields) -> list[Event]:
    values = {"write_key": KEY, "received_at": now_us(), "visitor": "v"} | fields
    return [event(sequence, journal, **values) for sequence in sequences]


class Scaled:
    """A consumer's service on Kafka, a publisher that answers, and a hand that writes."""

    def __init__(self, house, bootstrap: str, clickhouse_url: str | None) -> None:
        self.house, self.bootstrap, self.topics, self.journal = house, bootstrap, own_topics(), uuid.uuid4().hex
        self.settings = ConsumerSettings(data=house.data.root, kafka_bootstrap=bootstrap, clickhouse_url=clickhouse_url)

    async def start(self) -> "Scaled":
        self.house.create()
        await make_topics(self.bootstrap, *self.topics.of_events, partitions=2)
        await make_topics(self.bootstrap, self.topics.publishers)
        self.publisher = await Answering(self.bootstrap, self.topics.publishers).start()
        self.writer = await Writer(self.bootstrap, self.topics).start()
        self.service = Service(self.house.data, self.settings, self.topics)
        self.running = [asyncio.create_task(self.service.loop.run()), asyncio.create_task(self.service.announcer.run())]
        return self

    async def write(self, events: list[Event]) -> None:
        for place, offset in (await self.writer.write(events)).items():
            self.publisher.offsets[place] = max(offset, self.publisher.offsets.get(place, 0))

    async def events(self) -> dict[str, int]:
        """A report's figures once everything is in."""
        await self.service.settled(SECONDS)
        return (await self.service.report("shop", Audience.OPERATOR, ALWAYS))["events"]

    async def close(self) -> None:
        self.service.loop.stop()
        self.running[1].cancel()
        await asyncio.wait(self.running)
        await self.service.close()
        await self.writer.close()
        await self.publisher.close()


@pytest.fixture(params=["duckdb", "clickhouse"])
async def scaled(request, house, kafka_cluster, monkeypatch):
    """Over either form of the warehouse."""
    url = request.getfixturevalue("clickhouse_url") if request.param == "clickhouse" else None
    monkeypatch.setattr(loop_module, "BACKOFF_SECONDS_MAX", 0.01)
    scaled = await Scaled(house, kafka_cluster.bootstrap, url).start()
    yield scaled
    await scaled.close()


async def test_a_settled_report_holds_what_every_publisher_had_before_it(scaled):
    await scaled.write(hits(scaled.journal, *range(1, 301)))
    await scaled.write(hits(scaled.journal, *range(301, 311), verdict=HIDE, version=5))
    assert await scaled.events() == {"visible": 300, "hidden": 10, "unverified": 0}
    await scaled.write(hits(scaled.journal, *range(311, 320)))
    assert (await scaled.events())["visible"] == 309


async def test_a_publisher_that_does_not_answer_is_named(scaled):
    await scaled.write(hits(scaled.journal, 1))
    assert (await scaled.events())["visible"] == 1
    scaled.publisher.silent = True
    with pytest.raises(NotSettledInTime, match=rf"no answer from publisher {scaled.publisher.publisher[:8]} on host-1"):
        await scaled.service.settled(1)


async def test_a_publisher_that_said_farewell_is_not_waited_for(scaled):
    await scaled.write(hits(scaled.journal, 1, 2))
    scaled.publisher.silent = True
    await scaled.publisher.farewell()
    assert (await scaled.events())["visible"] == 2


async def test_an_offset_that_a_publisher_names_is_waited_for_until_it_is_taken(scaled):
    """A publisher may know of records that no broker told of when it was asked."""
    await scaled.write(hits(scaled.journal, 1))
    await scaled.events()
    scaled.publisher.offsets[scaled.topics.events, 0] = 10_000
    with pytest.raises(NotSettledInTime, match=r"1 of \d partitions are not in the warehouse"):
        await scaled.service.settled(1)


async def test_a_line_that_only_looks_like_an_event_becomes_a_dead_letter_and_the_loop_goes_on(scaled):
    """It begins and ends as an event does, so the engine finds it: then every event of its batch is looked at."""
    (broken,) = hits(scaled.journal, 2)
    await scaled.write(hits(scaled.journal, 1))
    for spoilt in (b'"name":"page_view",', b'"verified":true', b'"language":null'):
        await scaled.writer.raw(
            scaled.topics.events, broken.encode().replace(spoilt, b'"name":{'), (SCHEMA, ("verdict", b"A"))
        )
    await scaled.write(hits(scaled.journal, 3))
    assert (await scaled.events())["visible"] == 2
    assert len(find(scaled.house.data.dead_letters)) == 3
    assert scaled.service.status()["source"]["poison"] == 3


async def test_text_that_an_engine_might_stumble_over_is_kept_as_it_came(scaled):
    texts = ["nul \0 in it", "Zeile\nzwei", 'a "quoted" \\ one', "\U0001f600 \u2028", "x" * 20_000]
    await scaled.write(
        [e for n, text in enumerate(texts, 1) for e in hits(scaled.journal, n, url=text, params={"k": text})]
    )
    assert (await scaled.events())["visible"] == len(texts)


async def read_on(scaled, count: int) -> list[Event]:
    """The first events of `pixel.events`, of all its partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=scaled.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(scaled.topics.events, n) for n in (0, 1)])
    found = []
    async with asyncio.timeout(SECONDS):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    await consumer.stop()
    return found


async def test_what_settles_as_accepted_comes_on_the_accepted_events_under_the_same_id(scaled):
    """DESIGN 8: `again` and `revealed_at` tell it apart; the consumer that wrote it does not take it twice."""
    await scaled.write(hits(scaled.journal, 1))
    await scaled.write(hits(scaled.journal, 2, 3, account="", verified=False))
    assert await scaled.events() == {"visible": 3, "hidden": 0, "unverified": 0}
    records = {Event.decode(record.value).id: record for record in await read_on(scaled, 3)}
    assert records.keys() == {f"{scaled.journal}-{n}" for n in (1, 2, 3)}
    for sequence, came_later in ((1, False), (2, True), (3, True)):
        record = records[f"{scaled.journal}-{sequence}"]
        told = Event.decode(record.value)
        assert (told.account, told.verified, told.verdict.name) == ("shop", True, "ACCEPT")
        assert ("again" in dict(record.headers)) is came_later is (told.revealed_at is not None)
        assert record.key == b"shop:v"
    await aeventually(lambda: scaled.service.status()["source"]["again"] == 2, SECONDS)
    assert (await scaled.events())["visible"] == 3
    assert scaled.service.announcer.announced == 2


async def test_what_went_wrong_and_what_is_owed_is_in_the_metrics(scaled):
    await scaled.write(hits(scaled.journal, *range(1, 11)))
    await scaled.writer.raw(scaled.topics.events, b"?")
    await scaled.events()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in ConsumerMetrics(scaled.service).collect()
        for sample in metric.samples
    }
    assert samples["pixelgate_consumer_poison_total",] == 1
    assert samples["pixelgate_consumer_events_total",] == 10
    assert samples["pixelgate_consumer_owed",] == 0
    assert samples["pixelgate_consumer_lag", f"{scaled.topics.events}/0"] == 0


async def test_where_kafka_is_down_the_consumer_stays_up_and_says_so(house):
    house.create()
    settings = ConsumerSettings(data=house.data.root, kafka_bootstrap="127.0.0.1:1")
    service = Service(house.data, settings)
    running = asyncio.create_task(service.loop.run())
    await aeventually(lambda: "Kafka at 127.0.0.1:1 cannot be read" in service.status()["trouble"], SECONDS)
    with pytest.raises(Unreachable, match="cannot be read"):
        await service.settled(0.2)
    assert (await service.report("shop", Audience.OPERATOR, ALWAYS))["events"]["visible"] == 0
    service.loop.stop()
    await running
    await service.close()


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory, kafka_cluster):
    """kafka_cluster: so that Kafka can be had at all. This one has the topics under the names of the contract."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka-own"))
    cluster.start()
    yield cluster
    cluster.stop()


async def test_the_consumer_process_on_a_host_without_journals_and_the_command_line_without_it(
    own_cluster, tmp_path: Path
):
    """Then a reader that knows nothing of ours sees accepted events alone, each once."""
    from collector.topics import Topics
    from tests.consumers.house import House

    house = House(tmp_path / "data")
    house.create()
    house.journal.close()
    shutil.rmtree(house.data.journals)
    topics, bootstrap, journal = Topics(), own_cluster.bootstrap, uuid.uuid4().hex
    await make_topics(bootstrap, *topics.of_events, partitions=2)
    await make_topics(bootstrap, topics.publishers)
    publisher = await Answering(bootstrap, topics.publishers).start()
    writer = await Writer(bootstrap, topics).start()
    settings = ConsumerSettings(data=house.data.root, kafka_bootstrap=bootstrap)
    client = ConsumerClient(house.data, settings)

    await writer.write(hits(journal, *range(1, 51)))
    await writer.write(hits(journal, *range(51, 61), verdict=HIDE, version=3))
    process = Process(["-m", "consumers", "materialise"], house.data.root, tmp_path / "log", kafka_bootstrap=bootstrap)
    try:
        await asyncio.to_thread(eventually, lambda: process.must_live() and answers(house.data.consumer_socket), 20)
        events = (await asyncio.to_thread(client.report, "shop", settled=SECONDS))["events"]
        assert events == {"visible": 50, "hidden": 10, "unverified": 0}
        assert (await asyncio.to_thread(client.status))["source"]["kind"] == "kafka"
    finally:
        code = process.stop()
    assert code == 0, process.log

    await writer.write(hits(journal, *range(61, 71)))
    await writer.write(hits(journal, 70), again=True)
    alone = (await asyncio.to_thread(client.report, "shop", settled=SECONDS))["events"]
    assert alone["visible"] == 60

    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, READER, bootstrap, "60"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(int(one["id"].partition("-")[2]) for one in read) == [*range(1, 51), *range(61, 71)]
    assert {one["verdict"] for one in read} == {"ACCEPT"}
    await writer.close()
    await publisher.close()
    house.ledger.close()


async def test_a_tail_follows_every_partition_from_its_end_and_an_account_sees_accepted_events_alone(scaled):
    """I11."""

    async def visitors(tail, count: int) -> list[str]:
        found: list[str] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < count:
                found += [one["visitor"] for one in await asyncio.to_thread(tail.poll)]
        return sorted(found)

    await scaled.write(hits(scaled.journal, 1, visitor="before"))
    operator = await scaled.service.tail(Filter("shop"))
    account = await scaled.service.tail(Filter("shop", audience=Audience.ACCOUNT))
    await scaled.writer.raw(scaled.topics.events, b"?")
    await scaled.write(hits(scaled.journal, 2, visitor="hidden", verdict=HIDE))
    await scaled.write(hits(scaled.journal, 3, visitor="unverified", verified=False))
    await scaled.write(hits(scaled.journal, 4, visitor="other", account="else"))
    await scaled.writer.write(hits(scaled.journal, 1, visitor="again"), again=True)
    await scaled.write(hits(scaled.journal, 5, visitor="accepted"))
    assert await visitors(operator, 3) == ["accepted", "hidden", "unverified"]
    assert await visitors(account, 1) == ["accepted"]
    await scaled.write(hits(scaled.journal, 6, visitor="late"))
    scaled.house.flip("pause")
    with pytest.raises(AccessDenied):
        await visitors(account, 1)
    await asyncio.to_thread(operator.close)
    await asyncio.to_thread(account.close)
