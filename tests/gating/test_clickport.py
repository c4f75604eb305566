"""Clickport's promises, each a test named after it."""

import pytest

from gating.errors import Refused
from gating.lifecycle import allowed
from gating.policy import load_rulebook, parse_rulebook
from gating.status import DAY_US, Access, Role, Status, Verdict
from gating.times import parse_rfc3339, rfc3339
from tests.gating.life import START_US, Life

BOOK = load_rulebook("clickport")
SUPPORT = {"role": Role.SUPPORT, "on_behalf": "owner"}
END = "2026-03-20T00:00:00Z"


def active() -> Life:
    return Life.begin(BOOK)


def canceling() -> Life:
    life = active()
    life.do("cancel", period_end=END)
    return life


def suspended() -> Life:
    life = active()
    life.do("suspend", Role.OPERATOR, reason="abuse")
    return life


def requested(life: Life | None = None) -> Life:
    life = life or active()
    life.do("request_deletion", confirm=True)
    return life


def answered() -> Life:
    life = requested()
    life.do("answer", Role.SUPPORT)
    return life


def deleted() -> Life:
    life = answered()
    life.do("confirm_deletion", **SUPPORT, reply="yes, erase it")
    return life


def stands(life: Life) -> tuple[Verdict, Access, int | None]:
    return life.verdict, life.standing.access, life.standing.until_us


def test_clickport_1_a_request_signs_out_and_tells_both_and_destroys_nothing() -> None:
    with pytest.raises(Refused, match="--confirm"):
        active().do("request_deletion", note="bye")
    life = requested()
    told = [effect.arguments["whom"] for effect in life.decisions[-1].effects if effect.name == "notify"]
    assert (life.effects, told) == (["revoke_sessions", "notify", "notify"], ["operators", "asker"])
    assert life.standing.access is Access.FULL


def test_clickport_2_an_answer_is_owed_in_a_business_day_and_until_confirmed_it_is_withdrawn() -> None:
    assert requested().account.due_us is not None
    assert answered().account.due_us is None
    for life, who in ((requested(), {}), (answered(), SUPPORT)):
        life.wait(100).do("withdraw", **who)
        assert life.status is Status.ACTIVE
    with pytest.raises(Refused, match="final"):
        deleted().do("withdraw")


def test_clickport_3_on_confirmation_all_is_purged_and_hits_are_dropped() -> None:
    life = deleted()
    assert (life.status, life.verdict, life.standing.final) == (Status.DELETED, Verdict.DROP, True)
    assert life.effects == ["stop_billing", "purge", "backups_due", "receipt"]


def test_clickport_4_the_purge_keeps_billing_records_7_years() -> None:
    assert deleted().decisions[-1].effects[1].arguments == {"keep_billing_years": 7}


def test_clickport_5_backups_go_after_30_days_and_a_restore_is_refused_after_24_hours() -> None:
    life = deleted()
    assert life.decisions[-1].effects[2].arguments == {"at_us": life.now_us + 30 * DAY_US}
    with pytest.raises(Refused, match="the time for it, 1d from deleted_at, has passed"):
        life.wait(1).do("restore_backup", Role.OPERATOR, on_behalf="owner")


def test_clickport_6_the_dialogue_tells_of_export_and_invoice_and_the_processing_stops_billing() -> None:
    (row,) = BOOK.commands["request_deletion"]
    assert all(word in (row.advice or "") for word in ("CSV", "PDF", "final invoice"))
    assert "stop_billing" not in requested().effects
    assert "stop_billing" in deleted().effects


@pytest.mark.parametrize("plan", [None, "free", "pro"])
def test_clickport_7_a_request_can_be_made_in_every_status_but_deleted(plan: str | None) -> None:
    for life in (Life.begin(BOOK, plan), canceling(), canceling().wait(30), suspended()):
        assert requested(life).status is Status.DELETION_REQUESTED
    with pytest.raises(Refused, match="final"):
        requested(deleted())


def test_clickport_8_no_deadline_or_silence_ever_deletes() -> None:
    for rule in BOOK.statuses.values():
        assert rule.deadline is None or rule.deadline.then is not Status.DELETED
    for life in (requested(), answered(), requested(canceling()), requested(suspended())):
        assert life.wait(3650).status is Status.DELETION_REQUESTED


def test_clickport_9_confirming_without_a_recorded_answer_or_a_reply_is_refused() -> None:
    for role in (Role.SUPPORT, Role.OPERATOR):
        with pytest.raises(Refused, match="an answer to the account's request, recorded"):
            requested().do("confirm_deletion", role, on_behalf="owner", reply="yes")
        with pytest.raises(Refused, match="reply"):
            answered().do("confirm_deletion", role, on_behalf="owner")
        with pytest.raises(Refused, match="--for owner"):
            answered().do("confirm_deletion", role, reply="yes")


@pytest.mark.parametrize("make", [active, canceling, lambda: canceling().wait(30), suspended])
def test_clickport_10_all_stands_as_before_the_request_and_comes_back(make: object) -> None:
    life = make()  # type: ignore[operator]
    before, status = stands(life), life.status
    requested(life)
    assert stands(life) == before
    life.do("withdraw")
    assert (life.status, stands(life)) == (status, before)


def test_clickport_10_what_lies_beneath_runs_on() -> None:
    life = requested(canceling()).wait(30)
    assert (life.status, life.account.beneath) == (Status.DELETION_REQUESTED, (Status.CANCELED,))
    assert (life.verdict, life.standing.access) == (Verdict.DROP, Access.EXPORT)


def test_clickport_11_nothing_a_person_wrote_stands_in_the_account() -> None:
    life = active()
    life.do("request_deletion", confirm=True, note="Ana leaves", actor="u-1")
    assert "Ana" not in life.account.to_json()


@pytest.mark.parametrize("years", [7, 10])
def test_clickport_13_the_term_of_billing_records_is_a_setting(years: int) -> None:
    text = BOOK.text.replace("keep_billing_years = 7", f"keep_billing_years = {years}")
    (row,) = parse_rulebook(text, "clickport").commands["confirm_deletion"]
    (purge,) = [effect for effect in row.effects if effect.name == "purge"]
    assert purge.arguments == {"keep_billing_years": years}


def test_clickport_14_the_sign_out_touches_no_key() -> None:
    life = requested()
    assert "rotate_key" not in life.effects
    assert life.verdict is Verdict.ACCEPT


def test_clickport_15_a_restore_makes_a_new_account_and_the_old_id_stays_deleted() -> None:
    life = deleted().just_before(1)
    decision = life.do("restore_backup", Role.OPERATOR, on_behalf="owner")
    assert ([effect.name for effect in decision.effects], life.status) == (["new_account"], Status.DELETED)
    assert allowed(BOOK, life.account) in ((), ("restore_backup",))


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ("2026-03-04T09:30:00Z", "2026-03-05T09:30:00Z"),
        ("2026-03-06T09:30:00Z", "2026-03-09T09:30:00Z"),
        ("2026-03-07T09:30:00Z", "2026-03-09T23:00:00Z"),  # Saturday: from Monday 00:00 in Berlin
        ("2026-03-27T09:30:00Z", "2026-03-30T08:30:00Z"),  # the clocks go forward on the Sunday between
        ("2026-10-23T09:30:00Z", "2026-10-26T10:30:00Z"),  # and back
        ("2026-04-02T09:30:00Z", "2026-04-07T09:30:00Z"),  # Good Friday to Easter Monday
        ("2026-04-03T09:30:00Z", "2026-04-07T22:00:00Z"),
        ("2026-03-08T23:30:00Z", "2026-03-09T23:30:00Z"),  # Monday already in Berlin, so by Tuesday
    ],
)
def test_clickport_16_one_business_day_by_the_operators_clock(asked: str, due: str) -> None:
    life = requested(Life.begin(BOOK, now_us=parse_rfc3339(asked)))
    assert rfc3339(life.account.due_us or 0)[:16] == due[:16]


def test_clickport_17_a_subscription_is_cancelled_on_its_own() -> None:
    life = canceling()
    (effect,) = life.decisions[-1].effects
    assert (effect.name, effect.arguments) == ("stop_billing", {"at_us": parse_rfc3339(END)})
    assert stands(life) == (Verdict.ACCEPT, Access.FULL, START_US + 19 * DAY_US)
    life.wait(19)
    assert (life.status, *stands(life)) == (Status.CANCELED, Verdict.DROP, Access.EXPORT, None)
    assert life.wait(3650).status is Status.CANCELED
    with pytest.raises(Refused, match="payment"):
        life.do("subscribe")
    life.do("subscribe", payment="p1")
    assert (life.status, life.effects) == (Status.ACTIVE, ["resume_billing"])
    back = canceling()
    back.do("subscribe")
    assert back.status is Status.ACTIVE
