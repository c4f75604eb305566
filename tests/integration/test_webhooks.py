"""Billing webhooks over HTTP, at a real gating process, on both ledgers: what each tells is what the account becomes.

Bodies are built and signed as the providers' documents say (`payloads.py`). One process serves the whole file: every
test has an account of its own.
"""

import http.client
import json
import threading
import time

import pytest

from gating.webhooks.receive import BODY_BYTES_MAX
from gating.webhooks.signature import TOLERANCE_SECONDS
from tests.eventually import eventually
from tests.gating.webhooks import payloads
from tests.gating.webhooks.door import PADDLE, STRIPE, STRIPE_OLD, Door, fresh, later, signed
from tests.gating.webhooks.payloads import BASIL, MONTH, OLD
from tests.servers import RedisServer

SHAPES = pytest.mark.parametrize("version", [OLD, BASIL])


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def door(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    settings, redis = {}, None
    if request.param == "postgres":
        redis = RedisServer(folder / "redis")
        redis.start()
        url = request.getfixturevalue("postgres_server").database()
        settings = {"database_url": url, "redis_url": redis.url}
    door = Door(folder, **settings).start()
    yield door
    door.kill()
    if redis is not None:
        redis.stop()


def subscribed(door, rulebook="segmetrics"):
    """An account that pays."""
    account = door.account(rulebook, **({} if rulebook == "segmetrics" else {"plan": "pro"}))
    given = {"plan": "pro", "payment": "p1"}
    door.gateway.do(account, "subscribe", values=given)
    assert door.status(account) == "ACTIVE"
    return account


# ---- Stripe: each mapped type ----------------------------------------------------------------------------------------


@SHAPES
def test_a_stripe_invoice_that_fails_freezes_the_account_and_one_paid_brings_it_back(door, version):
    account, one, two = subscribed(door), fresh(), fresh()
    at = later()
    given = {"account": account, "period_end": at + MONTH, "version": version}
    failed = payloads.stripe_invoice(one, "invoice.payment_failed", created=at, **given)
    assert door.told("stripe", failed, one)["state"] == "applied"
    assert door.status(account) == "FROZEN"
    paid = payloads.stripe_invoice(two, "invoice.paid", created=at + 60, **given)
    row = door.told("stripe", paid, two)
    assert (row["state"], row["account"], door.status(account)) == ("applied", account, "ACTIVE")


@SHAPES
def test_a_stripe_subscription_that_is_updated_moves_the_periods_end_on_and_never_back(door, version):
    account = door.account("default")
    at = later()
    told = [(at + 2 * MONTH, "applied", None), (at + MONTH, "ignored", None), (at + MONTH, "ignored", "sub_another")]
    for number, (end, state, subscription) in enumerate(told):
        event = fresh()
        body = payloads.stripe_subscription(
            event, "customer.subscription.updated", account=account, created=at + number, period_end=end,
            version=version, previous={"current_period_end": at}, subscription=subscription,
        )  # fmt: skip
        assert door.told("stripe", body, event)["state"] == state
    changes = [row["command"] for row in door.gateway.history(account)]
    assert changes == ["create", "period_end"]


def stripe_life(door, account, type_, at, status, **more):
    event = fresh()
    given = {"account": account, "created": at, "period_end": at + MONTH, "status": status, **more}
    return door.told("stripe", payloads.stripe_subscription(event, type_, **given), event)


def test_a_stripe_subscription_that_is_paused_resumed_deleted_and_taken_out_anew_moves_the_account_with_it(door):
    account, at = door.account("default"), later()
    for type_, status, comes_to, more in (
        ("customer.subscription.paused", "paused", "PAUSED", {}),
        ("customer.subscription.resumed", "active", "ACTIVE", {}),
        ("customer.subscription.deleted", "canceled", "CANCELED", {}),
        ("customer.subscription.created", "active", "ACTIVE", {"subscription": "sub_anew"}),
    ):
        at += 60
        assert stripe_life(door, account, type_, at, status, **more)["state"] == "applied"
        assert door.status(account) == comes_to
    assert door.gateway.account(account)["plan"] == "pro"
    assert {row["role"] for row in door.gateway.history(account)[1:]} == {"system"}


def test_a_stripe_subscription_begins_with_its_first_payment_not_while_that_is_awaited(door):
    account, at = door.account("default"), later()
    assert stripe_life(door, account, "customer.subscription.deleted", at, "canceled")["state"] == "applied"
    anew = {"subscription": "sub_anew"}
    told = stripe_life(door, account, "customer.subscription.created", at + 60, "incomplete", **anew)
    assert (told["state"], door.status(account)) == ("ignored", "CANCELED")
    renewed = {**anew, "previous": {"latest_invoice": "in_before"}}
    told = stripe_life(door, account, "customer.subscription.updated", at + 61, "active", **renewed)
    assert door.status(account) == "CANCELED"
    paid = {**anew, "previous": {"status": "incomplete"}}
    told = stripe_life(door, account, "customer.subscription.updated", at + 62, "active", **paid)
    assert (told["state"], door.status(account)) == ("applied", "ACTIVE")


def test_a_trial_that_will_end_is_told_to_the_owners_once_and_changes_no_status(door):
    account, at = door.account("default", owner="ana@example.org"), later()
    told = [
        stripe_life(door, account, "customer.subscription.trial_will_end", at, "trialing")["state"] for _ in range(2)
    ]
    assert told == ["applied", "ignored"]
    assert door.status(account) == "ACTIVE"
    notices = door.data / "notices" / "notices.jsonl"
    eventually(lambda: notices.exists() and account in notices.read_text())
    lines = [json.loads(line) for line in notices.read_text().splitlines()]
    (notice,) = [line for line in lines if line["data"]["account"] == account and line["type"] == "notify"]
    assert (notice["command"], notice["data"]["arguments"]) == ("trial_ending", {"whom": "owners"})


# ---- Paddle: each mapped type ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "kind"),
    [("transaction.payment_failed", "transaction"), ("transaction.past_due", "transaction"),
     ("subscription.past_due", "subscription")],
)  # fmt: skip
def test_a_paddle_payment_that_fails_freezes_the_account_and_one_completed_brings_it_back(door, type_, kind):
    account, one, two = subscribed(door), fresh(), fresh()
    at = later()
    given = {"account": account, "period_end": at + MONTH}
    if kind == "transaction":
        failed = payloads.paddle_transaction(one, type_, created=at, **given)
    else:
        failed = payloads.paddle_subscription(one, type_, created=at, status="past_due", **given)
    assert door.told("paddle", failed, one)["state"] == "applied"
    assert door.status(account) == "FROZEN"
    paid = payloads.paddle_transaction(two, "transaction.completed", created=at + 60, **given)
    assert door.told("paddle", paid, two)["state"] == "applied"
    assert door.status(account) == "ACTIVE"


def paddle_life(door, account, type_, at, status="active"):
    event = fresh()
    given = {"account": account, "created": at, "period_end": at + MONTH, "status": status}
    return door.told("paddle", payloads.paddle_subscription(event, type_, **given), event)


@pytest.mark.parametrize("back", ["subscription.created", "subscription.activated"])
def test_a_paddle_subscription_that_is_paused_resumed_canceled_and_begun_moves_the_account_with_it(door, back):
    account, at = door.account("default"), later()
    for type_, status, comes_to in (
        ("subscription.paused", "paused", "PAUSED"),
        ("subscription.resumed", "active", "ACTIVE"),
        ("subscription.canceled", "canceled", "CANCELED"),
        (back, "active", "ACTIVE"),
    ):
        at += 60
        assert paddle_life(door, account, type_, at, status)["state"] == "applied"
        assert door.status(account) == comes_to


def test_a_paddle_subscription_that_is_updated_moves_the_periods_end(door):
    account, at = door.account("default"), later()
    assert paddle_life(door, account, "subscription.updated", at)["state"] == "applied"
    assert door.status(account) == "ACTIVE"
    assert [row["command"] for row in door.gateway.history(account)] == ["create", "period_end"]


# ---- what is stored and comes to nothing -----------------------------------------------------------------------------


def test_a_product_whose_rulebook_grants_it_to_people_alone_has_the_event_recorded_and_keeps_its_status(door):
    account = subscribed(door)
    told = stripe_life(door, account, "customer.subscription.deleted", later(60), "canceled")
    assert door.status(account) == "ACTIVE"
    assert "not carried out" in told["why"]


@pytest.mark.parametrize("provider", ["stripe", "paddle"])
def test_an_unknown_type_is_stored_and_ignored(door, provider):
    event, at = fresh(), later()
    if provider == "stripe":
        body = payloads.stripe_event(event, "charge.dispute.created", at, {"id": "dp_1", "object": "dispute"})
    else:
        body = payloads.paddle_event(event, "address.updated", at, {"id": "add_1"})
    told = door.told(provider, body, event)
    assert (told["state"], told["tries"], told["body"]) == ("ignored", 0, json.loads(body))


def test_an_event_of_nobody_is_parked_and_goes_on_once_its_customer_is_linked(door):
    event, at = fresh(), later()
    body = payloads.stripe_invoice(event, "invoice.paid", account=None, created=at, period_end=at + MONTH,
                                   customer=f"cus_{event}")  # fmt: skip
    assert door.told("stripe", body, event)["state"] == "parked"
    account = subscribed(door)
    door.gateway.link_customer(account, provider="stripe", customer=f"cus_{event}")
    assert eventually(lambda: (row := door.gateway.billing_event(event))["state"] != "parked" and row["account"])


# ---- signatures ------------------------------------------------------------------------------------------------------


def harmless(provider):
    event = fresh()
    if provider == "stripe":
        return event, payloads.stripe_event(event, "ping", later(), {})
    return event, payloads.paddle_event(event, "ping", later(), {})


def stored(door, event):
    return any(row["event"] == event for row in door.gateway.billing_events())


@pytest.mark.parametrize("provider", ["stripe", "paddle"])
@pytest.mark.parametrize(("off", "status"), [(0, 200), (-290, 200), (290, 200), (-310, 401), (310, 401)])
def test_a_time_that_is_too_old_or_too_far_ahead_is_refused(door, provider, off, status):
    """Ten seconds of room on each side of the tolerance, for a machine that stalls."""
    assert abs(abs(off) - TOLERANCE_SECONDS) == 10 or off == 0
    event, body = harmless(provider)
    assert door.post(provider, body, signed(provider, body, at=int(time.time()) + off))[0] == status
    assert stored(door, event) is (status == 200)


STRIPE_HEADERS = {
    "another secret": lambda body, at: payloads.stripe_signature(body, "whsec_nobodys", at),
    "another body": lambda body, at: payloads.stripe_signature(body + b" ", STRIPE, at),
    "another time": lambda body, at: payloads.stripe_signature(body, STRIPE, at).replace(f"t={at}", f"t={at - 1}"),
    "scheme v0": lambda body, at: payloads.stripe_signature(body, STRIPE, at, version="v0"),
    "no time": lambda body, at: payloads.stripe_signature(body, STRIPE, at).partition(",")[2],
    "two times": lambda body, at: f"t={at},{payloads.stripe_signature(body, STRIPE, at)}",
    "no signature": lambda _, at: f"t={at}",
    "empty": lambda *_: "",
    "words": lambda *_: "let me in",
    "too long": lambda body, at: payloads.stripe_signature(body, STRIPE, at) + "," + "v1=0" * 1000,
    "Paddle's": lambda body, at: payloads.paddle_signature(body, STRIPE, at),
}
PADDLE_HEADERS = {
    "another secret": lambda body, at: payloads.paddle_signature(body, "pdl_nobodys", at),
    "another body": lambda body, at: payloads.paddle_signature(body + b" ", PADDLE, at),
    "no time": lambda body, at: payloads.paddle_signature(body, PADDLE, at).partition(";")[2],
    "Stripe's": lambda body, at: payloads.stripe_signature(body, PADDLE, at),
}


@pytest.mark.parametrize(
    ("provider", "name"),
    [("stripe", name) for name in STRIPE_HEADERS] + [("paddle", name) for name in PADDLE_HEADERS],
)
def test_what_the_provider_did_not_sign_is_refused_and_nothing_of_it_is_stored(door, provider, name):
    event, body = harmless(provider)
    made = (STRIPE_HEADERS if provider == "stripe" else PADDLE_HEADERS)[name](body, int(time.time()))
    header = {"stripe": "Stripe-Signature", "paddle": "Paddle-Signature"}[provider]
    status, answer = door.post(provider, body, {"Content-Type": "application/json", header: made})
    assert status == 401
    assert json.loads(answer)["title"] == "bad_signature"
    assert not stored(door, event)


def test_without_a_signature_header_nothing_is_taken(door):
    event, body = harmless("stripe")
    assert door.post("stripe", body, {"Content-Type": "application/json"})[0] == 401
    assert not stored(door, event)


@pytest.mark.parametrize("secret", [STRIPE, STRIPE_OLD])
def test_while_a_secret_is_rolled_both_are_good(door, secret):
    event, body = harmless("stripe")
    assert door.deliver("stripe", body, secret) == 200
    assert stored(door, event)


def test_one_good_signature_among_several_is_enough(door):
    """As Stripe signs while a secret is rolled: one v1 for each."""
    event, body = harmless("stripe")
    at = int(time.time())
    ours = payloads.stripe_signature(body, STRIPE, at).partition(",")[2]
    header = f"t={at},v1={'0' * 64},{ours},v0={'1' * 64}"
    assert door.post("stripe", body, {"Content-Type": "application/json", "Stripe-Signature": header})[0] == 200
    assert stored(door, event)


# ---- bodies ----------------------------------------------------------------------------------------------------------

BAD_BODIES = {
    "no JSON": b"{",
    "no object": b"[]",
    "no id": payloads.stripe_event("", "ping", 1, {}),
    "an id with a space": payloads.stripe_event("evt 1", "ping", 1, {}),
    "no type": json.dumps({"id": "evt_bad", "created": 1}).encode(),
    "no time": json.dumps({"id": "evt_bad", "type": "ping"}).encode(),
    "a negative time": json.dumps({"id": "evt_bad", "type": "ping", "created": -1}).encode(),
    "broken UTF-8": b'{"id": "evt_bad\xff", "type": "ping", "created": 1}',
    "deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "empty": b"",
}


@pytest.mark.parametrize("name", list(BAD_BODIES))
def test_a_signed_body_that_is_no_event_is_400_and_nothing_of_it_is_stored(door, name):
    body = BAD_BODIES[name]
    status, answer = door.post("stripe", body, signed("stripe", body))
    assert (status, json.loads(answer)["title"]) == (400, "malformed")
    assert not stored(door, "evt_bad")


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(door):
    event, body = harmless("stripe")
    full = body + b" " * (BODY_BYTES_MAX - len(body))
    assert door.post("stripe", full + b" ", signed("stripe", full + b" "))[0] == 413
    assert not stored(door, event)
    assert door.deliver("stripe", full) == 200
    assert stored(door, event)


def test_a_chunked_body_is_cut_off_at_the_same_size(door):
    event, body = harmless("stripe")
    headers = {**signed("stripe", body), "Transfer-Encoding": "chunked"}
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    try:
        connection.request(
            "POST", "/webhooks/stripe", iter([b" " * BODY_BYTES_MAX, b" "]), headers, encode_chunked=True
        )
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pytest.fail("the refusal was not read: the connection was cut before its answer")
    finally:
        connection.close()
    assert not stored(door, event)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("stripe", {"Content-Type": "text/plain"}, 415), ("stripe", {}, 415), ("braintree", {}, 404), ("", {}, 404)],
)
def test_another_content_type_or_provider_is_refused(door, path, headers, status):
    event, body = harmless("stripe")
    given = {name: value for name, value in signed("stripe", body).items() if name != "Content-Type"}
    assert door.post(path, body, {**given, **headers})[0] == status
    assert not stored(door, event)


def test_get_is_not_allowed(door):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    connection.request("GET", "/webhooks/stripe")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Allow")) == (405, "POST")
    connection.close()


# ---- once ------------------------------------------------------------------------------------------------------------


def test_one_event_from_sixteen_connections_at_a_time_is_one_row_and_one_change(door):
    account, event, at = subscribed(door), fresh(), later()
    body = payloads.stripe_invoice(
        event, "invoice.payment_failed", account=account, created=at, period_end=at + MONTH
    )  # fmt: skip
    together, answers = threading.Barrier(16), []

    def deliver():
        together.wait()
        answers.append(door.deliver("stripe", body))

    senders = [threading.Thread(target=deliver) for _ in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers == [200] * 16
    assert (door.event(event)["state"], door.event(event)["tries"]) == ("applied", 1)
    assert sum(row["event"] == event for row in door.gateway.billing_events(account=account)) == 1
    assert [row["command"] for row in door.gateway.history(account)].count("payment_failed") == 1
    assert door.deliver("stripe", body) == 200  # and days later too
    assert [row["command"] for row in door.gateway.history(account)].count("payment_failed") == 1


def test_requests_and_events_are_counted_by_what_they_came_to(door):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    for provider, outcome in (("stripe", "received"), ("stripe", "bad_signature"), ("paddle", "received")):
        assert f'pixelgate_webhook_requests_total{{outcome="{outcome}",provider="{provider}"}}' in text
    assert 'pixelgate_webhook_events_total{provider="stripe",state="applied"}' in text


def test_no_body_secret_or_address_is_in_the_log(door):
    words = door.process.log
    for secret in (STRIPE, STRIPE_OLD, PADDLE, "ana@example.org"):
        assert secret not in words
