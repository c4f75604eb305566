"""What is settled for all products, shown on SegMetrics: `test_all_6_...` is the sixth of those promises."""

import pytest

from gating.errors import Refused
from gating.rulebook import To
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import START_US, Life
from tests.gating.segmetrics import SEGMETRICS, SUPPORT_FOR_OWNER, WEEK, active, canceled, frozen, paused


def test_all_1_a_day_is_24_hours_and_a_deadline_is_stored_on_entering() -> None:
    life = canceled()
    stored = life.account.deadline
    life.wait(3)
    assert life.account.deadline == stored
    assert life.standing.until_us == START_US + WEEK * 24 * 3600 * 1_000_000


def test_all_2_at_its_instant_the_deadline_wins_over_a_command() -> None:
    life = canceled()
    life.now_us += WEEK * DAY_US  # no sweeper came by
    with pytest.raises(Refused, match="final"):
        life.do("reactivate", payment="p3")


def test_all_2_a_late_sweeper_dates_each_change_at_its_own_deadline() -> None:
    life = frozen().wait(365)
    lapses = [(d.from_, d.to, (d.at_us - START_US) / DAY_US) for d in life.decisions if d.command == "lapse"]
    assert lapses == [(Status.FROZEN, Status.CANCELED, 7.0), (Status.CANCELED, Status.DELETED, 14.0)]


def test_all_3_commands_follow_their_roles_not_access() -> None:
    for life, command, given in (
        (canceled(), "reactivate", {"payment": "p"}),
        (paused(), "re_enrol", {"plan": "pro"}),
        (Life.begin(SEGMETRICS).wait(20), "subscribe", {"plan": "pro", "payment": "p"}),
    ):
        assert life.standing.access is Access.NONE
        assert life.do(command, **given).to is Status.ACTIVE


def test_all_4_returning_touches_no_key() -> None:
    for life, command, given in ((canceled(), "reactivate", {"payment": "p"}), (paused(), "re_enrol", {"plan": "pro"})):
        life.do(command, **given)
        assert "rotate_key" not in life.effects


@pytest.mark.parametrize("make", [active, paused, frozen, lambda: Life.begin(SEGMETRICS)])
def test_all_4_a_key_is_cycled_wherever_hits_are_kept(make: object) -> None:
    life = make()  # type: ignore[operator]
    decision = life.do("rotate_key", source="web")
    assert (decision.from_, decision.to) == (life.status, life.status)
    assert decision.effects[0].arguments == {"source": "web"}


def test_all_6_a_suspension_gives_back_the_status_with_the_time_it_had_left() -> None:
    life = frozen().wait(3)
    life.do("suspend", Role.OPERATOR, reason="abuse")
    assert (life.verdict, life.standing.access, life.standing.until_us) == (Verdict.DROP, Access.NONE, None)
    assert life.wait(100).status is Status.SUSPENDED
    life.do("unsuspend", Role.OPERATOR)
    assert (life.status, life.standing.until_us) == (Status.FROZEN, life.now_us + 4 * DAY_US)
    life.do("payment_ok", Role.SYSTEM)
    assert life.status is Status.ACTIVE


def test_all_6_a_suspended_trial_ends_later_by_as_much() -> None:
    life = Life.begin(SEGMETRICS).wait(4)
    life.do("suspend", Role.OPERATOR, reason="legal")
    life.wait(20).do("unsuspend", Role.OPERATOR)
    assert life.standing.until_us == START_US + 34 * DAY_US
    assert life.account.anchors["trial_end"] == START_US + 34 * DAY_US


def test_all_6_the_customers_commands_wait_but_billings_act_beneath() -> None:
    life = active()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    with pytest.raises(Refused, match="cancel is not possible in SUSPENDED"):
        life.do("cancel", reason="other")
    decision = life.do("payment_failed", Role.SYSTEM)
    assert (decision.from_, decision.to) == (Status.ACTIVE, Status.FROZEN)
    assert (life.status, life.account.beneath) == (Status.SUSPENDED, (Status.ACTIVE, Status.FROZEN))
    life.wait(30).do("unsuspend", Role.OPERATOR)
    assert (life.status, life.standing.until_us) == (Status.FROZEN, life.now_us + WEEK * DAY_US)


def test_all_6_a_status_whose_deletion_clock_runs_cannot_be_suspended() -> None:
    with pytest.raises(Refused, match="suspend is not possible in CANCELED"):
        canceled().do("suspend", Role.OPERATOR, reason="abuse")


def test_all_7_a_repetition_changes_nothing_and_sends_nothing() -> None:
    for life, command, given in (
        (canceled(), "cancel", {"reason": "other"}),
        (paused(), "pause", {**SUPPORT_FOR_OWNER, "payment": "p2"}),
        (active(), "subscribe", {"plan": "business", "payment": "p1"}),
        (active(), "change_plan", {"plan": "business"}),
    ):
        before = life.account
        decision = life.wait(1).do(command, **given)
        assert (decision.changed, decision.effects, decision.account) == (False, (), before)


def test_all_8_a_deletion_ends_in_a_receipt() -> None:
    assert canceled().wait(WEEK).effects == ["purge", "revoke_sessions", "stop_billing", "receipt"]


def test_all_9_an_account_holds_no_word_of_a_person() -> None:
    life = active()
    life.do("cancel", reason="other", feedback="Ana thinks it is dear", actor="ana@example.org")
    assert "Ana" not in life.account.to_json()
    assert "ana@" not in life.account.to_json()


def test_all_10_an_operator_carries_out_every_command_but_never_without_its_needs() -> None:
    assert active().do("cancel", Role.OPERATOR, reason="other").to is Status.CANCELED
    with pytest.raises(Refused, match="--reason"):
        active().do("cancel", Role.OPERATOR)
    with pytest.raises(Refused, match="pause needs --for owner"):
        active().do("pause", Role.OPERATOR, payment="p2")
    assert active().do("pause", Role.OPERATOR, payment="p2", on_behalf="owner:ana").to is Status.PAUSED
    with pytest.raises(Refused, match="re_enrol needs --for owner"):
        paused().do("re_enrol", Role.OPERATOR, plan="pro")
    assert frozen().do("payment_ok", Role.OPERATOR).to is Status.ACTIVE


def test_unsuspend_and_payment_ok_are_the_only_ways_back_to_what_lay_beneath() -> None:
    back = {command for command, rows in SEGMETRICS.commands.items() for row in rows if row.to is To.PREVIOUS}
    assert back == {"unsuspend", "payment_ok"}
