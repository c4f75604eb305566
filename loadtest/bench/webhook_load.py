"""Billing webhooks as Stripe would send them, at a pace or as fast as they are answered; its own process, so that it
holds up nobody's clock.

`python -m loadtest.bench.webhook_load PORT SECRET SECONDS CONNECTIONS PACE ACCOUNTS MEANING` prints one JSON line.
Every event is new and signed. MEANING of 100 change their account (a paid invoice of one more period); the others are
of types that mean nothing to an account, as most of what a provider sends.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

PERIOD_SECONDS: Final = 60
LINES: Final = 6
"""Of the invoice: a body of 6 KiB. Stripe's have 3 to 10."""
IGNORED: Final = ("charge.succeeded", "payment_intent.succeeded", "invoice.finalized", "customer.updated")


@dataclass(slots=True)
class Sent:
    """What was answered: milliseconds each, and how often each status."""

    answers_ms: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    late_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """pace: events a second over all connections; 0 is as fast as they are answered."""

    port: int
    secret: str
    seconds: float
    connections: int
    pace: float
    accounts: int
    meaning: int


_PLACES: Final = ("NUMBER", "ACCOUNT", "TYPE", 1_111_111_111, 2_222_222_222, 3_333_333_333)
"""What stands in the template for the number, the account, the type, and the moments now, created and end."""


def template() -> list[str]:
    """One event's JSON, cut where `_PLACES` stand: made once, or the load would cost more than the service."""
    number, account, type_, now, created, end = _PLACES
    line: dict[str, Any] = {
        "id": "il_1MtHbELkdIwHu7ixl4OzzPMv", "object": "line_item", "amount": 1900, "currency": "eur",
        "description": "1 x Pixels, of all sites and as many hits as there are (at 19.00 EUR / month)",
        "discountable": True, "discounts": [], "livemode": False, "metadata": {}, "quantity": 1,
        "period": {"start": now, "end": end}, "pricing": {"type": "price_details", "unit_amount_decimal": "1900"},
        "parent": {"type": "subscription_item_details", "subscription_item_details": {"subscription": "sub_1"}},
    }  # fmt: skip
    invoice = {
        "id": f"in_{number}", "object": "invoice", "amount_due": 1900, "amount_paid": 1900, "currency": "eur",
        "customer": f"cus_{account}", "customer_email": "ana@example.org", "status": "paid",
        "lines": {"object": "list", "data": [line] * LINES, "has_more": False},
        "parent": {"subscription_details": {"metadata": {"account": account}, "subscription": f"sub_{account}"}},
        "status_transitions": {"finalized_at": now, "paid_at": now},
    }  # fmt: skip
    event = {
        "id": f"evt_{now}_{number}", "object": "event", "api_version": "2025-03-31.basil", "created": created,
        "type": type_, "data": {"object": invoice},
    }  # fmt: skip
    return re.split("(" + "|".join(map(str, _PLACES)) + ")", json.dumps(event, indent=2))


TEMPLATE: Final = template()


def body(number: int, plan: Plan, now: int) -> bytes:
    """One event; its account and what it means follow from its number."""
    means = number * 37 % 100 < plan.meaning
    given = (
        number, f"payer-{number % plan.accounts}", "invoice.paid" if means else IGNORED[number % len(IGNORED)],
        now, now + number, now + number // plan.accounts * PERIOD_SECONDS,
    )  # fmt: skip
    told = dict(zip(map(str, _PLACES), map(str, given), strict=True))
    return "".join(told.get(part, part) for part in TEMPLATE).encode()


def request(content: bytes, secret: str) -> bytes:
    """The whole request, signed now."""
    at = str(int(time.time()))
    digest = hmac.new(secret.encode(), at.encode() + b"." + content, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/stripe HTTP/1.1\r\nHost: pixelgate.example\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nStripe-Signature: t={at},v1={digest}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def send(plan: Plan) -> Sent:
    """Send until the time is over; every request that was begun is waited for."""
    sent, began, numbers = Sent(), time.perf_counter(), iter(range(sys.maxsize))
    now = int(time.time())

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", plan.port)
        with contextlib.closing(writer):
            for number in numbers:
                due = began + number / plan.pace if plan.pace else time.perf_counter()
                if due > began + plan.seconds or time.perf_counter() > began + plan.seconds:
                    return
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                content = request(body(number, plan, now), plan.secret)
                asked = time.perf_counter()
                sent.late_ms = max(sent.late_ms, (asked - due) * 1e3)
                writer.write(content)
                status = await _answer(reader)
                sent.answers_ms.append((time.perf_counter() - asked) * 1e3)
                sent.statuses[status] = sent.statuses.get(status, 0) + 1

    await asyncio.gather(*(one() for _ in range(plan.connections)))
    return sent


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
    await reader.readexactly(int(length.partition(":")[2]))
    return head.split(" ", 2)[1]


def main(arguments: list[str]) -> int:
    """Send, and print what was answered."""
    port, secret, seconds, connections, pace, accounts, meaning = arguments
    plan = Plan(int(port), secret, float(seconds), int(connections), float(pace), int(accounts), int(meaning))
    began = time.perf_counter()
    sent = asyncio.run(send(plan))
    print(
        json.dumps({
            "seconds": time.perf_counter() - began, "answers_ms": sent.answers_ms, "statuses": sent.statuses,
            "late_ms": sent.late_ms, "cpu_seconds": time.process_time(), "body_bytes": len(body(1, plan, 1)),
        })
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
