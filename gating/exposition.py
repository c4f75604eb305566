"""Exposition: what the collector's workers counted, as Prometheus reads it.

Served by the gating process's admin port and by the supervisor of collector workers (`--metrics-port`) alike.
"""

from pathlib import Path

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.worker_counters import read_documents


class WorkerCounters(Collector):
    """All workers together, read at each scrape: nothing is added up twice, and what the dead counted stays."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        sums: dict[tuple[str, str], int] = {}
        connections = 0
        for document in read_documents(self._directory):
            connections += document.get("connections_refused", 0)
            for outcome, reason, count in document.get("samples", ()):
                sums[outcome, reason] = sums.get((outcome, reason), 0) + count
        hits = CounterMetricFamily(
            "pixelgate_hits", "Hits by what became of them; they sum to all hits", labels=["outcome", "reason"]
        )
        for labels, count in sums.items():
            hits.add_metric(labels, count)
        refused = CounterMetricFamily("pixelgate_connections_refused", "Connections beyond the cap")
        refused.add_metric([], connections)
        return [hits, refused]
