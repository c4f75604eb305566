"""Kustomer's promises, each a test named after it."""

import pytest

from gating.errors import Refused
from gating.lifecycle import allowed
from gating.policy import load_rulebook
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import START_US, Life

BOOK = load_rulebook("kustomer")
BILLING = frozenset({"billing"})
EFFECTS = ["stop_integrations", "stop_billing", "revoke_sessions", "notify", "notify"]


def on(plan: str | None = "Essentials") -> Life:
    return Life.begin(BOOK, plan)


def canceled() -> Life:
    life = on()
    life.do("cancel", confirm=True)
    return life


def test_kustomer_1_the_admin_or_a_member_with_the_permission_cancels() -> None:
    assert on().do("cancel", confirm=True).to is Status.CANCELED
    assert on().do("cancel", Role.MEMBER, confirm=True, permissions=BILLING).to is Status.CANCELED
    for role in (Role.MEMBER, Role.SUPPORT, Role.BILLING, Role.AUDITOR):
        with pytest.raises(Refused, match=f"--as {role}"):
            on().do("cancel", role, confirm=True)


def test_kustomer_2_premium_goes_through_the_success_manager() -> None:
    assert on("Premium").do("cancel", Role.SUPPORT, on_behalf="owner", confirm=True).to is Status.CANCELED
    with pytest.raises(Refused, match="--as owner"):
        on("premium").do("cancel", confirm=True)


@pytest.mark.parametrize("plan", ["Essentials", "Premium"])
def test_kustomer_3_a_cancellation_is_always_confirmed(plan: str) -> None:
    with pytest.raises(Refused, match="--confirm"):
        on(plan).do("cancel", Role.OPERATOR, on_behalf="owner")


def test_kustomer_4_cancelled_all_stops_and_access_ends_at_once() -> None:
    life = canceled()
    assert (life.verdict, life.standing.access, life.effects) == (Verdict.DROP, Access.NONE, EFFECTS)


def test_kustomer_5_deleted_after_60_days_until_then_billing_restarts_it() -> None:
    life = canceled().just_before(60)
    life.do("restart", Role.BILLING, on_behalf="owner")
    assert (life.status, life.standing.until_us) == (Status.ACTIVE, None)
    gone = canceled().wait(60)
    with pytest.raises(Refused, match="create a new one"):
        gone.do("restart", Role.BILLING, on_behalf="owner")


def test_kustomer_6_feedback_is_optional_and_admins_and_asker_are_told() -> None:
    decision = on().do("cancel", confirm=True, feedback="too dear")
    assert [e.arguments["whom"] for e in decision.effects if e.name == "notify"] == ["admins", "asker"]


def test_kustomer_7_alternatives_are_never_a_condition() -> None:
    for row in BOOK.commands["cancel"]:
        assert row.advice
        assert [need.name for need in row.needs if not need.optional] == ["confirm"]


def test_kustomer_8_it_is_erased_then_and_not_scheduled_once_more() -> None:
    life = canceled().wait(60)
    assert (life.status, life.account.changed_at_us) == (Status.DELETED, START_US + 60 * DAY_US)
    assert "purge" in life.effects
    assert Status.DELETION_SCHEDULED not in BOOK.statuses


@pytest.mark.parametrize("plan", [None, "Essentials", "Growth", "free"])
def test_kustomer_9_plans_without_instructions_are_as_essentials(plan: str | None) -> None:
    assert on(plan).do("cancel", confirm=True).to is Status.CANCELED


def test_kustomer_10_premiums_own_cancel_names_the_success_manager() -> None:
    for role, permissions in ((Role.OWNER, frozenset()), (Role.MEMBER, BILLING)):
        with pytest.raises(Refused, match="customer success manager"):
            on("Premium").do("cancel", role, confirm=True, permissions=permissions)
    for asker in (None, "member", "admin"):
        with pytest.raises(Refused, match="--for owner"):
            on("Premium").do("cancel", Role.SUPPORT, on_behalf=asker, confirm=True)
    assert on("Premium").do("cancel", Role.SUPPORT, on_behalf="member+billing", confirm=True).changed


def test_kustomer_11_neither_users_nor_support_restart() -> None:
    for role in (Role.OWNER, Role.ADMIN, Role.MEMBER, Role.SUPPORT):
        with pytest.raises(Refused, match=f"--as {role}"):
            canceled().do("restart", role, on_behalf="owner", permissions=BILLING)
    with pytest.raises(Refused, match="--for owner"):
        canceled().do("restart", Role.BILLING)
    life = canceled()
    life.do("restart", Role.BILLING, on_behalf="member+billing")
    assert life.effects == ["resume_billing", "resync"]


def test_kustomer_12_there_is_no_export_once_canceled() -> None:
    assert canceled().standing.access is Access.NONE
    assert "restart" in allowed(BOOK, canceled().account)
