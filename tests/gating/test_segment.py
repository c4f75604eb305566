"""Segment's promises, each a test named after it."""

import pytest

from gating.errors import Refused
from gating.policy import load_rulebook
from gating.status import DAY_US, Access, Role, Status, Verdict
from tests.gating.life import START_US, Life

BOOK = load_rulebook("segment")
EXPECTED = (Status.ACTIVE, Verdict.ACCEPT, Access.FULL)


def active() -> Life:
    return Life.begin(BOOK, "team")


def leaving() -> Life:
    life = active()
    life.do("delete", confirm=True)
    return life


def stands(life: Life) -> tuple[Status, Verdict, Access]:
    return life.status, life.verdict, life.standing.access


def test_segment_1_the_free_plan_stops_billing_and_keeps_workspace_and_data() -> None:
    life = active()
    with pytest.raises(Refused, match="--confirm"):
        life.do("downgrade")
    life.do("downgrade", confirm=True)
    assert (stands(life), life.account.plan, life.effects) == (EXPECTED, "free", ["set_plan", "stop_billing"])
    assert life.wait(3650).status is Status.ACTIVE


def test_segment_2_cycling_names_the_source_whose_keys_stop() -> None:
    decision = active().do("rotate_key", source="web")
    assert [(e.name, dict(e.arguments)) for e in decision.effects] == [("rotate_key", {"source": "web"})]
    with pytest.raises(Refused, match="source"):
        active().do("rotate_key")


def test_segment_3_a_deleted_workspace_is_removed_after_5_days() -> None:
    with pytest.raises(Refused, match="--confirm"):
        active().do("delete")
    life = leaving().just_before(5)
    assert life.status is Status.DELETION_SCHEDULED
    life.wait(1)
    assert (life.status, life.account.changed_at_us) == (Status.DELETED, START_US + 5 * DAY_US)
    assert "purge" in life.effects


def test_segment_4_it_can_be_revoked_and_all_goes_on_meanwhile() -> None:
    life = leaving()
    assert (life.verdict, life.standing.access) == (Verdict.ACCEPT, Access.FULL)
    life.just_before(5).do("revoke_deletion")
    assert (stands(life), life.account.plan, life.standing.until_us) == (EXPECTED, "team", None)
    with pytest.raises(Refused, match="final"):
        leaving().wait(5).do("revoke_deletion")


def test_segment_5_hits_are_kept_and_so_counted_on_every_way_but_deleted() -> None:
    kept = {status for status, rule in BOOK.statuses.items() if rule.verdict is Verdict.ACCEPT}
    assert kept == {Status.ACTIVE, Status.DELETION_SCHEDULED}


@pytest.mark.parametrize("command", ["downgrade", "delete", "revoke_deletion", "rotate_key"])
def test_segment_6_the_owner_does_all_of_it_alone(command: str) -> None:
    (row,) = BOOK.commands[command]
    assert [str(grant) for grant in row.by] == ["owner"]


def test_segment_7_the_free_plan_costs_nothing() -> None:
    life = active()
    plan, _ = life.do("downgrade", confirm=True).effects
    assert dict(plan.arguments) == {"plan": "free", "price": "0.00"}


def test_segment_8_nothing_is_cut_off_for_overage_on_any_plan() -> None:
    for plan in (None, "free", "team", "business"):
        life = Life.begin(BOOK, plan)
        life.do("payment_failed", Role.SYSTEM)
        assert stands(life.wait(3650)) == EXPECTED


def test_segment_10_other_sources_are_no_part_of_a_cycling() -> None:
    life = active()
    assert [life.do("rotate_key", source=name).effects[0].arguments["source"] for name in ("web", "ios")] == [
        "web", "ios",
    ]  # fmt: skip


def test_segment_11_deleting_needs_no_downgrade_and_a_renewal_waits() -> None:
    life = leaving()
    assert (life.account.plan, life.effects) == ("team", ["stop_billing"])
    life.do("revoke_deletion")
    assert life.effects == ["resume_billing"]


def test_segment_12_keys_are_cycled_within_the_5_days_too() -> None:
    life = leaving()
    deadline = life.account.deadline
    life.wait(2).do("rotate_key", source="web")
    assert (life.status, life.account.deadline) == (Status.DELETION_SCHEDULED, deadline)
