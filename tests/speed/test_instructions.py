"""No change makes a hit dearer unnoticed: instructions, which neighbours do not move, against what was recorded."""

import os

import pytest

from tests.speed import baseline
from tests.speed.counting import SCENARIOS, Counted, count, missing


def counted(interpreter="this", **changed):
    """Counts of 10,000 instructions each, but for the changed ones."""
    return Counted(interpreter, {name: changed.get(name.replace("-", "_"), 10_000) for name in SCENARIOS})


def test_a_hit_that_costs_more_than_the_margin_is_a_fault():
    assert baseline.faults(counted(keep_alive=10_200), counted()) == []
    (told,) = baseline.faults(counted(keep_alive=10_400), counted())
    assert told == "keep-alive: 10,400.00 instructions a hit, 10,000.00 recorded: +4.0%"


def test_what_became_cheaper_must_be_recorded():
    (told,) = baseline.faults(counted(published=9_000), counted())
    assert told.startswith("published: -10.0% instructions a hit; record it")


def test_another_interpreter_is_measured_by_its_own_yardstick():
    slow = {name.replace("-", "_"): 17_000 for name in SCENARIOS}
    assert baseline.faults(counted("another", **slow), counted()) == []
    (told,) = baseline.faults(counted("another", **{**slow, "dropped": 20_000}), counted())
    assert told == "dropped: 1.18 yardsticks a hit, 1.00 recorded: +17.6%"


@pytest.mark.timeout(600)
def test_no_hit_costs_more_instructions_than_recorded(tmp_path):
    if lack := missing():
        assert os.environ.get("CI") != "true", lack
        pytest.skip(lack)
    assert baseline.faults(count(tmp_path), baseline.load()) == []
