"""The machine itself, on a rulebook that uses every word of the schema: stack, clocks, anchors, deadlines."""

import pytest

from gating.account import Account
from gating.errors import Refused
from gating.lifecycle import active, due, standing
from gating.status import DAY_US, Access, Role, Status, Verdict
from gating.times import parse_rfc3339
from tests.gating.everything import ACME, EVERYTHING, days, free, paid, requested, trial
from tests.gating.life import START_US, Life


def test_a_date_of_the_rulebook_is_fixed_by_the_first_status_and_outlives_the_next() -> None:
    """Cancelled on 1 March, period to 20 March: gone on 31 March, backups by 30 April."""
    life = paid()
    life.do("cancel", **ACME)
    assert days(life.standing.until_us) == 19
    life.wait(25)
    assert (life.status, days(life.standing.until_us)) == (Status.CANCELED, 30)
    life.do("terminate", Role.OPERATOR, reason="other")
    assert (life.status, days(life.standing.until_us)) == (Status.DELETION_SCHEDULED, 30)


def test_a_date_is_never_before_the_period_it_must_outlast() -> None:
    """A period to 1 December is used up, and the account is then gone at once: two lapses at one moment."""
    life = paid("2026-12-01T00:00:00Z")
    life.do("cancel", **ACME)
    life.wait(300)
    assert [(d.to, days(d.at_us)) for d in life.decisions[-2:]] == [(Status.CANCELED, 275), (Status.DELETED, 275)]


def test_a_period_end_told_later_moves_the_deadline_and_the_date_that_must_outlast_it() -> None:
    life = paid()
    life.do("cancel", **ACME)
    life.do("payment_ok", Role.SYSTEM, period_end="2026-05-01T00:00:00Z")
    assert days(life.standing.until_us) == 61
    assert life.wait(61).status is Status.DELETED


def test_a_date_is_cleared_on_leaving_and_set_anew_on_coming_back() -> None:
    life = paid()
    life.do("cancel", **ACME)
    life.wait(5).do("reactivate")
    assert "delete_at" not in life.account.anchors
    life.wait(5).do("cancel", **ACME)
    assert days(life.account.anchors["delete_at"]) == 40


def test_a_sliding_deadline_moves_with_activity_and_is_never_given_to_the_edge() -> None:
    life = free()
    assert life.account.deadline is not None
    assert (days(life.account.deadline.at_us), life.standing.until_us) == (365, None)
    later = active(EVERYTHING, life.account, START_US + 10 * DAY_US)
    assert later.deadline is not None
    assert days(later.deadline.at_us) == 375
    assert active(EVERYTHING, later, START_US) == later
    assert life.wait(366).status is Status.CANCELED


def test_a_deadline_of_one_plan_goes_with_the_plan() -> None:
    life = free()
    life.do("subscribe", plan="pro", payment="p1")
    assert (life.status, life.account.deadline) == (Status.ACTIVE, None)


def test_a_status_that_inherits_has_all_from_beneath_and_lets_commands_through() -> None:
    life = requested()
    assert (life.status, life.verdict, life.standing.access) == (
        Status.DELETION_REQUESTED, Verdict.ACCEPT, Access.FULL,
    )  # fmt: skip
    decision = life.do("cancel", **ACME)
    assert (decision.from_, decision.to) == (Status.ACTIVE, Status.CANCELING)
    assert (life.status, days(life.standing.until_us)) == (Status.DELETION_REQUESTED, 19)
    life.wait(19)
    assert (life.status, life.account.beneath, life.verdict) == (
        Status.DELETION_REQUESTED, (Status.CANCELED,), Verdict.DROP,
    )  # fmt: skip
    assert life.wait(11).account.layers[0].status is Status.DELETED
    assert life.account.beneath == ()


def test_a_suspended_account_gains_nothing_by_a_status_that_inherits() -> None:
    life = paid()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    life.do("request_deletion", confirm=True)
    assert (life.verdict, life.standing.access) == (Verdict.DROP, Access.NONE)
    with pytest.raises(Refused):
        life.do("pause")
    life.do("withdraw")
    assert (life.status, life.account.beneath) == (Status.SUSPENDED, (Status.ACTIVE,))


@pytest.mark.parametrize(
    ("asked", "owed"),
    [
        ("2026-03-04T10:15:00.5Z", "2026-03-05T10:15:00.5Z"),  # Wednesday
        ("2026-03-06T16:00:00Z", "2026-03-09T16:00:00Z"),  # Friday
        ("2026-03-07T11:00:00Z", "2026-03-09T23:00:00Z"),  # Saturday: from Monday's start in Berlin
        ("2026-03-27T12:00:00Z", "2026-03-30T11:00:00Z"),  # the clocks go forward between them
        ("2026-04-03T12:00:00Z", "2026-04-07T12:00:00Z"),  # Easter Monday is listed
    ],
)
def test_an_answer_is_owed_by_the_same_time_on_the_next_working_day(asked: str, owed: str) -> None:
    life = Life.begin(EVERYTHING, now_us=parse_rfc3339(asked))
    life.do("request_deletion", confirm=True)
    assert life.account.due_us == parse_rfc3339(owed)
    assert life.status is Status.DELETION_REQUESTED


def test_an_answer_ends_the_alert_and_no_silence_ever_deletes() -> None:
    life = requested()
    assert life.wait(10).status is Status.DELETION_REQUESTED
    assert (life.account.due_us is None, life.account.answered) == (False, False)
    decision = life.do("answer", Role.SUPPORT)
    assert (life.account.due_us, life.account.answered, decision.effects) == (None, True, ())
    assert not life.do("answer", Role.SUPPORT).changed


def test_a_clock_that_goes_back_dates_nothing_before_the_last_change() -> None:
    life = trial().wait(20)
    life.do("request_deletion", confirm=True)
    entered_us = life.now_us
    life.now_us -= 10 * DAY_US
    assert life.do("withdraw").at_us == entered_us
    assert due(EVERYTHING, life.account, 0) == ()


def test_the_end_of_a_paid_period_does_not_move_under_a_suspension() -> None:
    life = paid()
    life.do("cancel", **ACME)
    life.do("suspend", Role.OPERATOR, reason="abuse")
    assert life.wait(18).status is Status.SUSPENDED
    life.do("unsuspend", Role.OPERATOR)
    assert days(life.standing.until_us) == 19


def test_a_deadline_that_had_passed_on_coming_back_fires_at_once_and_is_dated_then() -> None:
    life = paid()
    life.do("cancel", **ACME)
    life.do("suspend", Role.OPERATOR, reason="abuse")
    life.wait(25).do("unsuspend", Role.OPERATOR)
    assert [(d.command, d.to, days(d.at_us)) for d in life.decisions[-2:]] == [
        ("unsuspend", Status.CANCELING, 25),
        ("lapse", Status.CANCELED, 25),
    ]


def test_a_status_laid_on_again_moves_up_and_lifts_nothing_others_have_laid_on_it() -> None:
    """An owner's request after an operator's termination does not undo the termination."""
    life = requested()
    life.do("terminate", Role.OPERATOR, reason="other")
    life.do("request_deletion", confirm=True)
    assert (life.status, life.account.beneath) == (
        Status.DELETION_REQUESTED,
        (Status.ACTIVE, Status.DELETION_SCHEDULED),
    )
    assert (life.verdict, days(life.standing.until_us)) == (Verdict.DROP, 30)


def test_clocks_that_two_statuses_stop_lose_no_time_and_win_none() -> None:
    life = trial().wait(4)
    life.do("suspend", Role.OPERATOR, reason="abuse")
    life.wait(5).do("terminate", Role.OPERATOR, reason="other")
    life.wait(5).do("reinstate", Role.OPERATOR)
    life.wait(5).do("unsuspend", Role.OPERATOR)
    assert days(life.standing.until_us) == 45


def test_a_stack_of_everything_comes_off_in_order() -> None:
    life = paid()
    life.do("pause")
    life.do("payment_failed", Role.SYSTEM)
    life.do("suspend", Role.OPERATOR, reason="abuse")
    life.wait(1).do("request_deletion", confirm=True)
    life.wait(1).do("terminate", Role.OPERATOR, reason="other")
    beneath = (Status.PAUSED, Status.FROZEN, Status.SUSPENDED, Status.DELETION_REQUESTED)
    assert (life.status, life.account.beneath) == (Status.DELETION_SCHEDULED, beneath)
    for command, status in (
        ("reinstate", Status.DELETION_REQUESTED),
        ("withdraw", Status.SUSPENDED),
        ("unsuspend", Status.FROZEN),
        ("payment_ok", Status.PAUSED),
    ):
        assert life.do(command, Role.OPERATOR, on_behalf="owner").to is status
    assert life.account.beneath == ()


def test_an_account_survives_its_way_through_json() -> None:
    life = requested()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    restored = Account.from_json(life.account.to_json())
    assert restored == life.account
    assert standing(EVERYTHING, restored) == life.standing
    assert restored.to_json() == life.account.to_json()
