"""A role's private port: ready or not, and why."""

import pytest
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily

from gating.asgi_call import call
from gating.operations import operations


class Seven:
    def collect(self):
        gauge = GaugeMetricFamily("seven", "Always seven")
        gauge.add_metric([], 7)
        return [gauge]


@pytest.mark.parametrize(("reasons", "status"), [([], 200), (["the journal is full"], 503)])
async def test_readiness_says_why_not_and_what_else_the_role_tells(reasons, status):
    app = operations(not_ready=lambda: reasons, about=lambda: {"version": 3})
    expected = {"ready": not reasons, "reasons": reasons, "version": 3}
    assert await call(app, "GET", "/health/ready", None) == (status, expected)


async def test_live_as_long_as_it_answers():
    assert await call(operations(not_ready=lambda: ["no"]), "GET", "/health/live", None) == (200, {"live": True})


async def test_metrics_are_in_the_format_they_say_they_are():
    answered = []

    async def send(message):
        answered.append(message)

    scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": []}
    await operations(Seven())(scope, None, send)
    assert (b"content-type", CONTENT_TYPE_LATEST.encode()) in answered[0]["headers"]
    assert b"\nseven 7.0\n" in answered[1]["body"]
