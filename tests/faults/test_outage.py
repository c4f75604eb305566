"""DESIGN 6: an outage of the gating process neither leaks nor loses (I5, I9, I11), each role a process of its own.

What must become of a hit is reckoned here once more, from the account's history and the journal alone.
"""

import signal
import time
from dataclasses import dataclass

import pytest

from gating.errors import PixelgateError
from gating.ledger import Ledger, Who, sqlite_url
from gating.lifecycle import open_account, standing
from gating.policy import load_rulebook, parse_rulebook
from gating.status import SECOND_US, Role, Verdict
from tests.eventually import eventually
from tests.faults.roles import Roles, Traffic

NOBODYS = "nobodysKey0"
UNCERTAIN_US = SECOND_US  # a change counts from a second before its time
FOREVER = 2**62


@pytest.fixture
def roles(tmp_path):
    with Roles(tmp_path) as roles:
        yield roles


@dataclass(frozen=True)
class Span:
    """From `at_us` on this verdict holds, by the change `version`."""

    at_us: int
    verdict: Verdict
    version: int


def spans_of(roles, account="shop"):
    """The verdicts of an account by its history."""
    found = []
    for change in roles.history(account):
        if not found or found[-1].verdict is not change.verdict:
            found.append(Span(change.at_us, change.verdict, change.version))
    return found


def held(spans, at_us):
    """The last span that had begun at that time; None before the first."""
    return next((span for span in reversed(spans) if span.at_us <= at_us), None)


def fate(spans, hit, created_us=0, revoked_us=FOREVER):
    """(verdict, version) that a kept hit must come to; None where it must be gone."""
    if hit.verified:
        return hit.verdict, hit.version
    counts_us = hit.received_at_us + UNCERTAIN_US
    span = held(spans, counts_us)
    if span is None or not created_us <= counts_us < revoked_us or span.verdict is Verdict.DROP:
        return None
    return span.verdict, span.version


def stored(events):
    """What an export says became of its hits: number -> (verdict, version)."""
    assert all(event["verified"] for event in events.values())
    return {number: (Verdict[event["verdict"]], event["version"]) for number, event in events.items()}


def unseen_until_settled(roles, key, verified):
    """Hits of an outage: nobody is shown them, operators are told their number; then they are settled, led or not."""
    with roles.change_in_hand():
        away = roles.fire(*[key] * 5)
        before = len(verified)
        eventually(lambda: roles.counts("shop", "operator")["unverified"] == 5, 20)
        assert roles.counts("shop", "operator") == {"visible": before, "hidden": 0, "unverified": 5}
        assert roles.counts("shop", "account") == {"visible": before}
        for audience in ("account", "operator"):
            assert sorted(roles.exported("shop", audience)) == sorted(verified)
    assert roles.counts("shop", "account", 30) == {"visible": before + 5}
    return away


def test_hits_of_an_outage_are_unseen_until_the_history_says_they_may_be_seen(roles):
    """I11, with a gating process that is frozen and then one that is killed; neither holds settlement up."""
    service = roles.gating()
    roles.collector()
    roles.consumer()
    key = roles.gateway.create_account("shop", rulebook="default")["write_key"]
    roles.await_lease()
    tails = [roles.tail("shop", audience) for audience in ("account", "operator")]
    verified = []
    eventually(lambda: verified.extend(roles.fire(key)) or all(tail.shown() for tail in tails), 20)
    roles.counts("shop", "operator", 30)

    service.signal(signal.SIGSTOP)
    roles.await_lease_over()
    frozen = unseen_until_settled(roles, key, verified)
    service.signal(signal.SIGCONT)
    roles.await_lease()
    service.kill()
    roles.await_lease_over()
    killed = unseen_until_settled(roles, key, verified + frozen)
    roles.gating()
    roles.await_lease()
    [last] = roles.fire(key)

    eventually(lambda: all(last in tail.shown() for tail in tails), 20)
    as_account, as_operator = (tail.shown() for tail in tails)
    assert set(as_account) <= {*verified, last}  # its beginning may lie behind the first
    assert {number for number, seen in as_operator.items() if not seen} == {*frozen, *killed}
    assert roles.counts("shop", "account", 30) == {"visible": len(verified) + 11}
    assert sorted(roles.exported("shop", "account")) == sorted([*verified, *frozen, *killed, last])
    assert roles.must_verify()["settled_away"] == 0


def flip_unheard(roles, worker, command):
    """A flip by a command line that leads by itself while the worker sleeps, so that it grants no lease: its change."""
    worker.signal(signal.SIGSTOP)
    roles.gateway.do("shop", command, wait=False)
    worker.signal(signal.SIGCONT)
    return roles.history("shop")[-1]


def test_hits_around_flips_made_meanwhile_meet_the_status_that_held_when_they_came(tmp_path):
    """I5, I9: every unverified hit becomes visible, hidden by its change, or gone and counted; keys likewise."""
    for number in range(5):  # on a machine that stalls a command may take longer than its moment is uncertain
        (folder := tmp_path / str(number)).mkdir()
        with Roles(folder) as roles:
            if flips_made_meanwhile(roles):
                return
    pytest.fail("no story had unverified hits just before each of its changes")


def flips_made_meanwhile(roles):
    """The story, and what must become of its hits; whether unverified ones came just before each change."""
    key = roles.gateway.create_account("shop", rulebook="default")["write_key"]
    ended = roles.gateway.create_key("shop")["write_key"]
    worker = roles.collector()
    roles.consumer()
    with Traffic(roles, key, ended, NOBODYS) as traffic:
        traffic.go_on(1.3)
        made = roles.gateway.create_key("shop")["write_key"]
        traffic.keys.append(made)
        roles.gateway.revoke_key("shop", key=ended)
        roles.await_lease_over()  # those two commands granted one each
        traffic.go_on(1.1)
        for command in ("pause", "resume", "pause", "cancel"):
            traffic.go_on(1.2, flip_unheard(roles, worker, command).at_us)

    roles.counts("shop", "operator", 30)
    kept, spans, keys = roles.kept(), spans_of(roles), roles.keys("shop")
    lives = {key: (0, FOREVER), made: (keys[made].created_at_us, FOREVER), ended: (0, keys[ended].revoked_at_us)}
    fates = {hit.number: fate(spans, hit, *lives[hit.key]) if hit.key in lives else None for hit in kept}
    became = {number: what for number, what in fates.items() if what is not None}
    assert stored(roles.exported("shop", "operator")) == became
    resumed = spans[2].version
    may_see = [n for n, (verdict, version) in became.items() if verdict is Verdict.ACCEPT or version < resumed]
    assert sorted(roles.exported("shop", "account")) == sorted(may_see)  # cancelling out of a pause reveals nothing
    assert roles.counts("shop", "account") == {"visible": len(may_see)}
    operator = roles.counts("shop", "operator")
    assert operator == {"visible": len(may_see), "hidden": len(became) - len(may_see), "unverified": 0}
    sums = roles.must_verify()
    assert sums["settled_away"] == len(kept) - len(became)
    assert sums["kept"] == len(kept)

    unverified = [hit for hit in kept if not hit.verified]
    changes = [(key, span.at_us) for span in spans[1:]] + [(ended, keys[ended].revoked_at_us)]
    if not all(just_before(unverified, *change) for change in changes):
        return False
    must_have_seen_every_fate(unverified, spans, fates, key, ended, made)
    return True


def just_before(hits, key, at_us):
    """The key's hits that were received before the change, but not so long that they may be said to have been."""
    return [hit for hit in hits if hit.key == key and 0 < at_us - hit.received_at_us <= UNCERTAIN_US]


def must_have_seen_every_fate(unverified, spans, fates, key, ended, made):
    """That the story above was one: unverified hits before and after each change, and within its uncertainty."""
    assert [span.verdict.name for span in spans] == ["ACCEPT", "HIDE", "ACCEPT", "HIDE", "DROP"]
    assert {fates[hit.number] for hit in unverified if hit.key == key} == {
        None if span.verdict is Verdict.DROP else (span.verdict, span.version) for span in spans
    }
    for span in spans[1:]:
        uncertain = just_before(unverified, key, span.at_us)
        assert uncertain
        assert {fates[hit.number] for hit in uncertain} == {fates[n] for n in after(unverified, key, span)}
    assert {fates[hit.number] is None for hit in unverified if hit.key == ended} == {True, False}
    assert {fates[hit.number] is None for hit in unverified if hit.key == made} == {True, False}
    assert any(hit.key == NOBODYS for hit in unverified)


def after(hits, key, span):
    """The first hit of the key that was received after the change."""
    return [next(hit.number for hit in hits if hit.key == key and hit.received_at_us >= span.at_us)]


def test_a_command_line_that_leads_waits_for_living_workers_and_for_no_dead_one(roles):
    """I5: whoever leads next lets every lease of the last one run out, or has its worker's word."""
    service = roles.gating()
    worker = roles.collector()
    key = roles.gateway.create_account("shop", rulebook="default")["write_key"]
    roles.await_lease()
    service.kill()
    returned = {}
    for command in ("pause", "resume", "pause"):
        flipped = roles.gateway.do("shop", command)
        assert flipped["enforced"]
        returned |= dict.fromkeys(roles.fire(*[key] * 3), flipped["version"])

    worker.signal(signal.SIGSTOP)  # silent, with its lease: what is enforced everywhere must not be said
    with pytest.raises(PixelgateError, match="not yet enforced by: worker-") as late:
        roles.gateway.do("shop", "resume", timeout_seconds=0.3)
    assert late.value.exit_code == 4
    assert roles.gateway.do("shop", "resume")["enforced"]  # the lease is over
    worker.signal(signal.SIGCONT)
    returned |= dict.fromkeys(roles.fire(*[key] * 3), 5)
    kept = {hit.number: hit for hit in roles.kept()}
    assert set(kept) == set(returned)
    assert [hit for hit in kept.values() if hit.verified and hit.version < returned[hit.number]] == []

    worker.kill()
    flipped = roles.gateway.do("shop", "pause", timeout_seconds=0.3)  # a lease is ten times as long
    assert (flipped["enforced"], flipped["workers"]) == (True, 0)
    assert roles.counts("shop", "operator", 30)["unverified"] == 0
    assert roles.must_verify()["kept"] == len(returned)


def limited_rulebook():
    """`default`, but ACTIVE is PAUSED after two seconds, and that CANCELED after two more."""
    text = load_rulebook("default").text
    for words, then in (
        ('verdict = "ACCEPT"\naccess = "FULL"\n', "PAUSED"),
        ('verdict = "HIDE"\naccess = "NONE"\n', "CANCELED"),
    ):
        assert text.count(words) == 1
        text = text.replace(words, f'{words}deadline = {{ anchor = "entered", span = "2s", then = "{then}" }}\n')
    return parse_rulebook(text, "default")


def open_under(roles, policy, key):
    """The account `shop` under a rulebook that no release has, a minute ago: its first deadlines have passed."""
    decision = open_account(policy, "shop", None, time.time_ns() // 1000 - 60 * SECOND_US)
    with Ledger.open(sqlite_url(roles.directory.ledger)) as ledger, ledger.begin() as transaction:
        transaction.keep_rulebook(policy.digest, policy.name, policy.text)
        who = Who("tests", Role.OPERATOR)
        transaction.create_account(decision, standing(policy, decision.account), who, write_key=key)


def freeze_over_a_deadline(roles, service, key):
    """Reactivate, freeze gating before it can say more: the change, and the hits verified under it until it is over."""
    eventually(lambda: roles.gateway.account("shop")["status"] == "CANCELED", 20)
    version = roles.gateway.do("shop", "reactivate")["version"]
    service.signal(signal.SIGSTOP)
    with Traffic(roles, key) as traffic:
        roles.await_lease_over()
        [change] = [change for change in roles.history("shop") if change.version == version]
        traffic.go_on(4.1, change.at_us)
    return change, [hit for hit in roles.kept() if hit.verified and hit.version == version]


def test_a_deadline_that_comes_while_gating_is_away_holds_at_its_moment(roles):
    """DESIGN 6: at the edge while a lease runs, in settlement without one, and in the history when gating is back."""
    key = "K3vTq8ZrW2mXb6NcL9dYp4"
    open_under(roles, limited_rulebook(), key)
    service = roles.gating()
    worker = roles.collector()
    roles.consumer()
    roles.await_lease()
    for _ in range(5):  # a machine that stalls lets the lease pass before a hit comes
        change, edge = freeze_over_a_deadline(roles, service, key)
        assert {(hit.received_at_us < change.at_us + 2 * SECOND_US, hit.verdict) for hit in edge} <= {
            (True, Verdict.ACCEPT),
            (False, Verdict.HIDE),
        }
        if {hit.verdict for hit in edge} == {Verdict.ACCEPT, Verdict.HIDE}:
            break
        service.signal(signal.SIGCONT)
    else:
        pytest.fail("no hit was verified after the deadline")

    service.kill()
    seen = {hit.number for hit in roles.kept()}
    with Traffic(roles, key) as traffic:
        change = flip_unheard(roles, worker, "reactivate")
        at_us, version = change.at_us, change.version
        traffic.go_on(4.1, at_us)
    roles.counts("shop", "operator", 30)
    assert roles.history("shop")[-1] == change  # nobody has recorded what the deadlines did
    spans = [
        Span(at_us, Verdict.ACCEPT, version),
        Span(at_us + 2 * SECOND_US, Verdict.HIDE, version),
        Span(at_us + 4 * SECOND_US, Verdict.DROP, version),
    ]
    hits = [hit for hit in roles.kept() if hit.number not in seen]
    fates = {hit.number: fate(spans, hit) for hit in hits}
    assert {fates[hit.number] for hit in hits if not hit.verified} == {
        (Verdict.ACCEPT, version), (Verdict.HIDE, version), None
    }  # fmt: skip
    became = {number: what for number, what in fates.items() if what is not None}
    found = stored(roles.exported("shop", "operator"))
    assert {number: what for number, what in found.items() if number not in seen} == became

    roles.gating()
    eventually(lambda: len(roles.history("shop")) == version + 2, 20)
    assert [lapse.at_us - at_us for lapse in roles.history("shop")[-2:]] == [2 * SECOND_US, 4 * SECOND_US]
    roles.gateway.do("shop", "reactivate")
    shown = roles.exported("shop", "account")
    assert {number for number in shown if number not in seen} == set(became)  # what was hidden, and nothing dropped
    roles.must_verify()


def test_with_no_ledger_to_read_everything_is_kept_and_nothing_settled_until_it_is_there(roles):
    """`--settled` is exit 4 meanwhile; at no moment is a missing ledger taken for an empty one."""
    roles.collector()
    consumer = roles.consumer()
    strangers = roles.fire(*[NOBODYS] * 3)
    roles.await_trouble()
    late = roles.system.cli("report", "shop", "--settled", "0.1", code=4)
    assert "3 unverified events wait for the ledger's history" in late.stderr
    assert not roles.directory.ledger.exists()
    key = roles.gateway.create_account("shop", rulebook="default")["write_key"]
    roles.await_lease_over()
    hits = roles.fire(*[key] * 3)
    assert roles.counts("shop", "account", 30) == {"visible": 3}
    assert roles.must_verify()["settled_away"] == len(strangers)

    away = roles.directory.ledger.rename(roles.folder / "ledger.away")
    hits += roles.fire(*[key] * 3)
    roles.await_trouble()  # though the consumer had it open
    roles.system.cli("report", "shop", "--settled", "0.1", code=4)
    consumer.kill()
    hits += roles.fire(*[key] * 3)
    roles.consumer()
    roles.await_trouble()
    assert not roles.directory.ledger.exists()
    away.rename(roles.directory.ledger)
    assert roles.counts("shop", "account", 30) == {"visible": 9}
    assert sorted(roles.exported("shop", "account")) == hits
    sums = roles.must_verify()
    assert (sums["kept"], sums["settled_away"], sums["unverified"]) == (12, 3, 0)
