"""`standing_at` against a model that walks through every instant in order."""

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from gating.ledger.timeline import UNKNOWN, Change, Held, Timeline, changes_of, standing_at
from gating.status import SECOND_US, Verdict
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


SKEWS = st.integers(-SECOND_US // 2, SECOND_US // 2)  # of any two hosts' clocks, up to a second apart
GAPS = st.just(0) | st.integers(0, SECOND_US // 10) | st.integers(0, 5 * SECOND_US)
FARTHEST = SECOND_US // 2


@given(st.lists(st.tuples(st.sampled_from(Verdict), SKEWS, GAPS), min_size=1, max_size=6), SKEWS, GAPS, st.booleans())
@example([(Verdict.ACCEPT, 0, 0), (Verdict.HIDE, FARTHEST, 0)], -FARTHEST, 0, False)
@example([(Verdict.ACCEPT, 0, 0), (Verdict.HIDE, FARTHEST, SECOND_US)], -FARTHEST, 0, True)
def test_a_hit_after_a_flip_is_never_judged_by_what_was_before_it_though_clocks_differ_by_a_second(
    flips, worker_skew_us, after_us, by_deadline
):
    """I5, DESIGN 6: flips by services whose clocks differ, a cut-off worker with a third; all times are true ones here.

    The last flip is a command, or the deadline of the one before; a hit comes after it, by `after_us`.
    """
    true_us, changes = 100 * SECOND_US, []
    for version, (verdict, skew_us, gap_us) in enumerate(flips, 1):
        true_us += gap_us
        dated_us = max(true_us + skew_us, changes[-1].at_us if changes else 0)  # never before the account's last change
        changes.append(Change(version, dated_us, verdict, None, None))
    if by_deadline and len(changes) > 1:
        lapse = changes.pop()
        changes[-1] = replace(changes[-1], until_us=lapse.at_us, then=lapse.verdict)
    latest = changes[-1]
    stamped_us = true_us + after_us + worker_skew_us
    held = standing_at(Timeline("shop", "key", 0, None, tuple(changes)), stamped_us)
    assert (held.verdict, held.version) == (latest.then or latest.verdict, latest.version)


@given(SKEWS, SKEWS, GAPS, st.booleans())
@example(FARTHEST, -FARTHEST, 0, False)
@example(FARTHEST, -FARTHEST, 0, True)
def test_a_key_made_meanwhile_collects_from_its_making_on_though_clocks_differ_by_a_second(
    made_skew_us, worker_skew_us, after_us, revoked
):
    """DESIGN 6: a hit on a key that the cut-off worker does not know yet, and one on a key it does not know to be
    revoked."""
    true_us = 100 * SECOND_US
    changes = (Change(1, 50 * SECOND_US, Verdict.ACCEPT, None, None),)
    at_us = true_us + made_skew_us
    timeline = Timeline("shop", "key", 0 if revoked else at_us, at_us if revoked else None, changes)
    held = standing_at(timeline, true_us + after_us + worker_skew_us)
    assert held.verdict is (Verdict.DROP if revoked else Verdict.ACCEPT)


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
