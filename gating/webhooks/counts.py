"""Counts: what became of requests and events in this process, as plain integers, and as Prometheus reads them.

`receive.py` and `applier.py` add; the admin port's `/metrics` reads. Every request has exactly one outcome.
"""

import time
from collections import Counter
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.ledger.events import State


class Outcome(StrEnum):
    """What a request came to."""

    RECEIVED = "received"  # stored now, or before
    BAD_SIGNATURE = "bad_signature"
    MALFORMED = "malformed"  # signed, but no event; or not JSON by its type
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    OVERFLOW = "overflow"  # too many at a time: 503
    UNSTORED = "unstored"  # the ledger does not answer: 503


class Counts(Collector):
    """By provider. oldest_pending_us: by this host's clock, None while nothing waits or this service does not lead."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, Outcome]] = Counter()
        self.events: Counter[tuple[str, State]] = Counter()
        self.oldest_pending_us: int | None = None

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        requests = CounterMetricFamily(
            "pixelgate_webhook_requests", "Webhook requests by what they came to", labels=["provider", "outcome"]
        )
        for (provider, outcome), count in sorted(self.requests.items()):
            requests.add_metric([provider, outcome], count)
        events = CounterMetricFamily(
            "pixelgate_webhook_events", "Webhook events by what became of them", labels=["provider", "state"]
        )
        for (provider, state), count in sorted(self.events.items()):
            events.add_metric([provider, state], count)
        waiting = GaugeMetricFamily("pixelgate_webhook_oldest_pending_seconds", "How long the oldest event has waited")
        oldest_us = self.oldest_pending_us
        waiting.add_metric([], 0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1e6))
        return [requests, events, waiting]
