"""Election: at no instant do two services hold a term, whatever freezes, and a dead holder is succeeded (DESIGN 6)."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gating.election import TERM_NS, TERM_SURELY_OVER_NS, Candidate
from gating.ledger import Ledger, sqlite_url

SECOND = 1_000_000_000


class Host:
    """A clock of its own: where it began and how fast it runs say nothing about another host's."""

    def __init__(self, began_ns, rate_ppm=0):
        self.began_ns, self.rate_ppm, self.true_ns = began_ns, rate_ppm, 0

    def __call__(self):
        return self.began_ns + self.true_ns * (1_000_000 + self.rate_ppm) // 1_000_000


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(sqlite_url(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def test_the_first_candidate_leads_at_once_and_a_second_waits(ledger):
    clock = Host(0)
    one, two = Candidate(ledger, "one", boot_ns=clock), Candidate(ledger, "two", boot_ns=clock)
    one.step()
    two.step()
    assert (one.holds(), two.holds()) == (True, False)


def test_a_holder_that_renews_is_never_succeeded(ledger):
    clock = Host(0)
    one, two = Candidate(ledger, "one", boot_ns=clock), Candidate(ledger, "two", boot_ns=clock)
    for _ in range(20):
        clock.true_ns += TERM_NS // 2
        one.step()
        two.step()
        assert (one.holds(), two.holds()) == (True, False)


def test_a_silent_holder_is_succeeded_once_its_term_is_surely_over_and_never_before(ledger):
    here, there = Host(10**15), Host(5)
    one, two = Candidate(ledger, "one", boot_ns=here), Candidate(ledger, "two", boot_ns=there)
    one.step()
    two.step()
    there.true_ns = TERM_SURELY_OVER_NS - 1
    two.step()
    assert not two.holds()
    there.true_ns = here.true_ns = TERM_SURELY_OVER_NS
    two.step()
    assert (one.holds(), two.holds()) == (False, True)


def test_a_frozen_holder_that_wakes_finds_its_term_over_and_cannot_renew_it(ledger):
    """I5: it asks its own clock before each grant, and the ledger tells the rest."""
    clock = Host(0)
    one, two = Candidate(ledger, "one", boot_ns=clock), Candidate(ledger, "two", boot_ns=clock)
    one.step()
    two.step()
    clock.true_ns += TERM_SURELY_OVER_NS
    two.step()
    assert not one.holds()
    one.step()
    assert (one.term, one.holds(), two.holds()) == (0, False, True)


def test_a_holder_that_retires_is_succeeded_at_once(ledger):
    clock = Host(0)
    one, two = Candidate(ledger, "one", boot_ns=clock), Candidate(ledger, "two", boot_ns=clock)
    one.step()
    one.retire()
    two.step()
    assert (one.holds(), two.holds()) == (False, True)


def test_a_candidate_that_is_alone_takes_over_from_the_dead_without_waiting(ledger):
    clock = Host(0)
    Candidate(ledger, "dead", boot_ns=clock).step()
    living = Candidate(ledger, "living", alone=True, boot_ns=clock)
    living.step()
    assert living.holds()


class Contest(RuleBasedStateMachine):
    """Three hosts whose clocks began anywhere and run up to 2 % apart; each looks when it gets around to it."""

    def __init__(self):
        super().__init__()
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(sqlite_url(Path(self.folder.name) / "ledger.sqlite"))
        self.clocks = [Host(10**14, 20_000), Host(7, 0), Host(10**10, -20_000)]
        self.candidates = [Candidate(self.ledger, f"host {n}", boot_ns=clock) for n, clock in enumerate(self.clocks)]

    @rule(who=st.integers(0, 2))
    def looks(self, who):
        self.candidates[who].step()

    @rule(who=st.integers(0, 2))
    def stops(self, who):
        self.candidates[who].retire()

    @rule(ns=st.sampled_from([1, SECOND // 4, SECOND, TERM_NS, TERM_SURELY_OVER_NS, 2 * TERM_NS]))
    def passes(self, ns):
        for clock in self.clocks:
            clock.true_ns += ns

    @invariant()
    def at_most_one_holds(self):
        """I5"""
        assert sum(candidate.holds() for candidate in self.candidates) <= 1

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()


TestContest = Contest.TestCase
TestContest.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
