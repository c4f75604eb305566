"""What every form of the ledger promises, whatever engine lies beneath it; keys stand in `test_ledger_keys.py`."""

import pytest

from gating.errors import AlreadyExists, InputInvalid, NotFound, Refused, Unreachable
from gating.feed import StatusChange
from gating.ledger import CHANGE, KeyEdit, Ledger, Who
from gating.lifecycle import active, due, standing
from gating.status import DAY_US, SECOND_US, Role, Status, Verdict
from tests.gating.ledger.desk import OPERATOR, POLICY, START_US, Desk

ACCEPT, HIDE, DROP = Verdict.ACCEPT, Verdict.HIDE, Verdict.DROP


# ---- changes -------------------------------------------------------------------------------------------------------


def test_each_change_takes_the_next_version_across_accounts(ledger, desk):
    versions = [desk.open("a").version, desk.open("b").version, desk.do("pause", "a").version]
    assert versions == [1, 2, 3]
    assert ledger.head().version == 3


def test_a_change_moves_account_history_gate_and_outbox_under_one_version(ledger, desk):
    desk.open()
    desk.later(SECOND_US)
    change = desk.do("pause", details={"reason": "holiday"})
    row = ledger.account("shop")
    assert (row.version, row.status, row.verdict, row.account.version) == (2, Status.PAUSED, HIDE, 2)
    newest = ledger.history("shop")[-1]
    assert (newest.version, newest.command, newest.from_status, newest.to_status) == (2, "pause", "ACTIVE", "PAUSED")
    assert (newest.actor, newest.role, newest.at_us) == ("cli", "operator", START_US + SECOND_US)
    assert (newest.effects, newest.details) == (("stop_integrations",), {"reason": "holiday"})
    assert ledger.changes_since(1) == [change]
    assert [(row.version, row.kind) for row in ledger.outbox() if row.version == 2] == [
        (2, CHANGE),
        (2, "stop_integrations"),
    ]
    assert StatusChange.decode(ledger.outbox(kind=CHANGE)[-1].payload) == change


def test_a_transaction_that_fails_changes_nothing(ledger, desk):
    desk.open()

    def create_and_fail():
        with ledger.begin() as transaction:
            desk.open_in(transaction, "other")
            raise LookupError

    with pytest.raises(LookupError):
        create_and_fail()
    assert ledger.head().version == 1
    assert [row.id for row in ledger.accounts()] == ["shop"]
    assert len(ledger.outbox()) == 1


def test_a_refusal_inside_a_transaction_leaves_the_rest_of_it_good(ledger, desk):
    desk.open()
    with ledger.begin() as transaction:
        decision = desk.decision(transaction.account("shop").account, "pause")
        stands = standing(POLICY, decision.account)
        with pytest.raises(NotFound):
            transaction.record(decision, stands, OPERATOR, keys=KeyEdit(revoke={"nobodys": START_US}))
        assert transaction.account("shop").status is Status.ACTIVE
        desk.open_in(transaction, "other")
    assert ledger.head().version == 2


def test_a_decision_made_on_an_older_account_is_refused(ledger, desk):
    desk.open()
    stale = ledger.account("shop").account
    desk.do("pause")
    decision = desk.decision(stale, "cancel")
    with pytest.raises(Refused, match="version 2"), ledger.begin() as transaction:
        transaction.record(decision, standing(POLICY, decision.account), OPERATOR)


def test_a_decision_that_changes_nothing_is_not_recorded(ledger, desk):
    desk.open()
    desk.do("pause")
    with pytest.raises(ValueError, match="changes nothing"):
        desk.do("pause")
    assert ledger.head().version == 2


def test_ids_are_never_given_again(ledger, desk):
    """I8"""
    desk.open()
    with pytest.raises(AlreadyExists):
        desk.open()
    with ledger.begin() as transaction:
        desk.open_in(transaction, "twice")
        with pytest.raises(AlreadyExists):
            desk.open_in(transaction, "twice")


@pytest.mark.parametrize("account", ["", "-x", "a/b", "a b", "a" * 65, "ä", "..", ".hidden", "a\n"])
def test_an_id_that_cannot_stand_in_a_path_is_refused(desk, account):
    with pytest.raises(InputInvalid):
        desk.open(account)


def test_a_deleted_account_is_a_tombstone_that_nothing_changes(ledger, desk):
    """I8"""
    first = desk.open().keys[0].write_key
    desk.do("cancel")
    paused = ledger.account("shop").account
    desk.later(30 * DAY_US)
    (lapse,) = desk.sweep()
    assert lapse.final
    assert lapse.status is Status.DELETED
    for change in (desk.add_key, desk.rotate_key, lambda: desk.revoke_key(first)):
        with pytest.raises(Refused):
            change()
    decision = Desk(ledger).decision(paused, "reactivate")
    with pytest.raises(Refused), ledger.begin() as transaction:
        transaction.record(decision, standing(POLICY, decision.account), OPERATOR)
    with pytest.raises(AlreadyExists):
        desk.open()


# ---- deadlines -----------------------------------------------------------------------------------------------------


def test_deadlines_that_came_become_durable_in_one_transaction_each_with_its_version_and_moment(ledger, desk):
    for n, account in enumerate(("c", "a", "b")):
        desk.open(account)
        desk.now_us = START_US + n * DAY_US
        desk.do("cancel", account)
    assert ledger.next_deadline_us() == START_US + 30 * DAY_US
    desk.now_us = START_US + 31 * DAY_US
    assert [come.id for come in ledger.come(desk.now_us)] == ["c", "a"]
    changes = desk.sweep()
    assert [(c.account, c.version, c.at_us - START_US) for c in changes] == [
        ("c", 7, 30 * DAY_US),
        ("a", 8, 31 * DAY_US),
    ]
    assert [come.id for come in ledger.come(desk.now_us)] == []
    assert ledger.history("a")[-1].command == "lapse"


def test_several_decisions_about_one_account_fit_one_transaction(ledger, desk):
    desk.open()
    with ledger.begin() as transaction:
        for command in ("pause", "resume", "cancel"):
            decision = desk.decision(transaction.account("shop").account, command)
            transaction.record(decision, standing(POLICY, decision.account), OPERATOR)
        desk.later(30 * DAY_US)
        decisions = due(POLICY, transaction.account("shop").account, desk.now_us)
        transaction.record(decisions[0], standing(POLICY, decisions[0].account), OPERATOR)
    assert [row.command for row in ledger.history("shop")] == ["create", "pause", "resume", "cancel", "lapse"]
    assert len(ledger.changes_since(0)) == 1


def test_activity_is_kept_without_a_change(ledger, desk):
    desk.open()
    account = active(POLICY, ledger.account("shop").account, START_US + DAY_US)
    with ledger.begin() as transaction:
        transaction.note_activity(account)
    assert ledger.account("shop").account.anchors["last_activity"] == START_US + DAY_US
    assert ledger.head().version == 1
    desk.later(DAY_US)
    desk.do("pause")
    assert ledger.account("shop").account.anchors["last_activity"] == START_US + DAY_US
    with pytest.raises(Refused), ledger.begin() as transaction:
        transaction.note_activity(account)


# ---- revealing -----------------------------------------------------------------------------------------------------


def test_hidden_events_are_revealed_by_a_change_into_an_accept_status_alone(ledger, desk):
    """DESIGN 8: cancelling out of a pause does not show them; reactivating does; a change of keys never."""
    desk.open()
    steps = [("pause", 1), ("cancel", 1), ("reactivate", 4), ("pause", 4), ("resume", 6)]
    for command, revealed in steps:
        desk.do(command)
        assert ledger.revealed_version("shop") == revealed, command
    desk.add_key()
    assert ledger.revealed_version("shop") == 6
    with pytest.raises(NotFound):
        ledger.revealed_version("nobody")


# ---- reading -------------------------------------------------------------------------------------------------------


def test_changes_since_gives_each_accounts_newest_change_by_version_in_pages(ledger, desk):
    with ledger.begin() as transaction:
        for n in range(7):
            desk.open_in(transaction, f"a{n}")
    desk.do("pause", "a2")
    seen, version = [], 0
    while page := ledger.changes_since(version, 3):
        seen += page
        version = page[-1].version
    assert [(c.account, c.version) for c in seen] == [
        ("a0", 1), ("a1", 2), ("a3", 4), ("a4", 5), ("a5", 6), ("a6", 7), ("a2", 8),
    ]  # fmt: skip


def test_accounts_can_be_listed_by_status_and_rulebook(ledger, desk):
    for account in ("b", "a", "c"):
        desk.open(account)
    desk.do("pause", "a")
    assert [row.id for row in ledger.accounts()] == ["a", "b", "c"]
    assert [row.id for row in ledger.accounts(status=Status.PAUSED)] == ["a"]
    assert [row.id for row in ledger.accounts(Status.ACTIVE, "default")] == ["b", "c"]
    assert list(ledger.accounts(rulebook="other")) == []


def test_accounts_are_listed_by_the_bytes_of_their_ids_page_by_page(ledger, desk, monkeypatch):
    """Whatever the database's locale sorts by: else a page would begin where another ended."""
    monkeypatch.setattr("gating.ledger.ledger.PAGE_ROWS", 3)
    ids = ["b", "A", "a", "B", "a.b", "a-b", "a_b", "ab", "aB", "Z", "0", "z9"]
    for account in ids:
        desk.open(account)
    assert [row.id for row in ledger.accounts()] == sorted(ids, key=str.encode)
    for account in ids:
        desk.do("cancel", account)
    assert [come.id for come in ledger.come(desk.now_us + 31 * DAY_US)] == sorted(ids, key=str.encode)


UNSTORABLE = ["a\0b", "\0", "half\ud800"]


@pytest.mark.parametrize("text", UNSTORABLE)
def test_what_is_asked_for_by_a_text_that_no_row_can_hold_is_not_there(ledger, desk, text):
    desk.open()
    for ask in (ledger.account, ledger.keys, ledger.history, ledger.revealed_version):
        with pytest.raises(NotFound):
            ask(text)
    assert ledger.account_of_key(text) is None
    assert ledger.timeline(text) is None
    assert ledger.details(text) == {}
    assert list(ledger.accounts(rulebook=text)) == []
    with ledger.begin() as transaction:
        assert transaction.find(text) is None
        with pytest.raises(NotFound):
            transaction.keys(text)


@pytest.mark.parametrize("text", UNSTORABLE)
def test_a_text_that_cannot_be_stored_is_refused_and_the_transaction_stays_good(ledger, desk, text):
    desk.open()
    with ledger.begin() as transaction:
        for given in ({"owner": text}, {"name": text}, {"source": text}, {"write_key": text}, {"details": {"n": text}}):
            with pytest.raises(InputInvalid):
                desk.open_in(transaction, "other", **given)
        with pytest.raises(InputInvalid):
            transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR, source=text)
        with pytest.raises(InputInvalid):
            desk.open_in(transaction, text)
        desk.open_in(transaction, "other")
    assert [row.id for row in ledger.accounts()] == ["other", "shop"]
    with pytest.raises(InputInvalid):
        desk.do("pause", details={"note": text})
    assert ledger.head().version == 2


def test_all_of_unicode_but_nul_comes_back_as_it_was_given(ledger, desk):
    text = "".join(map(chr, range(1, 0x300))) + "\u2028\ufffd\U0001f600\U0010ffff"
    desk.open(name=text)
    assert ledger.details("shop") == {"name": text}


def test_what_is_not_there_is_not_found(ledger):
    for ask in (ledger.account, ledger.keys, ledger.history, ledger.revealed_version):
        with pytest.raises(NotFound):
            ask("nobody")
    assert ledger.account_of_key("unknown") is None
    assert ledger.timeline("unknown") is None
    assert ledger.details("nobody") == {}


def test_what_is_owed_stays_until_it_is_delivered(ledger, desk):
    desk.open()
    desk.do("pause")
    changes = ledger.outbox(kind=CHANGE)
    assert [row.version for row in changes] == [1, 2]
    assert ledger.delivered(CHANGE, changes[0].id) == 1
    assert ledger.delivered(CHANGE, changes[0].id) == 0
    assert [(row.version, row.kind) for row in ledger.outbox()] == [(2, CHANGE), (2, "stop_integrations")]
    assert ledger.outbox(after=changes[1].id, kind=CHANGE) == []


# ---- people --------------------------------------------------------------------------------------------------------


def test_the_history_holds_ids_and_people_lie_beside_it(ledger, desk):
    """RULEBOOKS, all five 9"""
    desk.open(owner="ana@example.org", name="Ana's shop", source="www")
    desk.do("pause", details={"note": "call her"}, who=Who("token-7", Role.SUPPORT, "owner:ana@example.org"))
    row = ledger.history("shop")[-1]
    assert (row.actor, row.role, row.on_behalf) == ("token-7", "support", "owner")
    assert row.details == {"note": "call her", "on_behalf": "ana@example.org"}
    with pytest.raises(InputInvalid):
        desk.do("resume", who=Who("ana@example.org", Role.OWNER))
    with pytest.raises(InputInvalid):
        desk.do("resume", details={"note": "x" * 10_001})
    assert ledger.details("shop")["owner"] == "ana@example.org"


def test_erased_details_are_gone_and_the_history_stays(ledger, desk):
    """I12"""
    desk.open(owner="ana@example.org", name="Ana's shop", source="www.ana.example")
    desk.open("other", owner="bo@example.org")
    desk.do("pause", details={"reason": "tired"})
    with ledger.begin() as transaction:
        assert transaction.erase_details("shop") == 4
        assert transaction.keys("shop")[0].source is None
    assert ledger.details("shop") == {}
    assert [row.details for row in ledger.history("shop")] == [{}, {}]
    assert ledger.keys("shop")[0].source is None
    assert ledger.details("other") == {"owner": "bo@example.org"}


# ---- the lead ------------------------------------------------------------------------------------------------------


def test_one_term_runs_at_a_time_and_numbers_only_grow(ledger):
    first = ledger.take_term("a", 1_000, 500, "boot")
    assert (first.number, first.until_boot_ns) == (1, 1_500)
    assert ledger.take_term("b", 1_499, 500, "boot") is None
    assert ledger.renew_term(1, 1_600)
    assert ledger.renew_term(1, 1_550)
    assert ledger.lead().until_boot_ns == 1_600  # an end that was promised is never taken back
    assert ledger.take_term("b", 1_599, 500, "boot") is None
    second = ledger.take_term("b", 1_600, 500, "boot")
    assert second.number == 2
    assert not ledger.renew_term(1, 9_000)
    assert not ledger.release_term(1)
    assert ledger.release_term(2)
    assert ledger.take_term("a", 1_601, 500, "boot").number == 3
    assert ledger.take_term("b", 1, 500, "next boot").number == 4


def test_only_the_newest_term_records_what_is_enforced_and_it_never_goes_back(ledger):
    ledger.take_term("a", 0, 10, "boot")
    assert ledger.record_enforced(1, 7)
    assert ledger.record_enforced(1, 5)
    assert ledger.lead().enforced_version == 7
    ledger.take_term("b", 10, 10, "boot")
    assert not ledger.record_enforced(1, 9)
    assert ledger.record_enforced(2, 8)
    assert (ledger.lead().enforced_version, ledger.lead().enforced_term) == (8, 2)


def test_a_new_epoch_is_drawn_for_a_restored_ledger(ledger, desk):
    desk.open()
    before = ledger.head()
    with ledger.begin() as transaction:
        epoch = transaction.new_epoch()
    assert epoch != before.epoch
    assert ledger.head().epoch == epoch
    assert ledger.head().version == 1


def test_a_ledger_exists_once_it_was_made(url):
    assert not Ledger.exists(url)
    Ledger.open(url).close()
    assert Ledger.exists(url)


def test_a_reader_makes_nothing_and_writes_nothing(url):
    with pytest.raises(Unreachable):
        Ledger.open_reading(url)
    assert not Ledger.exists(url)
    with Ledger.open(url) as ledger:
        Desk(ledger).open()
    with Ledger.open_reading(url) as reader:
        reader.await_writers()
        assert reader.head().version == 1
        for write in (lambda: Desk(reader).open("other"), lambda: reader.take_term("a", 0, 1, "boot")):
            with pytest.raises(Unreachable):
                write()
        assert reader.head().version == 1


def test_how_far_was_relayed_never_goes_back(ledger):
    assert ledger.relayed.version("redis") == 0
    for version in (4, 9, 7):
        ledger.relayed.note("redis", version)
    assert (ledger.relayed.version("redis"), ledger.relayed.version("kafka")) == (9, 0)


def test_a_term_is_succeeded_only_while_it_stands_still(ledger):
    ledger.take_term("a", 1_000, 500, "boot")
    seen = ledger.lead()
    ledger.renew_term(1, 2_000)
    assert ledger.succeed(seen, "b") is None
    assert ledger.succeed(ledger.lead(), "b") == 2
    assert (ledger.lead().term, ledger.lead().holder) == (2, "b")
    assert not ledger.renew_term(1, 9_000)
