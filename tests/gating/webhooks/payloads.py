"""What Stripe and Paddle Billing send, built as their public documents describe, and signed as they sign.

Stripe: docs.stripe.com/api/events/object, /api/invoices/object, /api/subscriptions/object, in the shape of API versions
before 2025-03-31.basil (`OLD`) and since (`BASIL`: an invoice's subscription lies in `parent`, a subscription's period
on its items). Paddle: developer.paddle.com/webhooks/overview, /webhooks/subscriptions, /webhooks/transactions.

A test gives what it tells apart; all else stands as in the documents' examples. Times are seconds since 1970.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime

OLD, BASIL = "2024-06-20", "2025-03-31.basil"
MONTH = 30 * 86_400


def stripe_signature(body, secret, at, *, version="v1"):
    """By their own words: the timestamp, a full stop, the body; HMAC-SHA256, in hex."""
    return f"t={at},{version}={_hex(secret, f'{at}.'.encode() + body)}"


def paddle_signature(body, secret, at):
    """The timestamp, a colon, the body."""
    return f"ts={at};h1={_hex(secret, f'{at}:'.encode() + body)}"


def _hex(secret, signed):
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def stripe_event(event_id, type_, created, thing, *, version=BASIL, previous=None):
    data = {"object": thing} if previous is None else {"object": thing, "previous_attributes": previous}
    return _bytes({
        "id": event_id, "object": "event", "api_version": version, "created": created, "data": data, "livemode": False,
        "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "type": type_,
    })  # fmt: skip


def stripe_invoice(
    event_id, type_, *, account, created, period_end, version=BASIL, subscription=None, customer=None, amount=1900
):
    paid = type_ == "invoice.paid"
    subscription, customer = subscription or f"sub_{account}", customer or f"cus_{account}"
    metadata = {"account": account} if account else {}
    line = {
        "id": "il_1MtHbELkdIwHu7ixl4OzzPMv", "object": "line_item", "amount": amount, "currency": "eur",
        "description": "1 x Pixels (at 19.00 EUR / month)", "metadata": {}, "quantity": 1,
        "period": {"start": period_end - MONTH, "end": period_end},
    }  # fmt: skip
    invoice = {
        "id": f"in_{event_id}", "object": "invoice", "amount_due": amount, "amount_paid": amount if paid else 0,
        "amount_remaining": 0 if paid else amount, "attempt_count": 1, "attempted": True, "auto_advance": not paid,
        "billing_reason": "subscription_cycle", "collection_method": "charge_automatically", "created": created,
        "currency": "eur", "customer": customer, "customer_email": "ana@example.org", "customer_name": "Ana",
        "lines": {"object": "list", "data": [line], "has_more": False, "total_count": 1}, "metadata": {},
        "period_start": period_end - 2 * MONTH, "period_end": period_end - MONTH,  # of the usage behind it
        "status": "paid" if paid else "open",
        "status_transitions": {"finalized_at": created, "paid_at": created if paid else None},
        "total": amount,
    }  # fmt: skip
    if version == OLD:
        invoice |= {"subscription": subscription, "subscription_details": {"metadata": metadata}, "paid": paid}
    else:
        details = {"metadata": metadata, "subscription": subscription}
        invoice["parent"] = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    return stripe_event(event_id, type_, created, invoice, version=version)


def stripe_subscription(
    event_id, type_, *, account, created, period_end, version=BASIL, status="active", previous=None,
    subscription=None, customer=None, plan="pro",
):  # fmt: skip
    period = {"current_period_start": period_end - MONTH, "current_period_end": period_end}
    price = {"id": "price_1MowQULkdIwHu7ixraBm864M", "object": "price", "currency": "eur", "unit_amount": 1900}
    item = {"id": "si_NcLYdDxLHxlFo7", "object": "subscription_item", "metadata": {}, "price": price, "quantity": 1}
    thing = {
        "id": subscription or f"sub_{account}", "object": "subscription", "cancel_at_period_end": False,
        "canceled_at": None, "collection_method": "charge_automatically", "created": created, "currency": "eur",
        "customer": customer or f"cus_{account}", "items": {"object": "list", "data": [item], "has_more": False},
        "latest_invoice": "in_1MowQWLkdIwHu7ixuzkSPfKd", "metadata": {"account": account, "plan": plan},
        "pause_collection": None, "start_date": created, "status": status, "trial_end": None, "trial_start": None,
    }  # fmt: skip
    if version == OLD:
        thing |= period
    else:
        item |= period
    return stripe_event(event_id, type_, created, thing, version=version, previous=previous)


def paddle_event(event_id, type_, occurred, data):
    return _bytes({
        "event_id": event_id, "event_type": type_, "occurred_at": _rfc3339(occurred),
        "notification_id": f"ntf_{event_id.removeprefix('evt_')}", "data": data,
    })  # fmt: skip


def paddle_subscription(event_id, type_, *, account, created, period_end, status="active", plan="pro", customer=None):
    gone = status in ("paused", "canceled")
    period = None if gone else {"starts_at": _rfc3339(period_end - MONTH), "ends_at": _rfc3339(period_end)}
    price = {
        "id": "pri_01gsz8x8sawmvhz1pv30nge1ke", "name": "Monthly", "product_id": "pro_01gsz4t5hdjse780zja8vvr7jg",
        "billing_cycle": {"interval": "month", "frequency": 1}, "trial_period": None, "tax_mode": "account_setting",
        "unit_price": {"amount": "1900", "currency_code": "EUR"}, "custom_data": None,
    }  # fmt: skip
    data = {
        "id": f"sub_{account}", "status": status, "customer_id": customer or f"ctm_{account}",
        "address_id": "add_01hv8gq3318ktkfengj2r75gfx", "business_id": None, "currency_code": "EUR",
        "collection_mode": "automatic", "billing_cycle": {"interval": "month", "frequency": 1},
        "current_billing_period": period, "custom_data": {"account": account, "plan": plan},
        "created_at": _rfc3339(created), "started_at": _rfc3339(created), "updated_at": _rfc3339(created),
        "canceled_at": _rfc3339(created) if status == "canceled" else None,
        "paused_at": _rfc3339(created) if status == "paused" else None, "first_billed_at": _rfc3339(created),
        "next_billed_at": None if gone else _rfc3339(period_end), "discount": None, "billing_details": None,
        "scheduled_change": None, "items": [{"price": price, "quantity": 1, "status": "active", "recurring": True}],
        "management_urls": None,
    }  # fmt: skip
    if type_ == "subscription.created":
        data["transaction_id"] = "txn_01hv8wptq8987qeep44cyrewp9"
    return paddle_event(event_id, type_, created, data)


def paddle_transaction(event_id, type_, *, account, created, period_end, amount=1900, customer=None):
    status = {"transaction.completed": "completed", "transaction.past_due": "past_due"}.get(type_, "ready")
    totals = {
        "subtotal": "1583", "discount": "0", "tax": "317", "total": str(amount), "credit": "0", "balance": "0",
        "grand_total": str(amount), "fee": None, "earnings": None, "currency_code": "EUR",
    }  # fmt: skip
    data = {
        "id": f"txn_{event_id}", "status": status, "customer_id": customer or f"ctm_{account}",
        "address_id": "add_01hv8gq3318ktkfengj2r75gfx", "business_id": None, "custom_data": {"account": account},
        "currency_code": "EUR", "origin": "subscription_recurring", "subscription_id": f"sub_{account}",
        "invoice_id": None, "invoice_number": None, "collection_mode": "automatic", "discount_id": None,
        "billing_details": None, "checkout": {"url": None}, "items": [], "payments": [],
        "billing_period": {"starts_at": _rfc3339(period_end - MONTH), "ends_at": _rfc3339(period_end)},
        "created_at": _rfc3339(created), "updated_at": _rfc3339(created), "billed_at": _rfc3339(created),
        "details": {"tax_rates_used": [], "totals": totals, "line_items": []},
    }  # fmt: skip
    return paddle_event(event_id, type_, created, data)


def _rfc3339(seconds):
    """As Paddle writes it: six digits of the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _bytes(document):
    """Stripe sends its JSON indented, Paddle without a space: what is signed is the bytes, whatever they are."""
    return json.dumps(document, indent=2 if "api_version" in document else None).encode()
