"""The live line: arithmetic on what workers published, and where it is shown."""

import io

import pytest

from collector.outcome import Outcome
from deploy.live import CLEAR_LINE, LiveLine, Meter, Reading
from tests.deploy.workers import SECOND_US, published


def test_rates_are_taken_between_two_publications_and_not_between_two_looks() -> None:
    meter = Meter([])
    meter.read([published(at_us=SECOND_US, accepted=100)], {1: 1.0})
    reading = meter.read([published(at_us=3 * SECOND_US, accepted=300)], {1: 1.001})
    assert reading.hits_a_second == pytest.approx(100)
    again = meter.read([published(at_us=3 * SECOND_US, accepted=300)], {1: 1.001})
    assert again.hits_a_second == pytest.approx(100)


def test_only_what_comes_after_the_start_is_summed_and_every_outcome_has_its_word() -> None:
    before = [published("old", pid=9, clean=True, accepted=7, dropped_status=2)]
    meter = Meter(before)
    every = {outcome.name.lower(): 1 for outcome in Outcome}
    reading = meter.read([*before, published("new", **every)], {1: 0.5})
    assert reading.sums == {"accepted": 1, "hidden": 2, "dropped": 4, "malformed": 1, "overflow": 1}
    assert sum(reading.sums.values()) == len(Outcome)


def test_cpu_a_hit_is_the_workers_cpu_by_the_hits_of_the_same_looks() -> None:
    meter = Meter([])
    meter.read([published(accepted=0)], {1: 5.0})
    reading = meter.read([published(at_us=2 * SECOND_US, accepted=1000)], {1: 5.02})
    assert reading.cpu_us_a_hit == pytest.approx(20.0)


def test_without_hits_there_is_no_cpu_a_hit_and_a_dead_worker_has_no_rate() -> None:
    meter = Meter([])
    meter.read([published(accepted=50)], {1: 1.0})
    reading = meter.read([published(accepted=50)], {2: 0.1})
    assert reading.hits_a_second == 0
    assert Meter([]).read([], {1: 1.0}).cpu_us_a_hit is None
    assert "CPU - us/hit" in Meter([]).read([], {1: 1.0}).words()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def reading(accepted: int) -> Reading:
    return Reading(1.0, {"accepted": accepted, "hidden": 0, "dropped": 0, "malformed": 0, "overflow": 0}, None)


def test_on_a_terminal_the_line_is_rewritten_in_place() -> None:
    terminal = Terminal()
    live = LiveLine(terminal)
    live.show(reading(1))
    live.show(reading(2))
    assert terminal.getvalue().count(CLEAR_LINE) == 2
    assert "\n" not in terminal.getvalue()


def test_in_a_pipe_a_line_comes_with_news_and_not_without() -> None:
    pipe = io.StringIO()
    live = LiveLine(pipe)
    for accepted in (0, 0, 5, 5):
        live.show(reading(accepted))
    assert [line.split()[3] for line in pipe.getvalue().splitlines()] == ["0", "5"]
