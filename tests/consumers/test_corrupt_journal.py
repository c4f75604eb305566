"""Damage in a journal costs what it hit, is told by exact ranges, and holds nothing else up."""

import errno

import pytest

from collector.journal import Journal, JournalReader, spool
from consumers.moments import ALWAYS
from consumers.warehouse.protocol import Audience

FRAMES, HITS = 9, 10


def damaged(house, *, live: bool) -> Journal:
    """A journal of FRAMES frames with HITS hits each, of which the fifth is damaged."""
    journal = Journal.create(house.data.journals, segment_bytes=256 * 1024)
    for frame in range(FRAMES):
        house.hit(*[f"v=frame{frame}"] * HITS, journal=journal)
    (segment,) = journal.path.glob("*.segment")
    content = bytearray(segment.read_bytes())
    at = content.index(b"v=frame4")
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(b"!")
    if not live:
        journal.close()
    return journal


async def test_what_lies_behind_damage_arrives_and_the_missing_range_is_kept(house):
    """DESIGN 5: every later valid frame is kept, the exact missing sequences are reported, a copy is kept."""
    house.create()
    journal = damaged(house, live=False)
    house.hit("v=other")
    service = house.service()
    await service.loop.drain(30)
    report = await service.report("shop", Audience.OPERATOR, ALWAYS)
    assert report["events"]["visible"] == (FRAMES - 1) * HITS + 1
    sums = await service.sums()
    assert sums["missing"] == [[journal.id, 41, 50]]
    assert sums["streams"][journal.id] == FRAMES * HITS
    assert sums["journals"][journal.id] == {"events": 80, "missing": 10}
    assert "hits 41 to 50 are missing" in service.status()["source"]["faults"][0]
    await service.close()
    assert not journal.path.exists()
    (kept,) = house.data.quarantine.iterdir()
    assert kept.name.startswith(journal.id)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_missing_range_is_told_once_however_often_it_is_read(house, times):
    house.create()
    journal = damaged(house, live=False)
    for _ in range(times):
        service = house.service()
        batch = await service.loop.source.poll(1)
        await service.loop.on_worker(service.loop.materialiser.take, batch)
        await service.close()  # the cursor did not move: all of it comes again
    service = house.service()
    await service.loop.drain(30)
    assert (await service.sums())["journals"][journal.id] == {"events": 80, "missing": 10}
    await service.close()


async def test_a_corrupt_journal_does_not_hold_up_the_others(house):
    """A directory full of noise beside a good journal: the good one's events arrive."""
    house.create()
    noise = house.data.journals / ("0" * 32)
    noise.mkdir()
    (noise / "00000000000000000001.segment").write_bytes(b"PXFR" * 10_000)
    (noise / "cursor").write_bytes(b"\xff" * 64)
    house.hit("v=a", "v=b")
    service = house.service()
    await service.loop.drain(30)
    assert (await service.report("shop", Audience.OPERATOR, ALWAYS))["events"]["visible"] == 2
    await service.close()


async def test_a_journal_that_cannot_be_read_waits_while_the_others_go_on(house, monkeypatch):
    """A disk's error in one journal: nothing of it is lost or passed over, nothing else waits for it."""
    house.create()
    bad = Journal.create(house.data.journals)
    house.hit("v=bad", journal=bad)
    house.hit("v=good")
    service = house.service()
    read = JournalReader.read

    def failing(reader, bytes_max):
        if reader.id == bad.id:
            raise OSError(errno.EIO, "Input/output error")
        return read(reader, bytes_max)

    with monkeypatch.context() as patched:
        patched.setattr(JournalReader, "read", failing)
        patched.setattr(spool, "ASIDE_SECONDS", 0)
        await service.loop.drain(30)
    assert (await service.report("shop", Audience.OPERATOR, ALWAYS))["events"]["visible"] == 1
    assert f"journal {bad.id} cannot be read now" in service.status()["source"]["faults"][0]
    await service.loop.source.rewind()
    await service.loop.drain(30)
    assert (await service.report("shop", Audience.OPERATOR, ALWAYS))["events"]["visible"] == 2
    await service.close()
    bad.close()
