"""Conservation (I4, I10): whatever is changed in one place alone is found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.metrics import Published
from collector.totals import summed
from deploy.sums import OnDisk, Sums
from deploy.verify import add_up
from gating.worker_counters import TOTAL
from tests.deploy.workers import published


def warehouse(**journals: dict[str, int]) -> dict[str, Any]:
    """Sums as a warehouse tells them: `highest` beside where the hits went."""
    return {
        "streams": {name: sums["highest"] for name, sums in journals.items()},
        "journals": {name: {k: v for k, v in sums.items() if k != "highest"} for name, sums in journals.items()},
        "missing": [[name, 3, 2 + sums["missing"]] for name, sums in journals.items() if sums.get("missing")],
    }


def added(counters: list[Published], disk: dict[str, OnDisk], stored: dict[str, Any], living: set[str]) -> Sums:
    return add_up(counters, living, disk, stored)


@given(
    taken=st.tuples(*(st.integers(0, 50) for _ in range(4))),
    owed=st.integers(0, 50),
    dropped=st.integers(0, 50),
)
def test_a_hit_may_be_in_any_one_place_and_the_sums_still_hold(
    taken: tuple[int, int, int, int], owed: int, dropped: int
) -> None:
    """Journalled and owed, stored, unverified, settled away or a client's repetition: each counts once."""
    stored = dict(zip(("events", "unverified", "settled_away", "duplicate"), taken, strict=True))
    last = sum(taken) + owed
    counters = [published("a", clean=True, accepted=last, dropped_status=dropped)]
    sums = added(counters, {"a": OnDisk(last)}, warehouse(a={"highest": sum(taken), **stored}), set())
    assert sums.ok, sums.faults
    assert (sums.hits, sums.kept, sums.owed) == (last + dropped, last, owed)
    assert sums.warehouse + sums.unverified + sums.settled_away + sums.duplicates + sums.owed == sums.kept


FAULTY = [
    ("a row is missing in the warehouse", 10, 10, {"highest": 10, "events": 9}, "1 fewer"),
    ("a row is there twice", 10, 10, {"highest": 10, "events": 11}, "1 more"),
    ("an answered hit is nowhere", 10, 9, {"highest": 9, "events": 9}, "10 hits were kept, 9 are"),
    ("a hit was kept and not counted", 9, 10, {"highest": 10, "events": 10}, "9 hits were kept, yet 10"),
    ("hits were lost to corruption", 10, 10, {"highest": 10, "events": 8, "missing": 2}, "hits 3 to 4 were"),
]


@pytest.mark.parametrize(("case", "counted", "last", "stored", "said"), FAULTY, ids=[row[0] for row in FAULTY])
def test_what_does_not_add_up_is_a_fault_in_words(
    case: str, counted: int, last: int, stored: dict[str, int], said: str
) -> None:
    counters = [published("a", clean=True, accepted=counted)]
    sums = added(counters, {"a": OnDisk(last)}, warehouse(a=stored), set())
    assert not sums.ok
    assert said in sums.faults[0]


def test_damage_that_the_consumer_has_not_met_yet_is_a_fault_and_counted_once() -> None:
    disk = {"a": OnDisk(10, missing=((3, 4), (8, 9)))}
    stored = warehouse(a={"highest": 5, "events": 3, "missing": 2})  # 3 to 4 it has met
    sums = added([published("a", accepted=10)], disk, stored, {"a"})
    assert not sums.ok
    assert sums.missing == 4


def test_a_killed_workers_unpublished_counts_are_unknown_and_no_fault() -> None:
    sums = added([published("a", accepted=7)], {}, warehouse(a={"highest": 10, "events": 10}), set())
    assert sums.ok, sums.faults
    assert sums.kept - sums.kept_counted == 3
    assert [lost["journal"] for lost in sums.unknown] == ["a"]


def test_a_living_worker_may_be_ahead_of_its_counters_and_is_not_unknown() -> None:
    sums = added([published("a", accepted=7)], {"a": OnDisk(10)}, warehouse(), {"a"})
    assert sums.ok, sums.faults
    assert sums.unknown == []
    assert sums.owed == 10


def test_workers_that_are_gone_count_by_their_total() -> None:
    gone = [published("a", clean=True, accepted=4), published("b", accepted=2, dropped_no_key=1)]
    total = summed(Published(TOTAL, workers=0), gone)
    stored = warehouse(a={"highest": 4, "events": 4}, b={"highest": 3, "events": 3}, c={"highest": 1, "events": 1})
    sums = added([total, published("c", clean=True, accepted=1)], {}, stored, set())
    assert sums.ok, sums.faults
    assert (sums.workers, sums.killed, sums.hits, sums.kept_counted, sums.kept) == (3, 1, 8, 7, 8)
    assert [lost["journal"] for lost in sums.unknown] == ["b"]


def test_hits_of_workers_that_are_gone_which_are_nowhere_are_a_fault() -> None:
    total = summed(Published(TOTAL, workers=0), [published("a", clean=True, accepted=4)])
    sums = added([total, published("c", clean=True, accepted=9)], {}, warehouse(c={"highest": 9, "events": 9}), set())
    assert not sums.ok
    assert "kept 4 hits, of their journals 0" in sums.faults[0]


def test_outcomes_that_do_not_sum_to_hits_are_a_fault() -> None:
    """I4."""
    counters = published("a", clean=True, dropped_status=3)
    counters.outcomes["dropped_status"] = 2
    sums = added([counters], {}, warehouse(), set())
    assert not sums.ok
    assert "do not sum to 3 hits" in sums.faults[0]
