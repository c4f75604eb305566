"""I5 across hosts: what leaders claim holds, whoever freezes, and whatever the network loses, repeats or reorders.

Real candidates and grantings on a real ledger; time, the workers' maps and the network are the test's to move.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gating.clock import Clock
from gating.election import TERM_NS, TERM_SURELY_OVER_NS, Candidate
from gating.fence import LEASE_NS, LEASE_SURELY_OVER_NS, Fence
from gating.lead import Granting
from gating.lease import Lease
from gating.ledger import Ledger, sqlite_url
from tests.gating.test_election import Host

SECOND = 1_000_000_000
STEPS = [1, SECOND // 10, SECOND, LEASE_NS, LEASE_SURELY_OVER_NS, TERM_NS, TERM_SURELY_OVER_NS]


@dataclass
class Service:
    """A gating service: does nothing but when the test calls it, so it may freeze anywhere in between."""

    candidate: Candidate
    clock: Host
    granting: Granting | None = None
    seen_enforced: tuple[Granting, int] | None = None  # the fence was asked; the term not yet
    to_note: tuple[int, int] | None = None  # (term, version): the term was asked; the ledger not yet


class Worker:
    """A worker's own side of the lease, over a map that the test moves one change at a time."""

    epoch = "epoch"

    def __init__(self, name, clock):
        self.name, self.clock, self.version, self.lease_until_ns = name, clock, 0, 0
        self.side = Lease(self, name, clock)

    def restart(self, epoch):
        raise AssertionError("there is one epoch")

    def lease(self, until_boot_ns):
        self.lease_until_ns = until_boot_ns

    def set_clock(self, now_us, at_boot_ns):
        """What time it is matters to no lease."""

    @property
    def leased(self):
        return self.clock() < self.lease_until_ns


class Hosts(RuleBasedStateMachine):
    """Two gating services, two workers, clocks up to 2 % apart in rate and years apart in reading."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(sqlite_url(Path(self.folder.name) / "ledger.sqlite"))
        self.head = 0
        self.claimed = 0
        clocks = [Host(10**14, 20_000), Host(9, -20_000), Host(10**12, 0), Host(10**9, 20_000)]
        self.clocks = clocks
        self.services = [
            Service(Candidate(self.ledger, f"service {n}", boot_ns=clock), clock) for n, clock in enumerate(clocks[:2])
        ]
        self.workers = [Worker(f"worker {n}", clock) for n, clock in enumerate(clocks[2:])]
        self.reports, self.answers = [], []

    # ---- time and the ledger

    @rule(ns=st.sampled_from(STEPS))
    def passes(self, ns):
        for clock in self.clocks:
            clock.true_ns += ns

    @rule()
    def commits(self):
        """By any service, leading or not; a relay has published it once a worker follows."""
        self.head += 1

    # ---- services

    @rule(who=st.integers(0, 1))
    def contends(self, who):
        service = self.services[who]
        service.candidate.step()
        if not service.candidate.term:
            service.granting = None
        elif service.granting is None:
            service.granting = Granting(
                Fence(service.clock(), None), epoch="epoch", head=self.head, clock=Clock(),
                may_grant=service.candidate.holds, alone=False, boot_ns=service.clock,
            )  # fmt: skip

    @rule(who=st.integers(0, 1))
    def learns_of_commits(self, who):
        if (granting := self.services[who].granting) is not None:
            granting.advance(self.head)

    @rule(who=st.integers(0, 1), which=st.integers(0, 10))
    def hears_a_report(self, who, which):
        """Any report, the first time or again."""
        granting = self.services[who].granting
        if granting is not None and self.reports:
            report = self.reports[-1 - which % len(self.reports)]
            if (answer := granting.answer(report)) is not None:
                self.answers.append((report.worker, answer))

    @rule(who=st.integers(0, 1))
    def asks_its_fence(self, who):
        service = self.services[who]
        if (granting := service.granting) is not None:
            version = self.head
            granting.advance(version)
            if not granting.missing(version, service.clock()):
                service.seen_enforced = (granting, version)

    @rule(who=st.integers(0, 1))
    def claims(self, who):
        """Its own flips: the fence was asked before, the term is asked now."""
        service = self.services[who]
        if service.seen_enforced is not None:
            granting, version = service.seen_enforced
            service.seen_enforced = None
            if granting is service.granting and service.candidate.holds():
                self.claimed = max(self.claimed, version)

    @rule(who=st.integers(0, 1))
    def is_about_to_note(self, who):
        service = self.services[who]
        if service.granting is not None:
            version = service.granting.enforced_version()
            if service.candidate.holds():
                service.to_note = (service.candidate.term, version)

    @rule(who=st.integers(0, 1))
    def notes(self, who):
        """For the flips of services that do not lead: they read it at once."""
        service = self.services[who]
        if service.to_note is not None:
            self.ledger.record_enforced(*service.to_note)
            service.to_note = None
            self.claimed = max(self.claimed, self.ledger.lead().enforced_version)

    # ---- workers

    @rule(who=st.integers(0, 1))
    def reports_itself(self, who):
        self.reports.append(self.workers[who].side.report())

    @rule(who=st.integers(0, 1), which=st.integers(0, 10))
    def hears_an_answer(self, who, which):
        """Any answer of its own, the first time or again."""
        worker = self.workers[who]
        own = [answer for name, answer in self.answers if name == worker.name]
        if own:
            worker.side.take(own[-1 - which % len(own)])

    @rule(who=st.integers(0, 1))
    def follows(self, who):
        """One change more reaches it."""
        worker = self.workers[who]
        worker.version = min(worker.version + 1, self.head)
        worker.side.redeem()

    @invariant()
    def no_worker_verifies_by_less_than_was_claimed(self):
        """I5"""
        for worker in self.workers:
            assert not worker.leased or worker.version >= self.claimed, (worker.name, worker.version, self.claimed)

    @invariant()
    def at_most_one_service_may_grant(self):
        assert sum(service.candidate.holds() for service in self.services) <= 1

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()


TestHosts = Hosts.TestCase
TestHosts.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_a_claim_is_not_made_by_a_fence_whose_term_has_passed_on():
    """I5: what a property test may not meet in a short run, step by step. A leader freezes, another grants a lease, the
    first wakes: its fence misses nobody, and must not say so."""
    hosts = Hosts()
    try:
        first, second = hosts.services
        worker = hosts.workers[0]
        hosts.contends(0)
        hosts.contends(1)
        hosts.passes(2 * TERM_SURELY_OVER_NS)
        hosts.contends(1)
        assert second.granting is not None
        hosts.reports_itself(0)
        hosts.hears_a_report(1, 0)
        hosts.hears_an_answer(0, 0)
        assert worker.leased
        hosts.commits()  # the first one, awake again, commits a flip
        hosts.asks_its_fence(0)
        assert first.seen_enforced is not None
        hosts.claims(0)
        assert hosts.claimed == 0
        hosts.is_about_to_note(0)
        assert first.to_note is None
        hosts.asks_its_fence(1)
        assert second.seen_enforced is None
    finally:
        hosts.teardown()
