"""Exposition: what the publisher has done, and what it owes, as Prometheus reads it.

Served on `--metrics-port`. Counts are this process's, since its start; read at each scrape, in whichever thread.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.publisher.dead_letters import find
from collector.publisher.pump import Publisher
from gating.datadir import DataDirectory


class PublisherMetrics(Collector):
    """The metrics of one publisher."""

    def __init__(self, publisher: Publisher, data: DataDirectory, letters: Path) -> None:
        self._publisher, self._data, self._letters = publisher, data, letters

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        counts = self._publisher.counts
        events = CounterMetricFamily(
            "pixelgate_publisher_events", "Events that Kafka has acknowledged, by topic", labels=["topic"]
        )
        events.add_metric(["pixel.events"], counts.events)
        events.add_metric(["pixel.hidden"], counts.hidden)
        batches = CounterMetricFamily(
            "pixelgate_publisher_batches", "Batches by what became of them", labels=["outcome"]
        )
        batches.add_metric(["acknowledged"], counts.batches)
        batches.add_metric(["failed"], counts.batches_failed)
        batches.add_metric(["refused"], counts.batches_refused)
        oldest_us = self._publisher.oldest_us
        age = 0.0 if oldest_us is None else max(0.0, time.time() - oldest_us / 1_000_000)
        return [
            events,
            batches,
            _counted("pixelgate_publisher_event_bytes", "Bytes of those events, uncompressed", counts.event_bytes),
            _counted("pixelgate_publisher_sent_bytes", "Bytes of the batches they went out in", counts.sent_bytes),
            _counted("pixelgate_publisher_dead", "Events that became dead letters", counts.dead),
            _counted(
                "pixelgate_publisher_producers", "Kafka producers begun: one, and one a failure", counts.producers
            ),
            _gauge(
                "pixelgate_publisher_waiting_bytes", "Memory of batches that wait", self._publisher.intake.waiting_bytes
            ),
            _gauge("pixelgate_publisher_oldest_seconds", "Age of the oldest hit read and not acknowledged", age),
            *self._known(
                "pixelgate_publisher_owed", "Journalled hits that Kafka has not yet", self._publisher.intake.owed
            ),
            *self._known("pixelgate_publisher_spool_bytes", "Disk that the journals use", self._spool_bytes),
            *self._known("pixelgate_publisher_dead_unsent", "Dead letters not sent again yet", self._unsent),
        ]

    def _known(self, name: str, what: str, look: Callable[[], int]) -> list[Metric]:
        """A gauge, absent where it cannot be known now."""
        with contextlib.suppress(OSError):
            return [_gauge(name, what, look())]
        return []

    def _spool_bytes(self) -> int:
        return disk_bytes(self._data.journals)

    def _unsent(self) -> int:
        return len(find(self._letters).unsent)


def disk_bytes(directory: Path) -> int:
    """Bytes of disk that the files below a directory use; those that go meanwhile are passed over."""
    used = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                used += os.stat(os.path.join(folder, name)).st_blocks * 512
    return used


def _counted(name: str, what: str, value: int) -> Metric:
    counted = CounterMetricFamily(name, what)
    counted.add_metric([], value)
    return counted


def _gauge(name: str, what: str, value: float) -> Metric:
    gauge = GaugeMetricFamily(name, what)
    gauge.add_metric([], value)
    return gauge
