"""What payment providers told, on both ledgers: applied once, paid for the books, gone with the account."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select

from gating.account import Request
from gating.clock import Reading
from gating.ledger import Ledger, Who, tables
from gating.ledger.events import Received, State, pending, store
from gating.lifecycle import carry_out, due, open_account, standing
from gating.policy import load_rulebook
from gating.shelf import Shelf
from gating.status import DAY_US, Role, Status
from gating.webhooks.carry import apply
from gating.webhooks.event import read
from gating.webhooks.mapping import provider

START_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
WHO = Who("cli", Role.OPERATOR)
MONTH_SECONDS = 30 * 86_400


class Books:
    """An account under a rulebook, and a provider that tells of it."""

    def __init__(self, ledger: Ledger, rulebook: str) -> None:
        self.ledger, self.policy = ledger, load_rulebook(rulebook)
        decision = open_account(self.policy, "shop", None, START_US)
        with ledger.begin() as transaction:
            transaction.keep_rulebook(self.policy.digest, self.policy.name, self.policy.text)
            transaction.create_account(decision, standing(self.policy, decision.account), WHO)

    def do(self, command: str, at_us: int = START_US, **given: object) -> None:
        request = Request(command, Role.OPERATOR, "cli", **given)
        with self.ledger.begin() as transaction:
            for decision in carry_out(self.policy, transaction.account("shop").account, request, at_us):
                transaction.record(decision, standing(self.policy, decision.account), WHO)

    def sweep(self, at_us: int) -> None:
        """Record the deadlines that have come."""
        with self.ledger.begin() as transaction:
            for decision in due(self.policy, transaction.account("shop").account, at_us):
                transaction.record(decision, standing(self.policy, decision.account), WHO)

    def tell(self, event_id: str, type_: str, seconds: int, period: int, **fields: object) -> int:
        """Store an invoice's event; how many were new. seconds: after the start; period: which month it ends."""
        at = START_US // 1_000_000 + seconds
        invoice = {
            "id": f"in_{event_id}", "customer": "cus_1", "customer_email": "ana@example.org", "currency": "eur",
            "amount_paid": 1900, "subscription": "sub_1", "status_transitions": {"paid_at": at},
            "lines": {"data": [{"period": {"end": START_US // 1_000_000 + period * MONTH_SECONDS}}]},
            "metadata": {"account": "shop"}, **fields,
        }  # fmt: skip
        body = json.dumps({"id": event_id, "type": type_, "created": at, "data": {"object": invoice}}).encode()
        event = read(provider("stripe"), body)
        received = Received(
            "stripe", event.id, event.type, event.created_us, at * 1_000_000, event.account, event.customer, body
        )
        return self.ledger.note(lambda connection: store(connection, [received]))

    def applied(self, at_us: int) -> list[State]:
        """Apply what waits; the states it came to."""
        rows = self.ledger.look(lambda connection: pending(connection, 100))
        shelf, clocks = Shelf(self.ledger), Reading(at_us, "this boot", 0)
        return [
            self.ledger.change(lambda transaction, row=row: apply(transaction, shelf, row, lambda: clocks))[0]
            for row in rows
        ]

    @property
    def status(self) -> Status:
        return self.ledger.account("shop").account.status

    def rows(self, table: str) -> list[dict[str, object]]:
        wanted = select(tables.metadata.tables[table])
        return self.ledger.look(lambda connection: [dict(row._mapping) for row in connection.execute(wanted)])


@pytest.fixture
def books(ledger: Ledger) -> Callable[[str], Books]:
    return lambda rulebook: Books(ledger, rulebook)


def test_a_failed_payment_freezes_and_one_that_arrives_brings_back_what_was_before(books):
    shop = books("segmetrics")
    shop.do("subscribe", values={"plan": "pro", "payment": "p1"})
    assert shop.tell("evt_1", "invoice.payment_failed", 60, 1) == 1
    assert shop.applied(START_US + DAY_US) == [State.APPLIED]
    assert shop.status is Status.FROZEN
    assert shop.tell("evt_2", "invoice.paid", 3_600, 1) == 1
    assert shop.applied(START_US + DAY_US) == [State.APPLIED]
    assert shop.status is Status.ACTIVE


def test_an_event_that_comes_again_is_stored_and_applied_once(books):
    shop = books("segmetrics")
    shop.do("subscribe", values={"plan": "pro", "payment": "p1"})
    assert [shop.tell("evt_1", "invoice.payment_failed", 60, 1) for _ in range(3)] == [1, 0, 0]
    assert shop.applied(START_US + DAY_US) == [State.APPLIED]
    version = shop.ledger.head().version
    assert shop.applied(START_US + DAY_US) == []
    assert shop.ledger.head().version == version


def test_a_product_without_the_command_has_it_recorded_and_changes_nothing(books):
    """RULEBOOKS, all five, 6."""
    shop = books("default")
    shop.tell("evt_1", "invoice.payment_failed", 60, 1)
    assert shop.applied(START_US + DAY_US) == [State.IGNORED]
    assert shop.status is Status.ACTIVE
    assert "payment_failed" in shop.rows("webhook_events")[0]["why"]


def test_a_payment_is_kept_for_the_books_once_and_a_trials_nothing_is_none(books):
    shop = books("segmetrics")
    shop.do("subscribe", values={"plan": "pro", "payment": "p1"})
    shop.tell("evt_1", "invoice.paid", 60, 1)
    shop.tell("evt_2", "invoice.paid", 61, 1, id="in_evt_1")  # the same invoice, told by another event
    shop.tell("evt_3", "invoice.paid", 62, 1, amount_paid=0)
    shop.applied(START_US + DAY_US)
    (record,) = shop.rows("billing_records")
    assert (record["transaction_id"], record["amount"], record["currency"]) == ("in_evt_1", 1900, "EUR")
    assert record["email"] == "ana@example.org"


def test_with_the_receipt_all_that_providers_told_is_gone_but_the_payment(books):
    """I12; clickport 4."""
    shop = books("segmetrics")
    shop.do("subscribe", values={"plan": "pro", "payment": "p1"})
    shop.tell("evt_1", "invoice.paid", 60, 1)
    shop.applied(START_US + DAY_US)
    shop.do("cancel", START_US + 2 * DAY_US, reason="other")
    shop.tell("evt_2", "invoice.payment_failed", 3 * 86_400, 2)  # waits, unapplied
    deleted_us = START_US + 10 * DAY_US
    shop.sweep(deleted_us)
    assert shop.status is Status.DELETED
    given = shop.ledger.change(
        lambda transaction: transaction.give_receipt("shop", lambda *_: {"account": "shop"}, None, deleted_us)
    )
    assert given
    assert [shop.rows(name) for name in ("webhook_events", "webhook_customers", "webhook_subscriptions")] == [
        [],
        [],
        [],
    ]
    assert [record["transaction_id"] for record in shop.rows("billing_records")] == ["in_evt_1"]


def test_what_is_told_of_a_deleted_account_later_keeps_no_body(books):
    shop = books("segmetrics")
    shop.do("subscribe", values={"plan": "pro", "payment": "p1"})
    shop.do("cancel", reason="other")
    shop.sweep(START_US + 8 * DAY_US)
    shop.tell("evt_1", "invoice.paid", 9 * 86_400, 2)
    assert shop.applied(START_US + 9 * DAY_US) == [State.IGNORED]
    assert not shop.rows("webhook_events")[0]["body"]
    assert shop.rows("billing_records") == []
