"""The gate: a verdict for each key, no later than its deadline, and none that is certain without a lease."""

import pytest

from collector.gate import Gate
from collector.outcome import Outcome
from gating.feed import KeyState, StatusChange
from gating.status import Status, Verdict

SECOND_NS = 1_000_000_000


class Boot:
    """CLOCK_BOOTTIME as an argument."""

    def __init__(self):
        self.ns = 1000 * SECOND_NS

    def __call__(self):
        return self.ns


@pytest.fixture
def boot():
    return Boot()


@pytest.fixture
def gate(boot):
    gate = Gate(boot_ns=boot, now_us=0)
    gate.restart("epoch")
    gate.set_clock(0, boot.ns)
    gate.lease(boot.ns + 3 * SECOND_NS)
    return gate


def change(version=1, verdict=Verdict.ACCEPT, keys=("k",), at_us=0, until_us=None, then=None, final=False):
    states = tuple(KeyState(*key) if isinstance(key, tuple) else KeyState(key) for key in keys)
    status = Status.DELETED if final else Status.ACTIVE
    return StatusChange(version, "shop", at_us, status, verdict, until_us, then, final, states)


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.ACCEPT, Outcome.ACCEPTED),
        (Verdict.HIDE, Outcome.HIDDEN),
        (Verdict.DROP, Outcome.DROPPED_STATUS),
    ],
)
def test_the_accounts_verdict_decides_a_leased_hit(gate, verdict, outcome):
    gate.apply(change(verdict=verdict))
    assert gate.decide(b"k", 1, leased=True) == (outcome, b"shop")


def test_a_hit_on_a_key_nobody_has_is_dropped_under_a_lease_and_kept_unverified_without(gate):
    """DESIGN 6: an account made during an outage must not lose its first hits."""
    assert gate.decide(b"x", 1, leased=True) == (Outcome.DROPPED_UNKNOWN_KEY, b"")
    assert gate.decide(b"x", 1, leased=False) == (Outcome.UNVERIFIED, b"")


@pytest.mark.parametrize("leased", [True, False])
def test_a_pixel_without_a_key_is_nobodys_in_any_case(gate, leased):
    assert gate.decide(b"", 1, leased) == (Outcome.DROPPED_NO_KEY, b"")


@pytest.mark.parametrize("verdict", list(Verdict))
def test_without_a_lease_only_what_is_final_still_drops(gate, verdict):
    """I5 and I9: any other account may have come back meanwhile."""
    gate.apply(change(verdict=verdict))
    assert gate.decide(b"k", 1, leased=False) == (Outcome.UNVERIFIED, b"shop")
    gate.apply(change(2, Verdict.DROP, final=True))
    assert gate.decide(b"k", 1, leased=False) == (Outcome.DROPPED_STATUS, b"shop")


def test_a_revoked_key_drops_with_and_without_a_lease_and_the_accounts_other_keys_go_on(gate):
    gate.apply(change(at_us=10, keys=[("old", 10), "new"]))
    for leased in (True, False):
        assert gate.decide(b"old", 11, leased)[0] == Outcome.DROPPED_REVOKED_KEY
    assert gate.decide(b"new", 11, leased=True)[0] == Outcome.ACCEPTED


def test_a_deadline_is_enforced_at_its_exact_microsecond(gate):
    gate.apply(change(until_us=100, then=Verdict.DROP))
    assert gate.decide(b"k", 99, leased=True)[0] == Outcome.ACCEPTED
    assert gate.decide(b"k", 100, leased=True)[0] == Outcome.DROPPED_STATUS


def test_a_deadline_that_passed_without_a_lease_keeps_the_hit_unverified(gate):
    gate.apply(change(until_us=100, then=Verdict.DROP))
    assert gate.decide(b"k", 100, leased=False)[0] == Outcome.UNVERIFIED


@pytest.mark.parametrize(
    ("at_us", "outcome"),
    [(99, Outcome.ACCEPTED), (100, Outcome.HIDDEN), (199, Outcome.HIDDEN), (200, Outcome.DROPPED_REVOKED_KEY)],
)
def test_an_accounts_deadline_and_a_keys_grace_come_in_their_order(gate, at_us, outcome):
    gate.apply(change(until_us=100, then=Verdict.HIDE, keys=[("k", 200)]))
    assert gate.decide(b"k", at_us, leased=True)[0] == outcome


@pytest.mark.parametrize(
    ("at_us", "outcome"),
    [(99, Outcome.ACCEPTED), (100, Outcome.DROPPED_REVOKED_KEY), (200, Outcome.DROPPED_REVOKED_KEY)],
)
def test_a_keys_grace_that_ends_first_outlives_the_accounts_deadline(gate, at_us, outcome):
    gate.apply(change(until_us=200, then=Verdict.ACCEPT, keys=[("k", 100)]))
    assert gate.decide(b"k", at_us, leased=True)[0] == outcome


def test_an_older_version_never_overwrites_a_newer_one(gate):
    """DESIGN 6: a page that was read before a push arrives after it."""
    gate.apply(change(9, Verdict.HIDE))
    gate.apply(change(8, Verdict.ACCEPT))
    assert gate.decide(b"k", 1, leased=True)[0] == Outcome.HIDDEN


def test_the_map_never_moves_backwards_within_an_epoch(gate):
    gate.stand(9)
    gate.stand(8)
    assert gate.version == 9


def test_a_new_epoch_forgets_the_map_and_the_lease(gate):
    """DESIGN 6: its versions may mean other changes."""
    gate.apply(change(9))
    gate.stand(9)
    gate.restart("other")
    assert (gate.version, len(gate), gate.leased) == (0, 0, False)


def test_a_lease_runs_out_by_the_clock_that_nobody_sets(gate, boot):
    assert gate.tick() == (0, True)
    boot.ns += 3 * SECOND_NS
    assert gate.tick() == (3_000_000, False)


def test_a_contact_that_corrects_the_clock_a_little_never_turns_received_at_back(gate, boot):
    boot.ns += SECOND_NS
    assert gate.tick()[0] == 1_000_000
    gate.set_clock(900_000, boot.ns)
    assert gate.tick()[0] == 1_000_000


def test_a_large_correction_of_the_clock_is_taken(gate, boot):
    boot.ns += 10 * SECOND_NS
    gate.tick()
    gate.set_clock(1_000_000, boot.ns)
    assert gate.tick()[0] == 1_000_000
