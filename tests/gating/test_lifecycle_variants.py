"""What rulebooks may say though none does: the machine holds for every table that passes the check."""

import pytest

from gating.account import Account, Request
from gating.errors import Refused
from gating.lifecycle import active, decide, due, standing
from gating.policy import parse_rulebook
from gating.rulebook import Policy
from gating.status import DAY_US, Role, Status, Verdict
from tests.gating.everything import ACME, EVERYTHING, days, paid, requested, trial
from tests.gating.life import START_US, Life


def variant(*edits: tuple[str, str]) -> Policy:
    """The rulebook that uses every word, with some of them changed."""
    text = EVERYTHING.text
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return parse_rulebook(text, "variant")


def test_a_trial_is_given_once() -> None:
    """A deadline that has passed on entering fires at once."""
    policy = variant(
        ("[command.pause]", '[command.try_again]\nfrom = ["ON_HOLD"]\nto = "TRIAL"\nby = ["OWNER"]\n\n[command.pause]')
    )
    life = Life.begin(policy).wait(31)
    life.do("try_again")
    assert [(d.command, d.to, days(d.at_us)) for d in life.decisions[-2:]] == [
        ("try_again", Status.TRIAL, 31),
        ("lapse", Status.ON_HOLD, 31),
    ]


def test_a_row_whose_guard_fails_is_not_looked_for_beneath() -> None:
    """Only a command that a status has no row for acts on what lies beneath it."""
    policy = variant(
        (
            "[command.pause]",
            (
                '[[command.pause]]\nfrom = ["DELETION_REQUESTED"]\nto = "same"\nby = ["OWNER"]\nplan = ["Premium"]\n\n'
                "[[command.pause]]"
            ),
        )
    )
    life = Life.begin(policy)
    life.do("subscribe", plan="pro", payment="p1")
    life.do("request_deletion", confirm=True)
    with pytest.raises(Refused, match="the account's plan is pro, it is for plan Premium"):
        life.do("pause")


def test_telling_the_end_of_a_period_is_no_repetition() -> None:
    policy = variant(
        (
            "[command.pause]",
            (
                '[command.change_plan]\nfrom = ["ACTIVE"]\nto = "same"\nby = ["OWNER"]\n'
                'needs = ["plan", "period_end?"]\neffects = ["set_plan"]\n\n[command.pause]'
            ),
        )
    )
    life = Life.begin(policy)
    life.do("subscribe", plan="pro", payment="p1")
    assert not life.do("change_plan", plan="pro").changed
    assert life.do("change_plan", plan="pro", period_end="2026-05-01T00:00:00Z").changed
    assert days(life.account.anchors["period_end"]) == 61


def test_a_clock_two_layers_down_stands_still_too() -> None:
    policy = variant(('"FROZEN", "CANCELING"]\nto = "SUSPENDED"', '"DELETION_SCHEDULED"]\nto = "SUSPENDED"'))
    life = Life.begin(policy)
    life.do("terminate", Role.OPERATOR, reason="other")
    life.wait(10).do("suspend", Role.OPERATOR, reason="abuse")
    life.wait(100).do("unsuspend", Role.OPERATOR)
    assert days(life.standing.until_us) == 130
    life.wait(1).do("reinstate", Role.OPERATOR)
    assert (life.status, days(life.standing.until_us)) == (Status.TRIAL, 130)


def test_a_status_may_inherit_a_verdict_and_yet_stop_the_clock() -> None:
    policy = variant(("inherit = true", "inherit = true\nstops_clock = true"))
    life = Life.begin(policy).wait(10)
    life.do("request_deletion", confirm=True)
    assert (life.verdict, life.standing.until_us, life.account.deadline) == (Verdict.ACCEPT, None, None)
    life.wait(100).do("withdraw")
    assert (life.status, days(life.standing.until_us)) == (Status.TRIAL, 130)


def test_a_reason_that_may_be_given_must_still_be_a_code() -> None:
    policy = variant(('needs = ["confirm", "note?"]', 'needs = ["confirm", "note?", "reason?"]'))
    assert Life.begin(policy).do("request_deletion", confirm=True).changed
    assert Life.begin(policy).do("request_deletion", confirm=True, reason="other").changed
    with pytest.raises(Refused, match="request_deletion needs --reason CODE: one of other"):
        Life.begin(policy).do("request_deletion", confirm=True, reason="boredom")


def test_an_operator_whom_a_row_names_acts_on_its_own() -> None:
    row = '[command.pause]\nfrom = ["ACTIVE"]\nto = "PAUSED"\nby = ["OWNER"'
    named = Life.begin(variant((row, row + ', "OPERATOR"')))
    named.do("subscribe", plan="pro", payment="p1")
    assert named.do("pause", Role.OPERATOR).to is Status.PAUSED
    with pytest.raises(Refused, match="pause needs --for owner"):
        paid().do("pause", Role.OPERATOR)


def test_nothing_to_come_back_to_is_a_refusal_and_no_crash() -> None:
    """An account that was moved from another rulebook may stand alone where others lie on something."""
    text = paid().account.to_json().replace('"ACTIVE"', '"FROZEN"')
    with pytest.raises(Refused, match="payment_ok is not possible in FROZEN"):
        decide(EVERYTHING, Account.from_json(text), Request("payment_ok", Role.SYSTEM), START_US)


def test_a_command_is_never_dated_before_the_last_change() -> None:
    life = trial().wait(5)
    life.do("request_deletion", confirm=True)
    assert decide(EVERYTHING, life.account, Request("withdraw", Role.OWNER), 0).at_us == life.now_us


def test_a_cancellation_keeps_its_instant_as_the_period_runs_out() -> None:
    life = paid()
    life.wait(2).do("cancel", **ACME)
    assert days(life.wait(20).account.anchors["canceled_at"]) == 2


def test_the_date_of_deletion_is_known_from_the_cancellation_on() -> None:
    life = paid("2026-12-01T00:00:00Z")
    life.do("cancel", **ACME)
    assert days(life.account.anchors["delete_at"]) == 275


def test_activity_under_a_stopped_clock_counts_when_it_runs_again() -> None:
    life = trial()
    life.do("set_free", Role.SUPPORT)
    life.wait(10).do("suspend", Role.OPERATOR, reason="abuse")
    seen = active(EVERYTHING, life.account, START_US + 20 * DAY_US)
    assert due(EVERYTHING, seen, START_US + 1000 * DAY_US) == ()
    unsuspended = decide(EVERYTHING, seen, Request("unsuspend", Role.OPERATOR), START_US + 30 * DAY_US).account
    assert unsuspended.deadline is not None
    assert days(unsuspended.deadline.at_us) == 30 + 365


def test_what_acts_beneath_is_told_to_the_gate_as_what_holds_on_top() -> None:
    life = requested()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    assert (life.decisions[-1].to, life.decisions[-1].verdict) == (Status.SUSPENDED, Verdict.DROP)
    assert standing(EVERYTHING, life.account).verdict is Verdict.DROP
