"""What a request must bring, who may make it, and what a refusal says: on the rulebook that uses every word."""

import pytest

from gating.account import Account, Request
from gating.errors import InputInvalid, Refused
from gating.lifecycle import allowed, decide
from gating.status import DAY_US, Role, Status
from gating.times import parse_rfc3339
from tests.gating.everything import ACME, EVERYTHING, paid, requested, trial
from tests.gating.life import START_US


def test_a_status_that_lasts_a_paid_period_wants_its_end() -> None:
    life = trial()
    life.do("subscribe", plan="pro", payment="p1")
    with pytest.raises(Refused, match=r"cancel needs --set period_end=TIME, since CANCELING lasts until then"):
        life.do("cancel", **ACME)
    assert life.do("cancel", **ACME, period_end="2026-03-20T00:00:00+01:00").to is Status.CANCELING
    assert life.standing.until_us == parse_rfc3339("2026-03-19T23:00:00Z")


@pytest.mark.parametrize("time", ["tomorrow", "2026-03-20", "2026-03-20T00:00:00", "20"])
def test_a_period_end_that_is_no_time_with_a_zone_is_refused(time: str) -> None:
    with pytest.raises(InputInvalid, match="is no time with a zone"):
        trial().do("subscribe", plan="pro", payment="p1", period_end=time)


def test_a_need_for_an_answer_is_met_by_its_record_alone() -> None:
    life = requested()
    with pytest.raises(Refused, match=r"needs an answer .* recorded; and --set reply=\.\.\."):
        life.do("confirm_deletion", Role.SUPPORT, on_behalf="owner")
    life.do("answer", Role.SUPPORT)
    life.do("confirm_deletion", Role.SUPPORT, on_behalf="owner", reply="yes, delete")
    assert (life.status, life.account.beneath) == (Status.DELETED, ())
    purge, backups, _ = life.decisions[-1].effects
    assert purge.arguments == {"keep_billing_years": 7}
    assert backups.arguments == {"at_us": life.now_us + 30 * DAY_US}


def test_a_row_within_a_time_holds_until_its_last_microsecond() -> None:
    """I8: restoring makes another account; this one stays deleted."""
    life = requested()
    life.do("answer", Role.SUPPORT)
    life.do("confirm_deletion", Role.SUPPORT, on_behalf="owner", reply="yes")
    with pytest.raises(Refused, match="restore_backup needs --for owner"):
        life.do("restore_backup", Role.OPERATOR)
    life.just_before(1)
    assert life.do("restore_backup", Role.OPERATOR, on_behalf="owner").to is Status.DELETED
    assert (life.effects, life.standing.final) == (["new_account"], True)
    life.wait(1 / DAY_US)
    with pytest.raises(Refused, match="the time for it, 1d from deleted_at, has passed"):
        life.do("restore_backup", Role.OPERATOR, on_behalf="owner")


@pytest.mark.parametrize(
    ("plan", "target"), [("pro", Status.CANCELING), ("Free", Status.CANCELED), ("FREE", Status.CANCELED)]
)
def test_the_first_row_whose_plan_fits_counts_whatever_the_letters_case(plan: str, target: Status) -> None:
    life = paid()
    life.decisions[-1] = decide(
        EVERYTHING,
        trial().account,
        Request("subscribe", Role.OWNER, values={"plan": plan, "payment": "1", "period_end": "2026-04-01T00:00:00Z"}),
        START_US,
    )
    assert life.do("cancel", **ACME).to is target


def test_no_plan_is_neither_free_nor_paid() -> None:
    life = trial()
    life.do("subscribe", plan="pro", payment="p1")
    orphan = Account.from_json(life.account.to_json().replace('"plan":"pro"', '"plan":null'))
    with pytest.raises(Refused, match="the account's plan is none, it is for plan paid"):
        decide(EVERYTHING, orphan, Request("payment_failed", Role.SYSTEM), START_US)


@pytest.mark.parametrize("wrong", [{"company": "Acne"}, {"email": "eve@example.org"}, {"on_file": {}}])
def test_company_and_email_must_be_those_on_file(wrong: dict[str, object]) -> None:
    with pytest.raises(Refused, match="as it is on file"):
        paid().do("cancel", **{**ACME, **wrong})


@pytest.mark.parametrize("on_behalf", ["owner", "owner:ana", "member+billing", "Member+Billing:bo"])
def test_a_request_on_behalf_names_a_role_that_may_ask(on_behalf: str) -> None:
    assert paid().do("cancel", **{**ACME, "on_behalf": on_behalf}).to is Status.CANCELING


@pytest.mark.parametrize("on_behalf", [None, "", "member", "member:billing", "ana", "support", "owners"])
def test_a_request_on_behalf_of_anybody_else_does_not_count(on_behalf: str | None) -> None:
    with pytest.raises(Refused, match=r"--for owner or --for member\+billing"):
        paid().do("cancel", **{**ACME, "on_behalf": on_behalf})


def test_a_permission_is_needed_beside_the_role() -> None:
    life = paid()
    life.do("pause")
    with pytest.raises(Refused, match=r"it may by: owner, member\+billing, operator"):
        life.do("resume", Role.MEMBER)
    assert life.do("resume", Role.MEMBER, permissions=frozenset({"billing"})).to is Status.ACTIVE


def test_support_for_anyone_wants_somebody() -> None:
    with pytest.raises(Refused, match="--for PERSON"):
        paid().do("find_owner", Role.SUPPORT)
    decision = paid().do("find_owner", Role.SUPPORT, on_behalf="a colleague")
    assert (decision.from_, decision.to, decision.effects[0].arguments) == (
        Status.ACTIVE, Status.ACTIVE, {"whom": "owners"},
    )  # fmt: skip


def test_an_unknown_command_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(Refused, match=r"no command 'resme'; did you mean resume"):
        trial().do("resme")


def test_a_value_that_a_command_has_no_use_for_is_refused_rather_than_lost() -> None:
    with pytest.raises(
        Refused, match=r"subscribe has no use for --set colour; it takes --set plan, payment, period_end"
    ):
        trial().do("subscribe", plan="pro", payment="p1", colour="red")


def test_a_refusal_names_all_that_is_missing_at_once() -> None:
    with pytest.raises(Refused, match=r"cancel needs --for owner; and --set company=\.\.\.; and --set email=\.\.\."):
        trial().do("cancel", Role.OPERATOR)


def test_the_same_command_on_another_plan_is_no_repetition() -> None:
    life = paid()
    assert not life.do("subscribe", plan="pro", payment="p1").changed
    with pytest.raises(Refused, match="it is for plan free"):
        life.do("subscribe", plan="business", payment="p1")


def test_decide_refuses_to_run_past_a_deadline_that_has_come() -> None:
    account = trial().account
    with pytest.raises(Refused, match="became ON_HOLD at 2026-03-31T00:00:00"):
        decide(EVERYTHING, account, Request("request_deletion", Role.OWNER, confirm=True), START_US + 30 * DAY_US)


def test_what_is_allowed_here_includes_what_is_allowed_beneath() -> None:
    assert "cancel" in allowed(EVERYTHING, requested().account)
    life = paid()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    assert "pause" not in allowed(EVERYTHING, life.account)
    assert {"payment_failed", "unsuspend", "terminate"} <= set(allowed(EVERYTHING, life.account))
