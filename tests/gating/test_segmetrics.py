"""SegMetrics' promises, each a test named after it. Data's visibility is asserted by verdict, access and effects."""

import pytest

from gating.errors import Refused
from gating.lifecycle import allowed
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import START_US, Life
from tests.gating.segmetrics import SEGMETRICS, SUPPORT_FOR_OWNER, WEEK, active, canceled, frozen, paused


def test_segmetrics_1_the_owner_cancels_alone_with_a_reason_and_feedback_if_wished() -> None:
    assert active().do("cancel", reason="too_expensive").to is Status.CANCELED
    assert active().do("cancel", reason="other", feedback="we will miss you").to is Status.CANCELED


def test_segmetrics_1_a_reason_of_the_list_is_required() -> None:
    for reason in (None, "", "because"):
        with pytest.raises(Refused, match=r"cancel needs --reason CODE: one of too_expensive, .*, other"):
            active().do("cancel", reason=reason)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.BILLING, Role.SUPPORT, Role.AUDITOR, Role.SYSTEM])
def test_segmetrics_1_nobody_but_the_owner_cancels(role: Role) -> None:
    with pytest.raises(Refused, match=f"--as {role}"):
        active().do("cancel", role, reason="other")


def test_segmetrics_2_cancelling_stops_integrations_and_pixel_at_once() -> None:
    life = canceled()
    assert (life.verdict, life.standing.access) == (Verdict.DROP, Access.NONE)
    assert life.effects == ["stop_integrations", "stop_billing"]


def test_segmetrics_3_data_is_kept_7_days_after_cancelling_then_deleted() -> None:
    life = canceled().just_before(WEEK)
    assert life.status is Status.CANCELED
    assert all(effect.name != "purge" for decision in life.decisions for effect in decision.effects)
    life.wait(1)
    assert life.status is Status.DELETED
    assert "purge" in life.effects
    assert life.account.changed_at_us == START_US + WEEK * DAY_US


def test_segmetrics_4_a_smaller_plan_deletes_nothing() -> None:
    life = active()
    decision = life.do("change_plan", plan="pro")
    assert (decision.to, life.account.plan, life.standing.until_us) == (Status.ACTIVE, "pro", None)
    assert life.effects == ["set_plan"]


def test_segmetrics_5_reactivating_is_immediate_full_and_imports_again() -> None:
    life = canceled().just_before(WEEK)
    life.do("reactivate", payment="p3")
    assert (life.status, life.verdict, life.standing.access) == (Status.ACTIVE, Verdict.ACCEPT, Access.FULL)
    assert life.effects == ["set_plan", "resync", "resume_billing"]
    assert life.account.plan == "business"
    assert life.standing.until_us is None
    assert life.wait(400).status is Status.ACTIVE


def test_segmetrics_5_reactivating_is_the_owners_and_takes_a_payment() -> None:
    with pytest.raises(Refused, match="reactivate needs --set payment="):
        canceled().do("reactivate")
    with pytest.raises(Refused, match="--as support"):
        canceled().do("reactivate", Role.SUPPORT, payment="p3")


def test_segmetrics_6_an_active_pause_keeps_hits_hidden_until_it_re_enrols() -> None:
    life = paused()
    assert (life.verdict, life.standing.access) == (Verdict.HIDE, Access.NONE)
    price = life.decisions[-1].effects[0]
    assert (price.name, price.arguments["plan"], price.arguments["price"]) == ("set_plan", "pause", "10 USD a month")
    life.do("re_enrol", plan="business")
    assert (life.verdict, life.standing.access, life.account.plan) == (Verdict.ACCEPT, Access.FULL, "business")


def test_segmetrics_6_support_enrols_on_the_owners_request() -> None:
    with pytest.raises(Refused, match="pause needs --for owner"):
        active().do("pause", Role.SUPPORT, payment="p2")
    with pytest.raises(Refused, match="--as owner"):
        active().do("pause", payment="p2")


def test_segmetrics_7_the_trial_lasts_14_days_and_ends_on_hold() -> None:
    life = Life.begin(SEGMETRICS)
    assert (life.status, life.verdict) == (Status.TRIAL, Verdict.ACCEPT)
    assert (life.standing.until_us, life.standing.then) == (START_US + 14 * DAY_US, Verdict.DROP)
    life.just_before(14)
    assert life.status is Status.TRIAL
    life.wait(1 / DAY_US)
    assert (life.status, life.verdict, life.standing.access) == (Status.ON_HOLD, Verdict.DROP, Access.NONE)
    assert life.effects == ["stop_integrations"]


def test_segmetrics_7_a_plan_takes_the_account_off_hold() -> None:
    life = Life.begin(SEGMETRICS).wait(100)
    life.do("subscribe", plan="pro", payment="p1")
    assert (life.status, life.effects) == (Status.ACTIVE, ["set_plan", "resync"])


def test_segmetrics_8_only_a_cancellation_leads_to_deletion() -> None:
    """By the table: DELETED is reached from CANCELED alone, and by its deadline alone."""
    leading = [s for s, rule in SEGMETRICS.statuses.items() if rule.deadline and rule.deadline.then is Status.DELETED]
    assert leading == [Status.CANCELED]
    assert all(row.to is not Status.DELETED for rows in SEGMETRICS.commands.values() for row in rows)


def test_segmetrics_8_no_trials_end_pause_or_smaller_plan_deletes() -> None:
    smaller = active()
    smaller.do("change_plan", plan="pro")
    for life in (Life.begin(SEGMETRICS), paused(), smaller):
        assert life.wait(3650).status is not Status.DELETED


def test_segmetrics_9_billing_problems_are_resolved_within_7_days_without_loss() -> None:
    life = frozen()
    assert (life.verdict, life.standing.access) == (Verdict.HIDE, Access.NONE)
    life.just_before(WEEK)
    life.do("payment_ok", Role.SYSTEM)
    assert (life.status, life.verdict, life.standing.access) == (Status.ACTIVE, Verdict.ACCEPT, Access.FULL)


def test_segmetrics_9_unpaid_for_7_days_it_is_canceled_and_kept_7_more() -> None:
    life = frozen().wait(WEEK)
    assert life.status is Status.CANCELED
    assert life.effects == ["stop_integrations", "stop_billing"]
    assert life.standing.until_us == START_US + 14 * DAY_US
    assert life.wait(WEEK).status is Status.DELETED


def test_segmetrics_9_a_pause_that_is_paid_again_is_a_pause() -> None:
    life = paused()
    life.do("payment_failed", Role.SYSTEM)
    life.wait(3).do("payment_ok", Role.SYSTEM)
    assert (life.status, life.verdict) == (Status.PAUSED, Verdict.HIDE)


def test_segmetrics_10_the_pause_has_no_deadline_and_rests_integrations() -> None:
    life = paused()
    assert "stop_integrations" in life.effects
    assert life.standing.until_us is None
    assert life.wait(3650).status is Status.PAUSED
    life.do("re_enrol", plan="pro")
    assert "resync" in life.effects


def test_segmetrics_10_support_may_enrol_an_account_canceled_less_than_7_days_ago() -> None:
    life = canceled().just_before(WEEK)
    life.do("pause", **SUPPORT_FOR_OWNER, payment="p2")
    assert life.wait(30).status is Status.PAUSED
    late = canceled().wait(WEEK)
    with pytest.raises(Refused, match="final"):
        late.do("pause", **SUPPORT_FOR_OWNER, payment="p2")


def test_segmetrics_10_owner_or_support_for_the_owner_re_enrols() -> None:
    assert paused().do("re_enrol", plan="pro").to is Status.ACTIVE
    assert paused().do("re_enrol", **SUPPORT_FOR_OWNER, plan="pro").to is Status.ACTIVE
    with pytest.raises(Refused, match="re_enrol needs --for owner"):
        paused().do("re_enrol", Role.SUPPORT, plan="pro")


def test_segmetrics_10_cancelling_out_of_a_pause_keeps_hidden_hits_7_days_and_reactivating_shows_them() -> None:
    """I9: nothing is purged before the 7 days, and ACCEPT comes back, which is what reveals."""
    life = paused().wait(100)
    life.do("cancel", reason="other")
    assert life.standing.until_us == life.now_us + WEEK * DAY_US
    life.just_before(WEEK).do("reactivate", payment="p3", plan="pro")
    assert (life.verdict, life.account.plan) == (Verdict.ACCEPT, "pro")
    assert all(effect.name != "purge" for decision in life.decisions for effect in decision.effects)


def test_segmetrics_11_reactivating_waits_for_no_platform() -> None:
    life = canceled()
    life.do("reactivate", payment="p3")
    needs = [need.name for row in SEGMETRICS.commands["reactivate"] for need in row.needs]
    assert (life.status, needs) == (Status.ACTIVE, ["payment", "plan"])


def test_segmetrics_12_nothing_is_collected_while_canceled() -> None:
    assert SEGMETRICS.statuses[Status.CANCELED].verdict is Verdict.DROP


def test_segmetrics_13_help_before_cancelling_is_never_a_condition() -> None:
    (row,) = SEGMETRICS.commands["cancel"]
    assert row.advice is not None
    assert "support@segmetrics.io" in row.advice
    assert [need.name for need in row.needs if not need.optional] == ["reason"]


def test_segmetrics_14_after_the_7_days_a_return_is_a_new_account() -> None:
    """I8."""
    life = canceled().wait(WEEK)
    assert life.standing.final
    assert allowed(SEGMETRICS, life.account) == ()
    with pytest.raises(Refused, match="create a new one"):
        life.do("reactivate", payment="p3")
