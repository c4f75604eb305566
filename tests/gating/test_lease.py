"""A worker's side of the lease, by a clock that the test moves."""

import pytest

from gating.datagram import Answer
from gating.fence import LEASE_NS
from gating.lease import ANSWER_NS_MAX, REPORT_SECONDS, REPORTS_KEPT_MAX, UNLEASED_REPORT_SECONDS, Lease

MS = 1_000_000


class Follower:
    def __init__(self):
        self.epoch, self.version, self.until, self.clock = "e", 5, 0, None

    def restart(self, epoch):
        self.epoch, self.version, self.until = epoch, 0, 0

    def lease(self, until):
        self.until = until

    def set_clock(self, now_us, at_ns):
        self.clock = now_us, at_ns


@pytest.fixture
def clock():
    return [10**12]


@pytest.fixture
def follower():
    return Follower()


@pytest.fixture
def lease(follower, clock):
    return Lease(follower, "w", lambda: clock[0])


def test_a_lease_runs_from_when_its_report_was_sent(lease, follower, clock):
    """I5"""
    sent = clock[0]
    report = lease.report()
    clock[0] += 100 * MS
    assert lease.take(Answer(report.number, "e", 5, 0))
    assert follower.until == sent + LEASE_NS
    clock[0] = follower.until - 1
    assert lease.held
    clock[0] += 1
    assert not lease.held


def test_it_counts_only_once_the_map_stands_at_the_head_it_was_granted_for(lease, follower):
    """I5"""
    lease.take(Answer(lease.report().number, "e", 7, 0))
    assert not lease.held
    follower.version = 6
    lease.redeem()
    assert not lease.held
    follower.version = 7
    lease.redeem()
    assert lease.held


def test_a_late_answer_grants_nothing(lease, follower, clock):
    """I5: a report that lay somewhere for long says nothing of when."""
    report = lease.report()
    clock[0] += ANSWER_NS_MAX + 1
    assert not lease.take(Answer(report.number, "e", 5, 0))
    assert (follower.until, follower.clock) == (0, None)


def test_an_answer_counts_once_and_one_to_nothing_never(lease, follower, clock):
    report = lease.report()
    answer = Answer(report.number, "e", 5, 0)
    assert lease.take(answer)
    clock[0] += MS
    assert not lease.take(answer)
    assert not lease.take(Answer(99, "e", 5, 0))


def test_an_answer_of_another_epoch_has_the_map_begun_anew(lease, follower):
    lease.take(Answer(lease.report().number, "e", 5, 0))
    lease.take(Answer(lease.report().number, "other", 5, 0))
    assert (follower.epoch, follower.version, lease.held, lease.restarts) == ("other", 0, False, 1)


def test_a_head_behind_what_was_reported_has_the_map_begun_anew(lease, follower):
    """The ledger was put back under the same epoch."""
    lease.take(Answer(lease.report().number, "e", 4, 0))
    assert (follower.epoch, follower.version, lease.restarts) == ("e", 0, 1)


def test_a_promise_made_for_another_epoch_is_not_kept(lease, follower):
    """I5: version 7 of another epoch is not the head that was meant."""
    lease.take(Answer(lease.report().number, "e", 7, 0))
    follower.restart("other")
    lease.lost()
    follower.version = 9
    lease.redeem()
    assert not lease.held


def test_the_clock_is_the_leaders_in_the_middle_of_the_round_trip(lease, follower, clock):
    sent = clock[0]
    report = lease.report()
    clock[0] += 40 * MS
    lease.take(Answer(report.number, "e", 5, 123))
    assert follower.clock == (123, sent + 20 * MS)


def test_who_has_no_lease_asks_more_often(lease):
    assert lease.report_seconds == UNLEASED_REPORT_SECONDS
    lease.take(Answer(lease.report().number, "e", 5, 0))
    assert lease.report_seconds == REPORT_SECONDS


def test_what_is_remembered_of_reports_is_bounded(lease):
    first = lease.report()
    for _ in range(REPORTS_KEPT_MAX):
        lease.report()
    assert not lease.take(Answer(first.number, "e", 5, 0))
    assert len(lease._sent) == REPORTS_KEPT_MAX
