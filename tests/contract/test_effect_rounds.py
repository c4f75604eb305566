"""Rounds through what is owed: each account's oldest first, one at a time, whatever waits; on either ledger."""

import pytest
from sqlalchemy import text

from gating.effects.rounds import LOOK_ROWS, Rounds
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name

KINDS = ("stop_integrations", "resync", "notify")
NOW = 10**15


@pytest.fixture
def rounds(ledger):
    return Rounds(ledger.effects, KINDS)


def owe(desk, account, *commands):
    desk.open(account)
    for command in commands:
        desk.do(command, account)


def kinds(effects):
    return [(effect.account, effect.kind) for effect in effects]


def whole(rounds, **options):
    """A whole round."""
    found = []
    while True:
        found += rounds.look(NOW, **{"limit": 100, **options})
        if rounds.is_over:
            return found


def test_each_account_has_its_oldest_effect_tried_and_no_other(desk, rounds, ledger):
    owe(desk, "a", "pause", "resume")
    owe(desk, "b", "pause")
    assert kinds(whole(rounds)) == [("a", "stop_integrations"), ("b", "stop_integrations")]
    ledger.effects.done([effect.id for effect in whole(rounds)])
    assert kinds(whole(rounds)) == [("a", "resync")]


def test_what_failed_holds_up_its_accounts_later_effects_and_nobody_elses(desk, rounds, ledger):
    owe(desk, "a", "pause", "resume")
    owe(desk, "b", "pause")
    first = whole(rounds)[0]
    ledger.effects.failed(first, NOW, NOW + 1, "no answer")
    assert kinds(whole(rounds)) == [("b", "stop_integrations")]
    assert kinds(Rounds(ledger.effects, KINDS).look(NOW + 1, limit=9)) == [
        ("a", "stop_integrations"), ("b", "stop_integrations"),
    ]  # fmt: skip


def test_what_waits_for_its_own_moment_holds_nothing_up(desk, rounds, ledger):
    owe(desk, "a", "pause", "resume")
    ledger.effects.defer(whole(rounds)[0].id, NOW + 1)
    assert kinds(whole(rounds)) == [("a", "resync")]


def test_an_account_whose_effect_is_under_way_is_left_out_with_all_it_is_owed(desk, rounds):
    owe(desk, "a", "pause", "resume")
    owe(desk, "b", "pause")
    assert kinds(whole(rounds, without=["a"])) == [("b", "stop_integrations")]


def test_a_look_that_found_enough_goes_on_where_it_stopped(desk, rounds):
    for account in "abc":
        owe(desk, account, "pause")
    assert [kinds(rounds.look(NOW, limit=1)) for _ in range(3)] == [[(a, "stop_integrations")] for a in "abc"]
    assert rounds.look(NOW, limit=1) == []
    assert rounds.is_over


def test_a_look_reads_no_more_than_its_share_however_much_waits(desk, rounds, ledger):
    """Else every commit would wait for the look."""
    owe(desk, "a", "pause")
    waiting = 2 * LOOK_ROWS
    with ledger.begin() as transaction:
        transaction.connection.execute(
            text("INSERT INTO outbox (id, account, at_us, kind, payload) VALUES (:id, 'a', 1, 'notify', :payload)"),
            [{"id": 10**9 + n, "payload": b"{}"} for n in range(waiting)],
        )
        transaction.connection.execute(
            text("INSERT INTO effect_tries (id, tries, first_at_us, next_at_us) VALUES (:id, 0, 1, :later)"),
            [{"id": 10**9 + n, "later": NOW + 1} for n in range(waiting)],
        )
    assert kinds(rounds.look(NOW, limit=9)) == [("a", "stop_integrations")]
    assert not rounds.is_over
    assert whole(rounds) == []


def test_effects_are_found_by_their_own_index_among_changes_that_wait(desk, ledger):
    """A million changes that no relay has carried yet cost a look nothing."""
    owe(desk, "a", "pause")

    def analyzed(connection):
        connection.execute(
            text("INSERT INTO outbox (id, account, at_us, kind, payload) VALUES (:id, 'a', 1, 'change', :payload)"),
            [{"id": 10**9 + n, "payload": b"{}"} for n in range(20_000)],
        )
        connection.execute(text("ANALYZE"))

    def plan(connection):
        words = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        wanted = "SELECT * FROM outbox WHERE outbox.kind <> 'change' AND outbox.id > 0 ORDER BY outbox.id LIMIT 9"
        return "\n".join(str(row) for row in connection.execute(text(words + wanted)))

    ledger.note(analyzed)
    assert "ix_outbox_effects" in ledger.look(plan)
