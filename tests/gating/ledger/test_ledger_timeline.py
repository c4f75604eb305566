"""`standing_at` against a model that walks through every instant in order."""

from hypothesis import given
from hypothesis import strategies as st

from gating.ledger.timeline import UNKNOWN, Change, Held, Timeline, changes_of, standing_at
from gating.status import Verdict
from tests.gating.ledger.desk import Desk

MOMENTS = st.integers(0, 60)


@st.composite
def timelines(draw):
    """Changes in order of version and time; a deadline lies after its change and may come before the next one."""
    changes = []
    at_us = draw(MOMENTS)
    for version in range(1, draw(st.integers(1, 6)) + 1):
        until_us = draw(st.none() | st.integers(at_us, at_us + 30))
        then = None if until_us is None else draw(st.sampled_from(Verdict))
        changes.append(Change(version, at_us, draw(st.sampled_from(Verdict)), until_us, then))
        at_us += draw(st.integers(0, 20))
    revoked_at_us = draw(st.none() | MOMENTS)
    return Timeline("shop", "key", draw(MOMENTS), revoked_at_us, tuple(changes))


def naive(timeline, instant_us):
    """Everything that happened by then, one after the other."""
    held = Held("shop", Verdict.DROP, 0)
    happened = [(c.at_us, c.version, c.verdict) for c in timeline.changes if c.at_us <= instant_us]
    for at_us, version, verdict in happened:
        held = Held("shop", verdict, version)
        deadline = next(c for c in timeline.changes if (c.at_us, c.version) == (at_us, version))
        if deadline.until_us is not None and deadline.until_us <= instant_us:
            held = Held("shop", deadline.then, version)
    if instant_us < timeline.created_at_us:
        return Held("shop", Verdict.DROP, 0)
    if timeline.revoked_at_us is not None and timeline.revoked_at_us <= instant_us:
        return Held("shop", Verdict.DROP, held.version)
    return held


@given(timelines(), st.integers(-20, 120), st.integers(0, 10))
def test_a_hit_is_judged_by_what_held_an_uncertainty_after_it(timeline, received_at_us, uncertainty_us):
    """DESIGN 6: a change counts from `uncertainty` before its time, so a later hit never meets the old status (I5)."""
    held = standing_at(timeline, received_at_us, uncertainty_us)
    assert held == naive(timeline, received_at_us + uncertainty_us)


def test_a_deadline_wins_at_its_instant():
    """RULEBOOKS, all five 2"""
    timeline = Timeline("shop", "key", 0, None, (Change(1, 0, Verdict.ACCEPT, 50, Verdict.HIDE),))
    assert standing_at(timeline, 49, 0).verdict is Verdict.ACCEPT
    assert standing_at(timeline, 50, 0) == Held("shop", Verdict.HIDE, 1)


def test_a_key_that_nobody_has_drops():
    assert standing_at(None, 0) is UNKNOWN
    assert UNKNOWN.verdict is Verdict.DROP


def test_changes_of_keys_alone_do_not_stand_in_a_timeline(ledger, desk: Desk):
    desk.open()
    desk.add_key()
    desk.do("pause")
    desk.rotate_key(which=ledger.keys("shop")[0].write_key)
    desk.do("resume")
    assert [change.version for change in changes_of(ledger.history("shop"))] == [1, 3, 5]
