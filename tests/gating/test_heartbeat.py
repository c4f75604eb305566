"""What a clock may be believed, as pure judgement: a wrong clock must not destroy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.clock import Reading
from gating.heartbeat import LEAP_US, SLIP_US, STEADY_US, Heartbeat, Way, after, confirmed, doubt_of
from gating.status import DAY_US, SECOND_US

NOW_US = 1_790_000_000 * SECOND_US
HOUR_US = 3600 * SECOND_US


def reading(wall_us, boot_us=0, boot="a"):
    return Reading(wall_us, boot, boot_us * 1000)


BEAT = confirmed(reading(NOW_US))


def steady(beat, wall_us, boot_us, length_us, step_us=2 * HOUR_US, boot="b"):
    """The heartbeats of a service whose clock runs beside CLOCK_BOOTTIME for so long."""
    for ran_us in range(0, length_us + 1, step_us):
        beat = after(beat, reading(wall_us + ran_us, boot_us + ran_us, boot))
    return beat


def test_the_first_clock_of_a_ledger_is_believed():
    assert doubt_of(None, reading(NOW_US)) is None
    assert after(None, reading(NOW_US)) == BEAT


@pytest.mark.parametrize(
    ("wall_us", "boot_us", "boot", "way"),
    [
        (NOW_US + LEAP_US, 0, "b", None),
        (NOW_US + LEAP_US + 1, 0, "b", Way.AHEAD),
        (NOW_US + 30 * DAY_US, 30 * DAY_US, "a", None),  # the machine ran on, the service did not
        (NOW_US + 30 * DAY_US, 28 * DAY_US, "a", Way.AHEAD),
        (NOW_US - 1, 0, "b", Way.BEHIND),
        (NOW_US, 5 * DAY_US, "a", None),  # a clock that was ahead, and was set right by NTP: never before what was seen
    ],
)
def test_a_clock_is_believed_up_to_a_day_past_what_is_explained_and_never_behind(wall_us, boot_us, boot, way):
    doubt = doubt_of(BEAT, reading(wall_us, boot_us, boot))
    assert (doubt and doubt.way) == way


def test_a_clock_ahead_is_believed_once_it_has_run_steadily_for_a_day_and_not_before():
    leapt = NOW_US + 40 * DAY_US
    beat = steady(BEAT, leapt, 0, STEADY_US - 2 * HOUR_US)
    assert beat.doubt is not None
    assert beat.doubt.way is Way.AHEAD
    assert beat.least_us < leapt
    beat = steady(BEAT, leapt, 0, STEADY_US)
    assert beat.doubt is None
    assert beat.least_us == leapt + STEADY_US


def test_a_restart_goes_on_counting_and_another_jump_begins_anew():
    leapt = NOW_US + 40 * DAY_US
    beat = steady(BEAT, leapt, 0, 10 * HOUR_US)
    went_on = after(beat, reading(leapt + 12 * HOUR_US, 0, "c"))
    assert went_on.steady_us == 10 * HOUR_US  # what another boot ran cannot be told
    jumped = after(beat, reading(leapt + 12 * HOUR_US + 2 * SLIP_US, 12 * HOUR_US, "b"))
    assert jumped.steady_us == 0


def test_a_clock_behind_is_in_doubt_until_it_has_caught_up():
    beat = after(BEAT, reading(NOW_US - 3 * HOUR_US, 0, "b"))
    assert beat.doubt is not None
    assert (beat.doubt.way, beat.least_us) == (Way.BEHIND, NOW_US)
    assert after(beat, reading(NOW_US, 3 * HOUR_US, "b")).doubt is None


def test_an_operator_ends_the_doubt():
    leapt = reading(NOW_US + 400 * DAY_US, 0, "b")
    assert after(BEAT, leapt).doubt is not None
    assert doubt_of(confirmed(leapt), leapt) is None


moves = st.tuples(
    st.integers(-3 * DAY_US, 800 * DAY_US) | st.integers(-SECOND_US, 3 * HOUR_US),
    st.integers(0, 3 * HOUR_US),
    st.sampled_from("aab"),
)


@given(st.lists(moves, min_size=1, max_size=40))
def test_what_is_believed_never_goes_back_nor_leaps_by_more_than_a_day_unexplained(walk):
    """Whatever a clock does: without a steady day, each heartbeat moves what is believed by what CLOCK_BOOTTIME ran and
    a day at the most; a doubt stored and a doubt judged agree."""
    beat, wall_us, boot_us = BEAT, NOW_US, 0
    for moved_us, ran_us, boot in walk:
        wall_us, boot_us = wall_us + moved_us, boot_us + ran_us
        seen = reading(wall_us, boot_us, boot)
        doubt, now = doubt_of(beat, seen), after(beat, seen)
        explained_us = ran_us if boot == beat.reading.boot_id else 0
        assert now.least_us >= beat.least_us
        if beat.steady_us + ran_us < STEADY_US:
            assert now.least_us <= beat.least_us + explained_us + LEAP_US
        assert (now.doubt and now.doubt.way) == (doubt and doubt.way)
        beat = now


def test_a_heartbeat_is_a_value():
    assert Heartbeat(reading(1), 1) == Heartbeat(reading(1), 1, 0)
