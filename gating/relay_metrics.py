"""What Prometheus reads of the relay: how far Redis is, what it misses, and whether something is wrong."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from gating.relay import RelayStatus  # Redis' client comes with it, and one host needs none


class RelayMetrics(Collector):
    """Of one relay's status, asked at each scrape."""

    def __init__(self, status: "Callable[[], RelayStatus]") -> None:
        self._status = status

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        status = self._status()
        version = GaugeMetricFamily("pixelgate_relay_version", "The version Redis stands at", status.relayed)
        lag = GaugeMetricFamily("pixelgate_relay_lag", "Changes Redis still misses", status.lag)
        rebuilds = CounterMetricFamily("pixelgate_relay_rebuilds", "Times Redis was filled anew", status.rebuilds)
        wrong = status.trouble is not None or status.topic_trouble is not None
        trouble = GaugeMetricFamily("pixelgate_relay_trouble", "1 while something keeps the relay", int(wrong))
        return [version, lag, rebuilds, trouble]
