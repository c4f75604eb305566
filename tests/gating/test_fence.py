"""The fence: a flip is said to be enforced only once nobody can enforce what was before (I5)."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gating.fence import LEASE_NS, LEASE_SURELY_OVER_NS, Fence

SECOND = 1_000_000_000


def test_a_flip_without_workers_is_enforced_at_once():
    assert Fence(0, []).missing(7, 0) == []


def test_a_flip_waits_for_each_leased_worker_to_report_it():
    """I5"""
    fence = Fence(0, [])
    for worker in ("a", "b"):
        fence.report(worker, 6, 0)
        fence.granted(worker, 6, 0)
    fence.report("a", 7, 1)
    assert fence.missing(7, 1) == ["b"]
    fence.report("b", 7, 2)
    assert fence.missing(7, 2) == []


def test_a_flip_waits_for_a_silent_worker_until_its_lease_is_surely_over():
    """I5: by the leader's clock, with 5 % for the worker's."""
    fence = Fence(0, [])
    fence.report("a", 6, SECOND)
    fence.granted("a", 6, SECOND)
    over = SECOND + LEASE_SURELY_OVER_NS
    assert fence.next_expiry_ns(7, 2 * SECOND) == over
    assert fence.missing(7, over - 1) == ["a"]
    assert fence.missing(7, over) == []


def test_a_new_leader_waits_for_the_workers_of_the_one_before():
    """I5: it does not know which versions their leases were granted for."""
    fence = Fence(0, ["a"])
    assert fence.missing(1, LEASE_SURELY_OVER_NS - 1) == ["a"]
    fence.report("a", 1, SECOND)
    assert fence.missing(1, SECOND) == []


def test_a_new_leader_that_cannot_know_the_workers_waits_a_whole_lease():
    fence = Fence(0, None)
    assert fence.missing(1, LEASE_SURELY_OVER_NS - 1)
    assert not fence.missing(1, LEASE_SURELY_OVER_NS)


def test_a_dead_worker_is_not_waited_for():
    fence = Fence(0, [])
    fence.report("a", 6, 0)
    fence.granted("a", 6, 0)
    fence.gone("a")
    assert fence.missing(7, 0) == []


def test_a_late_report_of_an_old_version_moves_nobody_back():
    fence = Fence(0, [])
    fence.report("a", 7, 0)
    fence.granted("a", 7, 0)
    fence.report("a", 6, 1)
    assert fence.missing(7, 1) == []


def test_a_worker_that_asks_and_never_gets_the_change_is_waited_for_no_longer_than_a_silent_one():
    """I5: a lease for a head it does not stand at lets it verify nothing; one for the head before runs out."""
    fence = Fence(0, [])
    fence.report("a", 6, 0)
    fence.granted("a", 6, 0)
    for now_ns in range(SECOND, 8 * SECOND, SECOND):
        fence.report("a", 6, now_ns)
        fence.granted("a", 7, now_ns)
        assert fence.missing(7, now_ns) == (["a"] if now_ns < LEASE_SURELY_OVER_NS else [])
        assert fence.enforced(7, now_ns) == (6 if now_ns < LEASE_SURELY_OVER_NS else 7)
        assert fence.missing(8, now_ns) == ["a"]


def test_heads_beyond_those_told_apart_make_a_flip_wait_longer_and_never_less():
    """I5"""
    fence = Fence(0, [])
    fence.report("a", 1, 0)
    for head in range(1, 40):
        fence.granted("a", head, head)
    for head in range(1, 40):
        assert fence.missing(head + 1, head + LEASE_SURELY_OVER_NS - 1) == ["a"]
    assert fence.missing(40, 39 + LEASE_SURELY_OVER_NS) == []


class _Worker:
    """What LedgerFeed and Gate do together, as a model: a lease counts once the map stands at the promised head."""

    def __init__(self):
        self.version = 0
        self.sent = {}
        self.lease_until = 0
        self.promised = (0, 0)

    def redeem(self):
        head, until = self.promised
        if self.version >= head:
            self.lease_until = max(self.lease_until, until)


class FenceUnderDelays(RuleBasedStateMachine):
    """Reports, answers and changes are delayed, lost and reordered at will; workers freeze by not being stepped."""

    @initialize(workers=st.integers(1, 3))
    def start(self, workers):
        self.now = 0
        self.head = 0
        self.number = 0
        self.fence = Fence(0, [])
        self.workers = {f"w{n}": _Worker() for n in range(workers)}
        self.reports = []  # (worker, number, version) on their way
        self.answers = []  # (worker, number, head) on their way
        self.enforced = 0

    @rule(seconds=st.sampled_from([0.01, 0.5, 1.0, 2.9, 3.2]))
    def time_passes(self, seconds):
        self.now += int(seconds * SECOND)

    @rule()
    def commit(self):
        self.head += 1

    @rule(data=st.data())
    def worker_reports(self, data):
        name = data.draw(st.sampled_from(sorted(self.workers)))
        self.number += 1
        self.workers[name].sent[self.number] = self.now
        self.reports.append((name, self.number, self.workers[name].version))

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), lost=st.booleans())
    def leader_reads_a_report(self, data, lost):
        name, number, version = self.reports.pop(data.draw(st.integers(0, len(self.reports) - 1)))
        if not lost and self.fence.report(name, version, self.now):
            self.fence.granted(name, self.head, self.now)
            self.answers.append((name, number, self.head))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def worker_reads_an_answer(self, data, lost):
        name, number, head = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        worker = self.workers[name]
        if not lost:
            worker.promised = (head, worker.sent[number] + LEASE_NS)
            worker.redeem()

    @rule(data=st.data(), catches_up=st.booleans(), seconds=st.sampled_from([0, 0.01, 1.0]))
    def a_round_trip_goes_well(self, data, catches_up, seconds):
        """The common case in one step, so that leases are common too."""
        name = data.draw(st.sampled_from(sorted(self.workers)))
        worker = self.workers[name]
        if catches_up:
            worker.version = self.head
        sent = self.now
        self.now += int(seconds * SECOND)
        if self.fence.report(name, worker.version, self.now):
            self.fence.granted(name, self.head, self.now)
            worker.promised = (self.head, sent + LEASE_NS)
            worker.redeem()

    @rule(data=st.data())
    def worker_catches_up(self, data):
        worker = self.workers[data.draw(st.sampled_from(sorted(self.workers)))]
        worker.version = data.draw(st.integers(worker.version, self.head))
        worker.redeem()

    @rule()
    def a_waiter_asks(self):
        if not self.fence.missing(self.head, self.now):
            self.enforced = max(self.enforced, self.head)

    @rule()
    def the_leader_is_replaced(self):
        self.fence = Fence(self.now, list(self.workers))
        self.reports.clear()

    @invariant()
    def i5_nobody_with_a_lease_stands_before_what_is_enforced(self):
        for worker in getattr(self, "workers", {}).values():
            if self.now < worker.lease_until:
                assert worker.version >= self.enforced


TestFenceUnderDelays = FenceUnderDelays.TestCase
