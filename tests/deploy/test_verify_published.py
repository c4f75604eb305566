"""Conservation over Kafka (I4, I10): journals and the publisher's book against a warehouse that hosts share."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.journal import Journal
from collector.metrics import Published
from collector.publisher.book import Account, Book, Total
from collector.totals import summed
from consumers.config import ConsumerSettings
from deploy.sums import OnDisk, Sums
from deploy.verify import verify_all
from deploy.verify_published import Books, Handed, add_up_published, books
from gating.worker_counters import TOTAL
from tests.consumers.house import House
from tests.deploy.workers import published
from tests.eventually import eventually
from tests.processes import Process
from tests.servers import KafkaCluster


def added(
    counters: list[Published], before: Books, journals: dict[str, dict[str, int]], after: Books | None = None
) -> Sums:
    warehouse = {"streams": {"pixel.events/0/a": 1, "pixel.events/0@x": 5}, "journals": journals, "missing": []}
    return add_up_published(counters, set(), before, warehouse, after or before)


@given(places=st.tuples(*(st.integers(0, 50) for _ in range(6))), dropped=st.integers(0, 50))
def test_a_hit_may_be_in_any_one_place_and_the_sums_still_hold(places, dropped):
    """Stored, unverified, settled away, a client's repetition, missing or a dead letter: each counts once."""
    *stored, missing, dead = places
    last = sum(places)
    counters = [published("a", clean=True, accepted=last, dropped_status=dropped)]
    before = Books({"a": Handed(last, missing_hits=missing, dead=dead)})
    sums = added(
        counters, before, {"a": dict(zip(("events", "unverified", "settled_away", "duplicate"), stored, strict=True))}
    )
    assert sums.ok, sums.faults
    assert (sums.hits, sums.kept, sums.missing, sums.dead_letters) == (last + dropped, last, missing, dead)
    assert sums.warehouse + sums.unverified + sums.settled_away + sums.duplicates == sum(stored)


FAULTY = [
    ("a row is missing in the warehouse", 10, Handed(10), {"events": 9}, "1 of them are nowhere"),
    ("a row is there twice", 10, Handed(10), {"events": 11}, "1 more are accounted for"),
    ("a dead letter came through too", 10, Handed(10, dead=1), {"events": 10}, "1 more are accounted for"),
    ("an answered hit is nowhere", 10, Handed(9), {"events": 9}, "10 hits were kept, 9 are"),
    ("a hit was kept and not counted", 9, Handed(10), {"events": 10}, "9 hits were kept, yet 10"),
    ("hits were lost to corruption", 10, Handed(10, ((3, 4),), 2), {"events": 8}, "hits 3 to 4 were"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "counted", "handed", "stored", "said"), FAULTY, ids=[row[0] for row in FAULTY])
def test_what_does_not_add_up_is_a_fault_in_words(case, counted, handed, stored, said):
    sums = added([published("a", clean=True, accepted=counted)], Books({"a": handed}), {"a": stored})
    assert not sums.ok
    assert said in sums.faults[0]


def test_what_came_in_while_it_was_looked_at_is_no_fault_and_no_more_than_that():
    before, after = Books({"a": Handed(10)}), Books({"a": Handed(14)})
    for events in (10, 12, 14):
        assert added([], before, {"a": {"events": events}}, after).ok
    for events in (9, 15):
        assert not added([], before, {"a": {"events": events}}, after).ok


def test_other_hosts_journals_are_summed_and_judged_by_nobody_here():
    sums = added([], Books({"a": Handed(4)}), {"a": {"events": 4}, "b": {"events": 7, "duplicate": 1}})
    assert sums.ok, sums.faults
    assert (sums.kept, sums.warehouse, sums.elsewhere) == (4, 4, 8)


def test_workers_that_are_gone_count_by_their_total_against_what_the_book_folded():
    total = summed(Published(TOTAL, workers=0), [published("a", clean=True, accepted=4), published("b", accepted=2)])
    sums = added([total], Books({"b": Handed(3)}, folded_last=4), {"b": {"events": 3}, "a": {"events": 4}})
    assert sums.ok, sums.faults
    assert (sums.kept, sums.kept_counted, sums.elsewhere) == (7, 6, 4)
    assert not added([total], Books({"b": Handed(1)}, folded_last=4), {"b": {"events": 1}}).ok


def test_the_book_tells_of_what_was_published_and_the_files_of_what_was_not_yet():
    book = Book(
        journals={"gone": Account(last=9, missing=[(2, 3)], ended=True), "here": Account(last=5, missing=[(1, 1)])}
    )
    book.total = Total(journals=3, last=100)
    found = books(book, {"here": OnDisk(8, ((1, 1), (7, 7))), "new": OnDisk(2)}, {"here": 1})
    assert found.folded_last == 100
    assert found.journals == {
        "gone": Handed(9, ((2, 3),), 2),
        "here": Handed(8, ((1, 1), (7, 7)), 2, dead=1),
        "new": Handed(2),
    }


@pytest.fixture
def cluster(tmp_path, kafka_cluster):
    """kafka_cluster: so that Kafka can be had at all. This one has the topics under the names of the contract."""
    cluster = KafkaCluster(tmp_path / "kafka")
    cluster.start()
    yield cluster
    cluster.stop()


async def test_a_hosts_journals_add_up_over_a_real_publisher_and_a_real_broker(cluster, tmp_path):
    """A journal that is gone and one that is written to, events of either topic, unverified ones settled meanwhile."""
    house = House(tmp_path / "data")
    house.create()
    gone = Journal.create(house.data.journals)
    house.hit(*["v=a"] * 30, journal=gone)
    house.hit(*["v=b"] * 20, version=0, journal=gone)
    gone.close()
    house.hit(*["v=c"] * 10)
    house.hit(*["v=d"] * 5, account="", verified=False)
    house.hit("v=e", key="nobody", account="", verified=False)
    settings = ConsumerSettings(data=house.data.root, kafka_bootstrap=cluster.bootstrap)
    with contextlib.closing(house):
        process = Process(
            ["-m", "collector.publisher"], house.data.root, tmp_path / "log", kafka_bootstrap=cluster.bootstrap
        )
        try:
            await asyncio.to_thread(eventually, lambda: process.must_live() and not gone.path.exists(), 60)
            sums = await asyncio.to_thread(verify_all, house.data, settings)
            assert sums["faults"] == []
            assert (sums["kept"], sums["warehouse"], sums["settled_away"]) == (66, 65, 1)
            house.hit(*["v=f"] * 7)
            sums = await asyncio.to_thread(verify_all, house.data, settings)
            assert (sums["ok"], sums["kept"], sums["warehouse"]) == (True, 73, 72), sums
        finally:
            process.stop(60)
