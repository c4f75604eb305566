"""From storing to the account: whatever order a subscription's events come in, and however often, on both ledgers."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gating.account import Request
from gating.clock import Reading
from gating.ledger import Ledger, Who
from gating.ledger.events import Received, pending, store
from gating.lifecycle import carry_out, open_account, standing
from gating.policy import load_rulebook
from gating.shelf import Shelf
from gating.status import DAY_US, SECOND_US, Role
from gating.webhooks.carry import apply
from gating.webhooks.event import read
from gating.webhooks.mapping import provider
from tests.gating.webhooks import payloads

START_US = 1_772_366_400_000_000  # 2026-03-01T12:00:00Z
START = START_US // SECOND_US
NOW = Reading(START_US + DAY_US, "this boot", 0)
WHO = Who("tests", Role.OPERATOR)


def stripe(number, what, at, period):
    event, given = f"evt_{number}", {"created": START + at, "period_end": START + period * payloads.MONTH}
    if what in ("paid", "payment_failed"):
        return payloads.stripe_invoice(event, f"invoice.{what}", account="ACCOUNT", **given)
    return payloads.stripe_subscription(event, f"customer.subscription.{what}", account="ACCOUNT", **given)


def paddle(number, what, at, period):
    event, given = f"evt_{number}", {"created": START + at, "period_end": START + period * payloads.MONTH}
    names = {"paid": "transaction.completed", "payment_failed": "transaction.payment_failed"}
    if what in names:
        return payloads.paddle_transaction(event, names[what], account="ACCOUNT", **given)
    type_, status = {"deleted": ("canceled", "canceled"), "paused": ("paused", "paused")}.get(what, (what, "active"))
    return payloads.paddle_subscription(event, f"subscription.{type_}", account="ACCOUNT", status=status, **given)


BUILT = {"stripe": stripe, "paddle": paddle}
MONEY = ("paid", "payment_failed", "updated")
LIFE = ("paused", "resumed", "updated")
"""Not `deleted`: its return (`subscribe`) needs what came before it, as docs/billing.md says."""


def histories(kinds):
    """Events of one subscription, each at a second of its own, and an order with repetitions they come in."""
    events = st.lists(st.tuples(st.sampled_from(kinds), st.integers(1, 6)), min_size=1, max_size=7)
    told = events.map(lambda found: [(what, (at + 1) * 60, period) for at, (what, period) in enumerate(found)])
    return told.flatmap(lambda facts: st.tuples(st.just(facts), st.permutations([*facts, *facts[: len(facts) // 2]])))


class House:
    """One ledger for all examples: every example has two accounts of its own."""

    def __init__(self, ledger):
        self.ledger, self.shelf, self.count = ledger, Shelf(ledger), 0

    def account(self, rulebook):
        self.count += 1
        account, policy = f"shop-{self.count}", load_rulebook(rulebook)
        decision = open_account(policy, account, None, START_US)
        with self.ledger.begin() as transaction:
            transaction.keep_rulebook(policy.digest, policy.name, policy.text)
            transaction.create_account(decision, standing(policy, decision.account), WHO)
            if rulebook == "segmetrics":
                request = Request("subscribe", Role.OPERATOR, "tests", values={"plan": "pro", "payment": "p1"})
                for step in carry_out(policy, transaction.account(account).account, request, START_US):
                    transaction.record(step, standing(policy, step.account), WHO)
        return account

    def tell(self, account, name, told):
        """Store and apply one event after the other, as they come."""
        numbers = {fact: number for number, fact in enumerate(sorted(set(told)))}
        for fact in told:
            body = BUILT[name](numbers[fact], *fact)
            body = body.replace(b"ACCOUNT", account.encode()).replace(b'"evt_', f'"evt_{account}_'.encode())
            event = read(provider(name), body)
            received = Received(
                name, event.id, event.type, event.created_us, event.created_us, event.account, event.customer, body
            )  # fmt: skip
            self.ledger.note(lambda connection, one=received: store(connection, [one]))
            for row in self.ledger.look(lambda connection: pending(connection, 10)):
                self.ledger.change(lambda transaction, one=row: apply(transaction, self.shelf, one, lambda: NOW))

    def stands(self, account):
        """All that the order must not change: not when it came about, nor how many steps that took."""
        row = self.ledger.account(account)
        state = json.loads(row.account.to_json())
        layers = [layer["status"] for layer in state["layers"]]
        return row.status, row.verdict, row.access, row.account.plan, layers, state["anchors"].get("period_end")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def house(request, tmp_path_factory):
    from gating.ledger import sqlite_url

    if request.param == "postgres":
        url = request.getfixturevalue("postgres_server").database()
    else:
        url = sqlite_url(tmp_path_factory.mktemp("house") / "ledger.sqlite")
    with Ledger.open(url) as ledger:
        yield House(ledger)


@pytest.mark.parametrize("name", ["stripe", "paddle"])
@pytest.mark.parametrize(("rulebook", "kinds"), [("segmetrics", MONEY), ("default", LIFE)])
def test_any_order_and_repetition_of_its_events_leaves_the_account_as_the_right_order_does(
    house, name, rulebook, kinds
):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories(kinds))
    def holds(history):
        facts, shuffled = history
        right, other = house.account(rulebook), house.account(rulebook)
        house.tell(right, name, facts)
        house.tell(other, name, shuffled)
        assert house.stands(other) == house.stands(right)

    holds()
