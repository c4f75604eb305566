"""What every Source promises; each form is a parameter of the fixture."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector.addresses import Addresses
from collector.journal import Journal, Record, encode_record
from consumers.journal_source import JournalSource
from consumers.source import BATCH_EVENTS_MAX, Batch, Source
from gating.status import Verdict


class JournalForm:
    """The embedded form: hits go into one live journal, and a source can be opened on it again and again."""

    def __init__(self, root: Path) -> None:
        (root / "journals").mkdir()
        self.root = root
        self.journal = Journal.create(root / "journals")

    def write(self, hits: int, received_at_us: int = 1_700_000_000_000_000) -> None:
        head = b"GET /p/key.gif?v=v HTTP/1.1\r\nHost: c.test\r\n\r\n"
        record = encode_record(Record(0, 0, Verdict.ACCEPT, True, 1, "shop", "203.0.113.9", head, None))
        self.journal.append(received_at_us, [record] * hits, hits)

    def open(self) -> Source:
        return JournalSource(self.root / "journals", self.root / "quarantine", Addresses())

    def close(self) -> None:
        self.journal.close()


@pytest.fixture(params=[JournalForm])
def form(request, tmp_path):
    form = request.param(tmp_path)
    yield form
    form.close()


@pytest.fixture
async def source(form) -> AsyncIterator[Source]:
    source = form.open()
    yield source
    await source.close()


def sequences(batch: Batch) -> list[int]:
    return [sequence for part in batch.parts for sequence in part.sequences]


async def taken(source: Source) -> list[int]:
    """Everything there is, committed batch by batch."""
    found = []
    while (batch := await source.poll(0)) or batch.token is not None:
        found += sequences(batch)
        await source.commit(batch)
    return found


async def test_events_come_once_in_ascending_order_when_each_batch_is_committed(form, source):
    for _ in range(50):
        form.write(7)
    assert await taken(source) == list(range(1, 351))
    form.write(3)
    assert await taken(source) == [351, 352, 353]


async def test_a_part_says_how_far_its_stream_is_covered_and_agrees_with_its_events_ids(form, source):
    form.write(5)
    batch = await source.poll(1)
    (part,) = batch.parts
    assert part.highest == part.sequences[-1] == 5
    assert [event.id for event in part.events] == [f"{part.stream}-{n}" for n in part.sequences]


async def test_what_was_polled_and_not_committed_comes_again_after_a_rewind(form, source):
    """At least once: a batch that the warehouse refused is not lost."""
    form.write(5)
    assert sequences(await source.poll(1)) == [1, 2, 3, 4, 5]
    assert not await source.poll(0)
    await source.rewind()
    assert sequences(await source.poll(1)) == [1, 2, 3, 4, 5]


async def test_what_was_not_committed_comes_again_to_the_next_consumer(form, source):
    form.write(2)
    await source.commit(await source.poll(1))
    form.write(3)
    await source.poll(1)
    await source.close()
    later = form.open()
    assert await taken(later) == [3, 4, 5]
    await later.close()


async def test_a_poll_without_events_ends_after_its_wait_with_an_empty_batch(source):
    batch = await source.poll(0.01)
    assert not batch
    assert batch.events == 0


async def test_a_batch_is_bounded_however_much_there_is(form, source):
    for _ in range(40):
        form.write(500)
    batch = await source.poll(1)
    assert 0 < batch.events <= 2 * BATCH_EVENTS_MAX


async def test_the_ends_cover_every_hit_that_was_answered_before(form, source):
    """What `--settled` waits for."""
    assert max((await source.ends()).values(), default=0) == 0
    form.write(9)
    assert list((await source.ends()).values()) == [9]
    await source.commit(await source.poll(1))
    form.write(1)
    assert list((await source.ends()).values()) == [10]


async def test_a_stream_that_ended_goes_once_it_was_committed(form, source):
    form.write(4)
    form.close()
    assert await taken(source) == [1, 2, 3, 4]
    assert await source.ends() == {}
    assert source.status().streams == 0
