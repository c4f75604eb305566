"""A flood's rows are bounded, and every refusal is in exactly one of them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gating.ledger.refusals import RefusalRow
from gating.tally import ACTOR_ROWS_MAX, ROWS_MAX, SUPPRESSED, WINDOW_US, Tally

ROW = RefusalRow("shop", 1, 0, 0, 1, "pause", "ana", "member", None, "role_refused", "default.toml:1")

steps = st.lists(
    st.tuples(st.integers(-WINDOW_US, WINDOW_US), st.sampled_from("ab"), st.integers(1, 3), st.sampled_from("xyz")),
    max_size=80,
)


def row(at_us, account="shop", version=1, actor="ana", command="pause"):
    return replace(
        ROW, at_us=at_us, until_us=at_us, account=account, version=version, actor=actor, command=command
    )  # fmt: skip


@given(steps)
def test_every_refusal_is_counted_once_whatever_the_clock_does(asked):
    tally, now_us, written = Tally(), 10 * WINDOW_US, []
    for moved_us, account, version, actor in asked:
        now_us += moved_us
        written += tally.take(row(now_us, account, version, actor))
        assert tally.ended(now_us) == []
    written += tally.end()
    assert tally.end() == []
    assert sum(one.times for one in written) == len(asked)
    for kind in {replace(one, at_us=0, until_us=0, times=1) for one in written}:
        mine = [one for one in written if replace(one, at_us=0, until_us=0, times=1) == kind]
        meant = [step for step in asked if step[1:] == (kind.account, kind.version, kind.actor)]
        assert sum(one.times for one in mine) == len(meant)


def test_the_first_of_equal_refusals_is_a_row_at_once_and_its_repeats_are_one_when_the_minute_ends():
    tally = Tally()
    assert tally.take(row(0)) == [row(0)]
    for at_us in (1, 5, WINDOW_US - 1):
        assert tally.take(row(at_us)) == []
    repeats = replace(row(1), times=3, until_us=WINDOW_US - 1)
    assert tally.take(row(WINDOW_US)) == [repeats, row(WINDOW_US)]


def test_one_actors_flood_leaves_room_for_everybody_elses_rows():
    tally = Tally()
    written = [one for n in range(1_000) for one in tally.take(row(n, version=n))]
    assert len(written) == ACTOR_ROWS_MAX
    assert tally.take(row(1, actor="bo")) == [row(1, actor="bo")]
    (beyond,) = tally.end()
    assert (beyond.code, beyond.account, beyond.times) == (SUPPRESSED, None, 1_000 - ACTOR_ROWS_MAX)
    assert (beyond.at_us, beyond.until_us) == (ACTOR_ROWS_MAX, 999)


def test_a_minute_has_a_bounded_number_of_rows_whoever_asks():
    tally, written = Tally(), []
    for n in range(5_000):
        for _ in range(2):
            written += tally.take(row(n, version=n, actor=f"actor-{n}"))
    written += tally.end()
    assert len(written) == 2 * ROWS_MAX + 1
    assert sum(one.times for one in written) == 10_000
