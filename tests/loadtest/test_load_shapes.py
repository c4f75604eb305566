"""Shapes as data, the pace of a visitor, and what an account under flips notes: all of it without locust."""

from random import Random
from types import SimpleNamespace

import pytest

from loadtest.shapes.catalogue import PLANS
from loadtest.shapes.load import Load, Part
from loadtest.shapes.options import Chosen, Place
from loadtest.shapes.pace import Schedule

PLACE = Place("", None, None, None, "build/{shape}.html")


def parsed(**more):
    return SimpleNamespace(**{"shape": "steady", "rate": 0.0, "accounts": 5, "seed": 1, "num_users": None, **more})


def test_a_burst_is_ten_times_as_many_users_for_ten_seconds_of_thirty():
    plan = PLANS["burst"]
    users = [plan.users_at(float(second), 7) for second in range(60)]
    assert users == ([7] * 10 + [70] * 10 + [7] * 10) * 2
    assert {PLANS["steady"].users_at(float(second), 7) for second in range(60)} == {7}


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_the_rate_is_that_of_all_browsers_together(plan):
    users, rate = 400, 100.0
    assert plan.paced_users(users) / plan.interval_seconds(users, rate) == pytest.approx(rate)
    assert set(plan.paced) <= set(plan.mix)


def test_a_schedule_goes_on_at_its_pace_however_late_its_user_is():
    schedule, gaps, before = Schedule(Random(1), 0.5, now=100.0), [], 100.0
    for _ in range(4000):
        gaps.append(schedule.due - before)
        before = schedule.due
        assert schedule.wait_seconds(before - 2.0) == pytest.approx(2.0)
        assert schedule.wait_seconds(before + 3.0) == 0.0  # late: at once, and what is due stays where it was
        assert schedule.due == before
        schedule.go_on()
    assert sum(gaps) / len(gaps) == pytest.approx(0.5, rel=0.05)
    assert max(gaps) > 4 * 0.5  # and not in step: users who began together would come in volleys


def test_a_marked_hit_tells_the_last_flip_that_had_returned():
    part = Part(0, "flip_storm", 1, 0.1, "c", [], [["shop", "key", 9]], None, "secret", None)
    load = Load(Part.read(part.plain()))
    (flipped,) = load.flipped
    assert flipped.mark() == (1, 0, "&lt_n=1&lt_flip=0")
    flipped.asked = 1
    assert flipped.mark() == (2, 0, "&lt_n=2&lt_flip=0")
    flipped.returned = 1
    assert flipped.mark() == (3, 1, "&lt_n=3&lt_flip=1")
    assert [record.account for record in load.seen().records] == ["shop"]


def test_users_of_one_seed_draw_alike_and_those_of_another_process_do_not():
    def draws(index, seed=1):
        load = Load(Part(index, "steady", seed, 0.1, "c", ["a", "b"], [], None, None, None))
        return [load.random().random() for _ in range(3)]

    assert draws(0) == draws(0)
    assert not set(draws(0)) & (set(draws(1)) | set(draws(0, seed=2)))


def test_what_was_not_chosen_is_the_shapes_own():
    chosen = Chosen.read(parsed(shape="flip_storm"), PLACE)
    assert (chosen.users, chosen.rate) == (PLANS["flip_storm"].users, PLANS["flip_storm"].rate)
    assert str(chosen.report) == "build/flip_storm.html"


@pytest.mark.parametrize(
    "wrong",
    [{"shape": "calm"}, {"rate": -1.0}, {"rate": float("inf")}, {"rate": float("nan")}, {"accounts": 0},
     {"shape": "flip_storm", "num_users": 1}],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_is_needed(wrong):
    with pytest.raises(ValueError, match=r"there is no shape|needs \d users or more"):
        Chosen.read(parsed(**wrong), PLACE)


def test_keys_are_read_from_a_file_or_from_the_option_itself(tmp_path):
    (tmp_path / "keys").write_text("k1\nk2\n")
    assert Place(str(tmp_path / "keys"), None, None, None, "").keys() == ["k1", "k2"]
    assert Place("k1,k2", None, None, None, "").keys() == ["k1", "k2"]
    assert PLACE.keys() == []
    (tmp_path / "empty").write_text("\n")
    for wrong in (str(tmp_path / "empty"), "k1,,k2"):
        with pytest.raises(ValueError, match="empty key"):
            Place(wrong, None, None, None, "").keys()
