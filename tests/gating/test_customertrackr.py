"""CustomerTrackr's promises, each a test named after it."""

import pytest

from gating.errors import Refused
from gating.lifecycle import active as seen_at
from gating.lifecycle import allowed, due
from gating.policy import load_rulebook
from gating.rulebook import To
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import START_US, Life

BOOK = load_rulebook("customertrackr")
SUPPORT = {"role": Role.SUPPORT, "on_behalf": "owner:ana"}
CANCEL = {
    **SUPPORT, "company": "acme", "email": "ANA@example.org",
    "on_file": {"company": "Acme", "email": "ana@example.org"},
}  # fmt: skip
END = "2026-03-20T00:00:00Z"
YEARLY = "2026-12-01T00:00:00Z"


def paid(period_end: str = END) -> Life:
    life = Life.begin(BOOK)
    life.do("subscribe", plan="pro", payment="p1", period_end=period_end)
    return life


def free() -> Life:
    life = Life.begin(BOOK)
    life.do("set_free", Role.SUPPORT)
    return life


def frozen() -> Life:
    life = paid()
    life.do("payment_failed", Role.SYSTEM)
    return life


def canceling(period_end: str = END) -> Life:
    life = paid(period_end)
    life.do("cancel", **CANCEL)
    return life


def day_of(at_us: int | None) -> float | None:
    return None if at_us is None else (at_us - START_US) / DAY_US


def test_customertrackr_1_support_cancels_for_an_owner_who_names_company_and_email() -> None:
    assert paid().do("cancel", **CANCEL).to is Status.CANCELING
    for wrong in ({"company": "acne"}, {"email": "eve@example.org"}, {"on_file": {}}):
        with pytest.raises(Refused, match="as it is on file"):
            paid().do("cancel", **{**CANCEL, **wrong})


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.MEMBER, Role.BILLING, Role.AUDITOR, Role.SYSTEM])
def test_customertrackr_1_nobody_else_carries_it_out(role: Role) -> None:
    with pytest.raises(Refused, match=f"--as {role}"):
        paid().do("cancel", **{**CANCEL, "role": role})


def test_customertrackr_1_anyone_elses_request_is_refused_an_operators_too() -> None:
    for role in (Role.SUPPORT, Role.OPERATOR):
        for asker in (None, "admin:bo", "member+billing:bo"):
            with pytest.raises(Refused, match="cancel needs --for owner"):
                paid().do("cancel", **{**CANCEL, "role": role, "on_behalf": asker})


def test_customertrackr_2_access_and_collection_go_on_to_the_periods_end() -> None:
    life = canceling()
    assert (life.verdict, life.standing.access, day_of(life.standing.until_us)) == (Verdict.ACCEPT, Access.FULL, 19)
    life.wait(19)
    assert (life.status, life.verdict, life.standing.access) == (Status.CANCELED, Verdict.DROP, Access.NONE)


def test_customertrackr_2_the_periods_end_is_what_billing_last_said() -> None:
    life = canceling()
    life.do("payment_ok", Role.SYSTEM, period_end="2026-04-20T00:00:00Z")
    assert (day_of(life.standing.until_us), day_of(life.account.anchors["delete_at"])) == (50, 50)


@pytest.mark.parametrize(("end", "deleted"), [(END, 30), (YEARLY, 275)])
def test_customertrackr_3_deleted_at_the_later_of_30_days_and_the_periods_end(end: str, deleted: int) -> None:
    life = canceling(end)
    assert day_of(life.account.anchors["delete_at"]) == deleted
    assert life.just_before(deleted).status is not Status.DELETED
    life.wait(1)
    assert (life.status, day_of(life.account.changed_at_us)) == (Status.DELETED, deleted)
    (backups,) = [effect for effect in life.decisions[-1].effects if effect.name == "backups_due"]
    assert day_of(int(backups.arguments["at_us"])) == deleted + 30
    assert life.effects == ["purge", "revoke_sessions", "stop_billing", "backups_due", "receipt"]


def test_customertrackr_3_no_account_comes_back_from_a_backup() -> None:
    assert "restore_backup" not in BOOK.commands
    assert allowed(BOOK, canceling().wait(60).account) == ()


def test_customertrackr_4_no_bill_follows_and_nothing_is_prorated() -> None:
    assert canceling().effects == ["stop_billing"]


def test_customertrackr_5_the_trial_lasts_30_days_then_on_hold() -> None:
    assert Life.begin(BOOK).just_before(30).status is Status.TRIAL
    life = Life.begin(BOOK).wait(30)
    assert (life.status, life.verdict, life.standing.access) == (Status.ON_HOLD, Verdict.DROP, Access.EXPORT)
    assert life.effects == ["stop_integrations"]
    life.do("subscribe", plan="pro", payment="p1")
    assert life.status is Status.ACTIVE
    assert Life.begin(BOOK).wait(35).do("cancel", **CANCEL).to is Status.CANCELED


def test_customertrackr_6_an_expired_trial_ends_after_30_days_and_goes_30_later() -> None:
    life = Life.begin(BOOK).wait(1000)
    assert [(d.to, day_of(d.at_us)) for d in life.decisions[1:]] == [
        (Status.ON_HOLD, 30), (Status.CANCELED, 60), (Status.DELETED, 90),
    ]  # fmt: skip


def test_customertrackr_6_a_frozen_account_ends_after_180_days() -> None:
    assert frozen().just_before(180).status is Status.FROZEN
    life = frozen().wait(180)
    assert (life.status, life.effects, day_of(life.account.anchors["delete_at"])) == (
        Status.CANCELED, ["stop_billing"], 210,
    )  # fmt: skip


def test_customertrackr_6_a_free_account_ends_after_365_days_without_activity() -> None:
    life = free()
    assert life.standing.until_us is None  # it slides, so no worker is promised it
    seen = seen_at(BOOK, life.account, START_US + 100 * DAY_US)
    assert due(BOOK, seen, START_US + 465 * DAY_US - 1) == ()
    (first, *_) = due(BOOK, seen, START_US + 465 * DAY_US)
    assert first.to is Status.CANCELED
    assert paid().wait(3650).status is Status.ACTIVE


def test_customertrackr_7_a_suspension_is_reversible() -> None:
    life = paid()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    assert (life.verdict, life.standing.access, life.standing.until_us) == (Verdict.DROP, Access.NONE, None)
    life.wait(400).do("unsuspend", Role.OPERATOR)
    assert life.status is Status.ACTIVE


def test_customertrackr_7_a_termination_is_undone_by_an_operator_alone() -> None:
    life = paid()
    life.do("terminate", Role.OPERATOR, reason="terms")
    assert (life.status, life.verdict, life.standing.access) == (
        Status.DELETION_SCHEDULED, Verdict.DROP, Access.NONE,
    )  # fmt: skip
    assert (life.effects, day_of(life.standing.until_us)) == (["stop_billing", "revoke_sessions"], 30)
    for role in (Role.OWNER, Role.SUPPORT):
        with pytest.raises(Refused, match=f"--as {role}"):
            life.do("reinstate", role, reason="appeal")
    life.wait(29).do("reinstate", Role.OPERATOR, reason="mistake")
    assert (life.status, "delete_at" in life.account.anchors) == (Status.ACTIVE, False)


@pytest.mark.parametrize("waited", [5, 25])
def test_customertrackr_7_a_termination_moves_no_deletion_date_that_runs(waited: int) -> None:
    life = canceling().wait(waited)
    life.do("terminate", Role.OPERATOR, reason="abuse")
    assert day_of(life.standing.until_us) == 30
    assert day_of(life.wait(100).account.changed_at_us) == 30


def test_customertrackr_8_an_export_is_possible_before_cancelling() -> None:
    for life in (Life.begin(BOOK), paid(), free(), Life.begin(BOOK).wait(31), frozen(), canceling()):
        assert life.standing.access in (Access.FULL, Access.EXPORT)
    assert all("Export" in (row.advice or "") for row in BOOK.commands["cancel"][:2])


def test_customertrackr_9_an_unpaid_invoice_changes_no_status() -> None:
    life = canceling()
    decision = life.do("payment_failed", Role.SYSTEM)
    assert (decision.changed, life.status, day_of(life.standing.until_us)) == (True, Status.CANCELING, 19)


def test_customertrackr_10_a_refund_is_a_record_alone() -> None:
    for life in (paid(), canceling(), Life.begin(BOOK).wait(31)):
        before = (life.status, life.account.layers)
        decision = life.do("refund", **SUPPORT)
        assert (decision.changed, decision.effects, (life.status, life.account.layers)) == (True, (), before)
    with pytest.raises(Refused, match="refund needs --for owner"):
        paid().do("refund", Role.SUPPORT)


def test_customertrackr_11_support_writes_to_all_owners_and_tells_the_asker_nothing() -> None:
    decision = paid().do("find_owner", Role.SUPPORT, on_behalf="somebody")
    assert [(effect.name, dict(effect.arguments)) for effect in decision.effects] == [("notify", {"whom": "owners"})]
    with pytest.raises(Refused, match="--for PERSON"):
        paid().do("find_owner", Role.SUPPORT)


def test_customertrackr_12_after_the_periods_end_there_is_no_export() -> None:
    assert canceling().standing.access is Access.FULL
    assert canceling().wait(19).standing.access is Access.NONE


def test_customertrackr_13_upgrading_works_throughout_the_hold_and_30_days_more() -> None:
    held = Life.begin(BOOK).just_before(60)
    held.do("subscribe", plan="pro", payment="p1")
    assert held.status is Status.ACTIVE
    late = Life.begin(BOOK).just_before(90)
    late.do("reactivate", payment="p1", plan="pro")
    assert (late.status, late.account.plan) == (Status.ACTIVE, "pro")


@pytest.mark.parametrize("make", [lambda: Life.begin(BOOK), lambda: Life.begin(BOOK).wait(31), frozen, free])
def test_customertrackr_14_without_a_paid_period_cancelling_is_at_once(make: object) -> None:
    life = make()  # type: ignore[operator]
    assert life.do("cancel", **CANCEL).to is Status.CANCELED
    assert life.account.deadline.at_us == life.now_us + 30 * DAY_US


def test_customertrackr_15_a_change_of_mind_takes_a_payment_once_canceled() -> None:
    life = canceling()
    life.do("reactivate")
    assert (life.status, life.effects, "delete_at" in life.account.anchors) == (
        Status.ACTIVE, ["resume_billing"], False,
    )  # fmt: skip
    late = canceling().just_before(30)
    with pytest.raises(Refused, match="payment"):
        late.do("reactivate")
    late.do("reactivate", **SUPPORT, payment="p2")
    assert (late.status, late.account.plan) == (Status.ACTIVE, "pro")


def test_customertrackr_15_a_free_account_comes_back_for_longer_than_a_moment() -> None:
    life = free().wait(366)
    with pytest.raises(Refused, match="plan"):
        life.do("reactivate", payment="p1")
    life.do("reactivate", payment="p1", plan="pro")
    assert life.wait(100).status is Status.ACTIVE


def test_customertrackr_16_a_billing_failure_freezes_and_a_payment_unfreezes() -> None:
    life = frozen()
    assert (life.status, life.verdict, life.standing.access) == (Status.FROZEN, Verdict.DROP, Access.EXPORT)
    life.wait(100).do("payment_ok", Role.SYSTEM)
    assert (life.status, life.verdict) == (Status.ACTIVE, Verdict.ACCEPT)
    with pytest.raises(Refused, match="plan is free"):
        free().do("payment_failed", Role.SYSTEM)


def test_customertrackr_17_only_support_makes_an_account_free() -> None:
    life = free()
    assert (life.status, life.account.plan) == (Status.ACTIVE, "free")
    with pytest.raises(Refused, match="--as owner"):
        Life.begin(BOOK).do("set_free")
    life.do("subscribe", plan="pro", payment="p1")
    assert life.account.plan == "pro"


def test_customertrackr_18_a_suspended_owner_cancels_without_lifting_the_suspension() -> None:
    life = paid()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    assert life.do("cancel", **CANCEL).to is Status.DELETION_SCHEDULED
    assert day_of(life.standing.until_us) == 30
    with pytest.raises(Refused, match="reactivate is not possible"):
        life.do("reactivate", payment="p1")
    life.do("reinstate", Role.OPERATOR, reason="appeal")
    assert life.status is Status.SUSPENDED
    assert all(row.to is not To.PREVIOUS for row in BOOK.commands["cancel"])
