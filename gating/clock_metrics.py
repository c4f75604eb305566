"""The clock for Prometheus: whether it is believed, and what waits because it is not."""

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.clock_desk import ClockDesk
from gating.heartbeat import Way
from gating.status import SECOND_US


class ClockMetrics(Collector):
    """Of one service, as its sweeper saw it last."""

    def __init__(self, desk: ClockDesk) -> None:
        self._desk = desk

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        doubt = self._desk.doubt()
        found = GaugeMetricFamily(
            "pixelgate_clock_in_doubt", "1 while the clock is not believed, by which way it is off", labels=("way",)
        )
        for way in Way:
            found.add_metric([way], int(doubt is not None and doubt.way is way))
        off = GaugeMetricFamily("pixelgate_clock_off_seconds", "How far it is from what the last heartbeat explains")
        off.add_metric([], doubt.off_us / SECOND_US if doubt else 0)
        waiting = GaugeMetricFamily("pixelgate_deadlines_waiting", "Deadlines that have come and are not made durable")
        waiting.add_metric([], self._desk.waiting())
        return [found, off, waiting]
