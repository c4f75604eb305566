"""What is known of a subscription, and the command given last, whatever order its events come in and however often."""

from hypothesis import given
from hypothesis import strategies as st

from gating.webhooks.order import Fact, Known, Means, judge

FACTS = st.builds(
    Fact,
    st.sampled_from([Means.PAID, Means.FAILED, Means.LIVE, Means.PAUSED, Means.ENDED, Means.PERIOD]),
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(1, 8)),
    st.sampled_from(["in_1", "in_2"]),
)
HISTORIES = st.lists(FACTS, max_size=10).flatmap(
    lambda facts: st.tuples(st.just(facts), st.permutations(facts + facts[: len(facts) // 2]))
)
MONEY, LIFE = (Means.PAID, Means.FAILED), (Means.LIVE, Means.PAUSED, Means.ENDED)


def told(facts):
    """What is known at the end, and the last command of each kind that was given."""
    known, given_money, given_life = Known(), None, None
    for fact in facts:
        judged = judge(known, fact)
        known = judged.known
        if judged.acts and fact.means in MONEY:
            given_money = fact.means
        if judged.acts and fact.means in LIFE:
            given_life = fact.means
    return known, given_money, given_life


@given(HISTORIES)
def test_any_order_and_repetition_comes_to_the_same_as_the_right_order(histories):
    facts, shuffled = histories
    right = sorted(facts, key=lambda fact: fact.created_us)
    assert told(shuffled) == told(right)


@given(HISTORIES)
def test_the_command_given_last_is_what_stands(histories):
    known, money, life = told(histories[1])
    assert known.payment == money
    assert known.life[1] == (-1 if life is None else LIFE.index(life))


@given(st.lists(FACTS, max_size=10), FACTS)
def test_a_fact_told_twice_gives_no_second_command(facts, fact):
    known = told([*facts, fact])[0]
    assert judge(known, fact) == judge(known, fact)
    again = judge(known, fact)
    assert (again.known, again.acts) == (known, False)


@given(st.lists(FACTS, max_size=10))
def test_what_is_known_is_read_back_as_it_was_written(facts):
    known = told(facts)[0]
    assert Known.from_json(known.to_json()) == known


def test_a_failure_of_a_period_before_the_last_paid_one_is_ignored():
    known = judge(Known(), Fact(Means.PAID, 5, 200)).known
    assert not judge(known, Fact(Means.FAILED, 9, 199)).acts
    assert judge(known, Fact(Means.FAILED, 9, 300)).acts


def test_an_end_older_than_a_later_resumption_is_ignored():
    known = judge(Known(), Fact(Means.LIVE, 10)).known
    assert not judge(known, Fact(Means.ENDED, 9)).acts


def test_a_periods_end_never_moves_back():
    known = judge(Known(), Fact(Means.PERIOD, 5, 200)).known
    assert judge(known, Fact(Means.PERIOD, 9, 100)).known.period_end_us == 200
