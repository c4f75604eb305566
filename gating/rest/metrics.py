"""What Prometheus reads of signing in: requests that nobody was let in by, by reason and never by address or token."""

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.rest.authenticate import Authenticator, Failure


class AuthMetrics(Collector):
    """Every reason from the start on, so that a rate can be watched before the first failure."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        failures = CounterMetricFamily(
            "pixelgate_auth_failures", "Requests of the admin API that no token let in", labels=["reason"]
        )
        for failure in Failure:
            failures.add_metric([failure.value], self._authenticator.failures[failure])
        return [failures]
