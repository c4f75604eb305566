"""Exposition: what the collector's workers counted, as Prometheus reads it.

Served by the gating process's admin port and by the supervisor of collector workers (`--metrics-port`) alike.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
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
        documents = list(read_documents(self._directory))
        for document in documents:
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
        return [hits, refused, *_service(documents)]


def _service(documents: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """The times of all workers that tell any; no metric where none does."""
    sums: dict[str, dict[int, int]] = {}
    counts: dict[str, int] = {}
    sums_ns: dict[str, int] = {}
    for document in documents:
        for until, times in document.get("service", {}).items():
            counts[until] = counts.get(until, 0) + times["count"]
            sums_ns[until] = sums_ns.get(until, 0) + times["sum_ns"]
            buckets = sums.setdefault(until, {})
            for bound_ns, count in times["buckets"]:
                buckets[bound_ns] = buckets.get(bound_ns, 0) + count
    if not counts:
        return []
    family = HistogramMetricFamily(
        "pixelgate_service_seconds",
        "Inside a worker: from chunk read to answer given to the transport, or written by it",
        labels=["until"],
    )
    for until, buckets in sums.items():
        below, rows = 0, []
        for bound_ns in sorted(buckets):
            below += buckets[bound_ns]
            rows.append((repr(bound_ns / 1e9), below))
        family.add_metric([until], [*rows, ("+Inf", counts[until])], sums_ns[until] / 1e9)
    return [family]
