"""The waits of whoever gave wrong tokens: pure, the time is given."""

from hypothesis import given
from hypothesis import strategies as st

from gating.rest.slowdown import FORGET_SECONDS, FREE_TRIES, WAIT_SECONDS_MAX, Slowdown


def failed(slowdown, peer, times, now=0.0):
    for _ in range(times):
        slowdown.failed(peer, now)
    return slowdown.wait_seconds(peer, now)


def test_the_first_tries_cost_nothing_and_each_further_one_twice_the_wait_up_to_a_bound():
    slowdown = Slowdown()
    assert failed(slowdown, "192.0.2.1", FREE_TRIES) == 0
    waits = [failed(slowdown, "192.0.2.1", 1) for _ in range(12)]
    assert waits == [1, 2, 4, 8, 16, 32, *[WAIT_SECONDS_MAX] * 6]


def test_waiting_is_over_in_time_and_all_is_forgotten_after_a_quiet_while():
    slowdown = Slowdown()
    failed(slowdown, "192.0.2.1", FREE_TRIES + 2)
    assert slowdown.wait_seconds("192.0.2.1", 1.5) == 0.5
    assert slowdown.wait_seconds("192.0.2.1", 2.0) == 0
    assert failed(slowdown, "192.0.2.1", 1, FORGET_SECONDS + 1) == 0


def test_addresses_wait_for_themselves_and_a_customers_ipv6_block_as_one():
    slowdown = Slowdown()
    failed(slowdown, "2001:db8:1:2::1", FREE_TRIES)
    assert failed(slowdown, "2001:db8:1:2:ffff::9", 1) > 0
    assert slowdown.wait_seconds("2001:db8:1:3::1", 0) == 0
    failed(slowdown, "::ffff:192.0.2.1", FREE_TRIES + 1)
    assert slowdown.wait_seconds("192.0.2.1", 0) > 0
    assert slowdown.wait_seconds("192.0.2.2", 0) == 0


@given(st.lists(st.tuples(st.text(max_size=80), st.floats(0, 1e6)), max_size=50))
def test_memory_is_bounded_whoever_fails(tries):
    slowdown = Slowdown(peers_max=5)
    for peer, now in tries:
        slowdown.failed(peer, now)
        assert len(slowdown) <= 5
        assert 0 <= slowdown.wait_seconds(peer, now) <= WAIT_SECONDS_MAX
