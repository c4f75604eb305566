"""A data directory with journals, a publisher on it, and what a plain reader of the topics then sees."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from collector.addresses import Addresses
from collector.event import Event
from collector.journal import Journal, Record, encode_record
from collector.publisher.limits import Limits
from collector.publisher.pump import Publisher
from collector.publisher.sink import KafkaSink, Sink
from collector.publisher.topics import Admin, Topics
from gating.datadir import DataDirectory
from gating.status import Verdict
from tests.eventually import aeventually

TIME_US = 1_790_000_000_000_000
QUICK = Limits(backoff_seconds=(0.02, 0.5), commit_seconds=0.05, idle_seconds=0.01, linger_seconds=0.02)


def topics() -> Topics:
    """Topics that no other test has."""
    mark = uuid.uuid4().hex[:8]
    return Topics(f"events-{mark}", f"hidden-{mark}", f"publishers-{mark}")


@dataclass(frozen=True)
class Seen:
    """One record as it lies in Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes
    headers: dict[str, bytes]
    event: Event
    timestamp: int

    @property
    def again(self) -> bool:
        return "again" in self.headers

    @property
    def journal(self) -> str:
        return self.event.id[:32]

    @property
    def sequence(self) -> int:
        return int(self.event.id[33:])


class Host:
    """One host's data directory."""

    def __init__(self, root: Path) -> None:
        self.data = DataDirectory.open(root)
        self.journals: list[Journal] = []

    def journal(self) -> Journal:
        self.journals.append(Journal.create(self.data.journals))
        return self.journals[-1]

    def close(self) -> None:
        for journal in self.journals:
            journal.close()

    def owed(self) -> list[str]:
        return [path.name for path in self.data.journals.iterdir()]


def record(
    account: str = "shop",
    visitor: str | None = "v",
    *,
    verdict: Verdict = Verdict.ACCEPT,
    verified: bool = True,
    extra: str = "",
) -> bytes:
    """One hit, as the tick packs it."""
    query = ("" if visitor is None else f"v={visitor}&") + f"u=https%3A%2F%2Fshop.example%2Fa{extra}"
    head = f"GET /p/key.gif?{query} HTTP/1.1\r\nHost: c.test\r\nUser-Agent: UA\r\n\r\n".encode()
    return encode_record(Record(0, 0, verdict, verified, 1, account, "203.0.113.9", head, None))


def write(journal: Journal, records: Iterable[bytes], group: int = 50, at_us: int = TIME_US) -> int:
    """Append hits, `group` a tick; returns how many."""
    waiting = list(records)
    for at in range(0, len(waiting), group):
        part = waiting[at : at + group]
        journal.append(at_us, part, len(part))
    return len(waiting)


def visitors(hits: int, of: int = 97) -> list[bytes]:
    """Hits of many visitors."""
    return [record(visitor=f"visitor-{n % of}") for n in range(hits)]


@contextlib.asynccontextmanager
async def publishing(
    host: Host, bootstrap: str, names: Topics, limits: Limits = QUICK, sink: Sink | None = None, **changed: float
) -> AsyncIterator[Publisher]:
    """A publisher at work; stopped, politely, at the end."""
    publisher = Publisher(
        host.data,
        sink or KafkaSink(bootstrap, names, 4, metadata_seconds=0.5),
        names,
        Addresses(),
        limits=replace(limits, **changed),
    )
    stopped = asyncio.Event()
    running = asyncio.create_task(publisher.run(stopped))
    try:
        yield publisher
        if running.done():
            running.result()
    finally:
        stopped.set()
        await running


async def all_published(publisher: Publisher, seconds: float = 60) -> None:
    """Wait until nothing is owed; the publisher may have thrown producers away meanwhile."""
    await aeventually(lambda: publisher.intake.owed() == 0, seconds)


async def until(probe: Callable[[], object], seconds: float = 60) -> None:
    await aeventually(probe, seconds)


async def seen(bootstrap: str, *names: str) -> list[Seen]:
    """Everything that lies in these topics now, partition by partition, by a reader of no group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with Admin(bootstrap) as admin:
            counts = {state.name: state.partitions for state in await admin.states(names)}
        places = [TopicPartition(name, number) for name in names for number in range(counts[name])]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        found: list[Seen] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [
                    Seen(
                        one.topic, one.partition, one.offset, one.key, dict(one.headers), Event.decode(one.value),
                        one.timestamp,
                    )
                    for one in records
                ]  # fmt: skip
        return sorted(found, key=lambda one: (one.topic, one.partition, one.offset))
    finally:
        await consumer.stop()


def deduped(records: Iterable[Seen]) -> list[Seen]:
    """What a reader keeps that follows DESIGN 8: at or below a partition's highest sequence of a journal is a
    duplicate; `again` is looked up by id. Fails where a sequence that it drops was never kept: that would be a loss."""
    highest: dict[tuple[str, int, str], int] = {}
    ids: set[str] = set()
    kept = []
    for one in records:
        stream = one.topic, one.partition, one.journal
        if one.again:
            if one.event.id in ids:
                continue
        elif one.sequence <= highest.get(stream, 0):
            assert one.event.id in ids, f"{one.event.id} would be lost: it comes after {highest[stream]}"
            continue
        else:
            highest[stream] = one.sequence
        assert one.event.id not in ids, f"{one.event.id} is counted twice"
        ids.add(one.event.id)
        kept.append(one)
    return kept
