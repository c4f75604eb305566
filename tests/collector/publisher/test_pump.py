"""The publisher against a real broker: what is in the journals comes to the topics, and the journals go."""

import asyncio
from collections import Counter

import pytest

from collector.publisher import intake as intake_module
from collector.publisher.book import read_book
from collector.publisher.partitions import partition_of
from gating.status import Verdict
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


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path / "data")
    yield host
    host.close()


async def test_every_kept_hit_comes_once_and_its_journal_goes(host, kafka_cluster):
    """I10: on the wire, without any fault, exactly once."""
    names = topics()
    journals = [host.journal() for _ in range(3)]
    for journal in journals:
        write(journal, visitors(700))
        journal.close()
    async with publishing(host, kafka_cluster.bootstrap, names):
        await until(lambda: host.owed() == [])
    found = await seen(kafka_cluster.bootstrap, *names.of_events)
    assert Counter(one.journal for one in found) == {journal.id: 700 for journal in journals}
    assert len({one.event.id for one in found}) == len(found) == 2100
    assert not any(one.again for one in found)


async def test_only_verified_accepts_come_on_pixel_events(host, kafka_cluster):
    """CONTRACT: whoever knows nothing of statuses can leak nothing."""
    names = topics()
    kinds = [(verdict, verified) for verdict in (Verdict.ACCEPT, Verdict.HIDE) for verified in (True, False)]
    write(host.journal(), [record(verdict=verdict, verified=verified) for verdict, verified in kinds * 25])
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await all_published(publisher)
    found = await seen(kafka_cluster.bootstrap, *names.of_events)
    of = Counter((one.topic, one.event.verdict, one.event.verified) for one in found)
    assert of == {
        (names.events, Verdict.ACCEPT, True): 25,
        (names.hidden, Verdict.ACCEPT, False): 25,
        (names.hidden, Verdict.HIDE, True): 25,
        (names.hidden, Verdict.HIDE, False): 25,
    }


async def test_a_record_has_the_key_partition_headers_and_time_that_the_contract_names(host, kafka_cluster):
    names = topics()
    journal = host.journal()
    write(journal, [record("shop", "anna"), record("shop", None)], group=2)
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await all_published(publisher)
    found = {one.sequence: one for one in await seen(kafka_cluster.bootstrap, names.events)}
    assert found[1].key == b"shop:anna"
    assert found[2].key == f"{journal.id}-2".encode()
    for one in found.values():
        assert one.partition == partition_of(one.key, 4)
        assert one.headers == {"schema": b"1", "verdict": b"ACCEPT"}
        assert one.timestamp == TIME_US // 1000
        assert one.event.url == "https://shop.example/a"


async def test_a_live_journal_is_followed_and_its_cursor_moves(host, kafka_cluster):
    names = topics()
    journal = host.journal()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        for total in (10, 20, 30):
            write(journal, visitors(10))
            await until(lambda total=total: publisher.through(journal.id) == total)
        await until(lambda: read_book(host.data.root).account(journal.id).last == 30)
        assert host.owed() == [journal.id]
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        write(journal, visitors(5))
        await until(lambda: publisher.through(journal.id) == 35)
        assert publisher.counts.events == 5
    assert len(await seen(kafka_cluster.bootstrap, names.events)) == 35


async def test_a_visitors_events_keep_their_order(host, kafka_cluster):
    names = topics()
    for _ in range(2):
        write(host.journal(), visitors(2000, of=13))
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await all_published(publisher)
    last: dict[tuple[str, bytes], int] = {}
    partitions: dict[bytes, set[int]] = {}
    for one in await seen(kafka_cluster.bootstrap, names.events):
        assert one.sequence > last.get((one.journal, one.key), 0)
        last[one.journal, one.key] = one.sequence
        partitions.setdefault(one.key, set()).add(one.partition)
    assert len(last) == 26
    assert all(len(places) == 1 for places in partitions.values())


async def test_the_book_knows_of_a_journal_that_is_gone(host, kafka_cluster):
    names = topics()
    journal = host.journal()
    write(journal, visitors(123))
    journal.close()
    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: host.owed() == [])
        offsets = dict(publisher.offsets)
    book = read_book(host.data.root)
    account = book.journals[journal.id]
    assert (account.last, account.published, account.missing_hits, account.dead) == (123, 123, 0, 0)
    assert account.ended
    ends = Counter(one.partition for one in await seen(kafka_cluster.bootstrap, names.events))
    assert offsets == {(names.events, partition): records - 1 for partition, records in ends.items()}
    assert book.offsets == offsets


async def test_a_kill_between_acknowledgement_and_commit_loses_and_doubles_nothing(host, kafka_cluster):
    """I10: at least once on the wire; a reader tells what comes again by its sequence."""
    names = topics()
    journal = host.journal()
    write(journal, visitors(900))
    async with publishing(host, kafka_cluster.bootstrap, names, commit_seconds=3600) as publisher:
        await until(lambda: publisher.counts.events == 900)

        async def refuse(_offsets: object) -> None:
            raise OSError(5, "the disk is gone")

        publisher.intake.commit = refuse  # as a kill leaves it: nothing of this run is behind the cursor
    write(journal, visitors(100))
    journal.close()
    async with publishing(host, kafka_cluster.bootstrap, names):
        await until(lambda: host.owed() == [])
    found = await seen(kafka_cluster.bootstrap, names.events)
    assert len(found) == 1900
    assert sorted(one.sequence for one in deduped(found)) == list(range(1, 1001))


async def test_one_account_with_most_of_the_traffic_holds_up_no_other(host, kafka_cluster):
    """A hot visitor fills one lane; the others' events, in the same journal and in another, go out meanwhile."""
    names = topics()
    hot = [record("hot", "robot", extra=f"&n={n}") for n in range(3000)]
    for at in range(0, 3000, 20):
        hot.insert(at, record("cold", f"visitor-{at}"))
    write(host.journal(), hot)
    write(host.journal(), [record("other", f"visitor-{n}") for n in range(200)])
    stuck = partition_of(b"hot:robot", 4)
    sink = _SlowSink(kafka_cluster.bootstrap, names, stuck)
    async with publishing(host, kafka_cluster.bootstrap, names, sink=sink) as publisher:
        elsewhere = {
            ("cold", f"visitor-{at}")
            for at in range(0, 3000, 20)
            if partition_of(f"cold:visitor-{at}".encode(), 4) != stuck
        } | {("other", f"visitor-{n}") for n in range(200) if partition_of(f"other:visitor-{n}".encode(), 4) != stuck}
        await until(lambda: publisher.counts.events >= len(elsewhere))
        arrived = await seen(kafka_cluster.bootstrap, names.events)
        assert {(one.event.account, one.event.visitor) for one in arrived} == elsewhere
        sink.let_go.set()
        await all_published(publisher)
    assert len(deduped(await seen(kafka_cluster.bootstrap, names.events))) == len(hot) + 200


class _SlowSink:
    """Kafka's sink, one of whose partitions waits until it is let go."""

    def __new__(cls, bootstrap, names, stuck):
        from collector.publisher.sink import KafkaSink

        class Slow(KafkaSink):
            def __init__(self) -> None:
                super().__init__(bootstrap, names, 4)
                self.let_go = asyncio.Event()

            async def send(self, place, batch):
                if place == (names.events, stuck):
                    await self.let_go.wait()
                return await super().send(place, batch)

        return Slow()


async def test_a_disk_that_refuses_the_commit_stops_the_reading(host, kafka_cluster, monkeypatch):
    """Everything on the wire is known by its cursor or in a lane: a full disk must not send it again and again."""
    names = topics()
    journal = host.journal()
    full = True

    def write_book(root, book, _write=intake_module.write_book):
        if full:
            raise OSError(28, "No space left on device")
        _write(root, book)

    async with publishing(host, kafka_cluster.bootstrap, names) as publisher:
        await until(lambda: publisher.intake.lanes)
        monkeypatch.setattr(intake_module, "write_book", write_book)
        write(journal, visitors(100))
        await until(lambda: publisher.trouble)
        write(journal, visitors(100))
        assert "No space left" in publisher.trouble
        full = False
        await until(lambda: publisher.through(journal.id) == 200)
        journal.close()
        await until(lambda: host.owed() == [])
    assert [one.again for one in await seen(kafka_cluster.bootstrap, names.events)] == [False] * 200
