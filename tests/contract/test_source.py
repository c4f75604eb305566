"""What every Source promises; each form is a parameter of the fixture."""

import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from collector.addresses import Addresses
from collector.journal import Journal, Record, encode_record
from consumers.dead_letters import DeadLetters
from consumers.journal_source import JournalSource
from consumers.kafka_source import KafkaSource
from consumers.source import BATCH_EVENTS_MAX, Batch, Source
from consumers.warehouse.lines import id_of
from gating.status import Verdict
from tests.consumers.events import event
from tests.kafka import Answering, Writer, make_topics, own_topics

SECONDS = 20.0


class Stored:
    """What a warehouse would say of its streams: both forms store a batch's highest before it is committed."""

    def __init__(self) -> None:
        self.highest: dict[str, int] = {}

    def take(self, batch: Batch) -> None:
        self.highest.update({part.stream: part.highest for part in batch.parts})

    def owed(self, ends: Mapping[str, int]) -> list[str]:
        return [stream for stream, end in ends.items() if self.highest.get(stream, 0) < end]


class JournalForm:
    """The embedded form: hits go into one live journal, and a source can be opened on it again and again."""

    def __init__(self, root: Path) -> None:
        (root / "journals").mkdir()
        self.root, self.stored = root, Stored()
        self.journal = Journal.create(root / "journals")

    async def write(self, hits: int, received_at_us: int = 1_700_000_000_000_000) -> None:
        head = b"GET /p/key.gif?v=v HTTP/1.1\r\nHost: c.test\r\n\r\n"
        record = encode_record(Record(0, 0, Verdict.ACCEPT, True, 1, "shop", "203.0.113.9", head, None))
        self.journal.append(received_at_us, [record] * hits, hits)

    def open(self) -> Source:
        return JournalSource(self.root / "journals", self.root / "quarantine", Addresses())

    async def end(self) -> None:
        """No hit comes any more."""
        self.journal.close()

    async def close(self) -> None:
        self.journal.close()


class KafkaForm:
    """The scale-out form: one journal's events in one partition, written as the publisher writes them."""

    def __init__(self, root: Path, bootstrap: str) -> None:
        self.root, self.bootstrap, self.stored = root, bootstrap, Stored()
        self.topics, self.group = own_topics(), uuid.uuid4().hex
        self.journal, self.sequence = uuid.uuid4().hex, 0

    async def start(self) -> None:
        await make_topics(self.bootstrap, self.topics.events, self.topics.hidden, self.topics.publishers)
        self.writer = await Writer(self.bootstrap, self.topics).start()
        self.publisher = await Answering(self.bootstrap, self.topics.publishers).start()

    async def write(self, hits: int) -> None:
        events = [event(self.sequence + n, self.journal) for n in range(1, hits + 1)]
        self.sequence += hits
        self.publisher.offsets.update(await self.writer.write(events))

    def open(self) -> Source:
        async def highest() -> Mapping[str, int]:
            return self.stored.highest

        letters = DeadLetters(self.root / "dead-letters")
        return KafkaSource(self.bootstrap, highest, letters, self.topics, self.group)

    async def end(self) -> None:
        await self.publisher.farewell()

    async def close(self) -> None:
        await self.writer.close()
        await self.publisher.close()


@pytest.fixture(params=["journal", "kafka"])
async def form(request, tmp_path):
    if request.param == "journal":
        form = JournalForm(tmp_path)
    else:
        form = KafkaForm(tmp_path, request.getfixturevalue("kafka_cluster").bootstrap)
        await form.start()
    yield form
    await form.close()


@pytest.fixture
async def source(form) -> AsyncIterator[Source]:
    source = form.open()
    yield source
    await source.close()


def sequences(batch: Batch) -> list[int]:
    return [sequence for part in batch.parts for sequence in part.sequences]


def ids(part) -> list[str]:
    return [id_of(event).decode() if isinstance(event, bytes) else event.id for event in part.events]


async def polled(source: Source) -> Batch:
    """The next batch with something in it."""
    for _ in range(100):
        if batch := await source.poll(SECONDS):
            return batch
    raise AssertionError(f"nothing came: {source.status()}")


async def commit(form, source: Source, batch: Batch) -> None:
    """What the loop does with a batch that went in."""
    form.stored.take(batch)
    await source.commit(batch)


async def taken(form, source: Source, hits: int) -> list[int]:
    """So many sequences, committed batch by batch, and whatever comes beyond them at once."""
    found: list[int] = []
    while len(found) < hits:
        batch = await polled(source)
        found += sequences(batch)
        await commit(form, source, batch)
    while (batch := await source.poll(0)) or batch.token is not None:
        found += sequences(batch)
        await commit(form, source, batch)
    return found


async def test_events_come_once_in_ascending_order_when_each_batch_is_committed(form, source):
    for _ in range(50):
        await form.write(7)
    assert await taken(form, source, 350) == list(range(1, 351))
    await form.write(3)
    assert await taken(form, source, 3) == [351, 352, 353]


async def test_a_part_says_how_far_its_stream_is_covered_and_agrees_with_its_events_ids(form, source):
    await form.write(5)
    batch = await polled(source)
    (part,) = [part for part in batch.parts if part.events]
    assert part.highest == part.sequences[-1] == 5
    journal = part.stream.rpartition("/")[2]
    assert ids(part) == [f"{journal}-{n}" for n in part.sequences]


async def test_what_was_polled_and_not_committed_comes_again_after_a_rewind(form, source):
    """At least once: a batch that the warehouse refused is not lost."""
    await form.write(5)
    assert sequences(await polled(source)) == [1, 2, 3, 4, 5]
    assert not await source.poll(0)
    await source.rewind()
    assert sequences(await polled(source)) == [1, 2, 3, 4, 5]


async def test_what_was_not_committed_comes_again_to_the_next_consumer(form, source):
    await form.write(2)
    await commit(form, source, await polled(source))
    await form.write(3)
    await polled(source)
    await source.close()
    later = form.open()
    assert await taken(form, later, 3) == [3, 4, 5]
    await later.close()


async def test_a_poll_without_events_ends_after_its_wait_with_an_empty_batch(source):
    batch = await source.poll(0.01)
    assert not batch
    assert batch.events == 0


async def test_a_batch_is_bounded_however_much_there_is(form, source):
    for _ in range(40):
        await form.write(500)
    batch = await polled(source)
    assert 0 < batch.events <= 2 * BATCH_EVENTS_MAX


async def test_the_ends_cover_every_hit_that_was_answered_before(form, source):
    """What `--settled` waits for."""
    assert max((await source.ends(SECONDS)).values(), default=0) == 0
    await form.write(9)
    assert list((await source.ends(SECONDS)).values()) == [9]
    await commit(form, source, await polled(source))
    assert form.stored.owed(await source.ends(SECONDS)) == []
    await form.write(1)
    ends = await source.ends(SECONDS)
    assert list(ends.values()) == [10]
    assert form.stored.owed(ends) == list(ends)


async def test_nothing_is_owed_of_a_stream_that_ended_once_it_was_committed(form, source):
    await form.write(4)
    await form.end()
    assert await taken(form, source, 4) == [1, 2, 3, 4]
    assert form.stored.owed(await source.ends(SECONDS)) == []
    assert sum(source.status().lag.values()) == 0


@pytest.mark.parametrize("form", ["journal"], indirect=True)
async def test_a_journal_that_ended_is_removed_once_it_was_committed(form, source):
    await form.write(4)
    await form.end()
    await taken(form, source, 4)
    assert await source.ends(SECONDS) == {}
    assert source.status().streams == 0
    assert not form.journal.path.exists()
