"""Metrics port: `/metrics` and health of the collector's workers, from the supervisor that runs them alone.

Called by local.py for `pixelgate collector --metrics-port`. It reads what the workers published: so a scrape costs no
worker anything, and one that is stuck cannot hold it up. Served by a thread of its own; the supervisor's loop goes on.
"""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.metrics import Published, read_counters
from gating.datadir import DataDirectory
from gating.exposition import WorkerCounters
from gating.operations import operations, server_of
from gating.serving import tcp_listener

HOST: Final = "127.0.0.1"
SILENT_SECONDS: Final = 5.0
"""A worker publishes once a second; one that has not for this long is stopped, stuck, or its disk is full."""


class Workers(Collector):
    """The workers of one supervisor, as they are now. `note` is called by its loop, all else from any thread."""

    def __init__(self, directory: DataDirectory, slots: int) -> None:
        self._directory = directory
        self._slots = slots
        self._pids: Mapping[str, int] = {}

    def note(self, pids: Mapping[str, int]) -> None:
        """Take over which role runs as which process."""
        self._pids = pids

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        living = self._published()
        gauges = (
            ("pixelgate_workers", "Workers that run", len(self._pids)),
            ("pixelgate_workers_leased", "Workers that may verify hits now", sum(p.leased for p in living)),
            ("pixelgate_connections", "Open connections", sum(p.connections for p in living)),
        )
        return [_gauge(*gauge) for gauge in gauges]

    def not_ready(self) -> list[str]:
        """Why a load balancer should send hits elsewhere; empty where every worker runs, tells of itself, and is ready
        by its own word (a lease, a map of accounts, room for its journal)."""
        published = self._published()
        missing = self._slots - len(self._pids)
        reasons = [f"{missing} of {self._slots} workers do not run"] if missing > 0 else []
        if silent := len(self._pids) - len(published):
            reasons.append(f"{silent} of {self._slots} workers have told nothing for {SILENT_SECONDS:g} s")
        return [*reasons, *(f"worker {p.worker}: {reason}" for p in published for reason in p.not_ready)]

    def _published(self) -> list[Published]:
        """What the workers that run published of late."""
        return late_words(read_counters(self._directory.counters), self._pids.values(), time.time())


def late_words(counters: Iterable[Published], pids: Iterable[int], now: float) -> list[Published]:
    """Of these processes the newest file each, if it is not older than SILENT_SECONDS; by slot. Pure."""
    wanted = set(pids)
    newest = {p.pid: p for p in sorted(counters, key=lambda p: p.started_us) if p.pid in wanted and not p.clean}
    fresh = (p for p in newest.values() if now - p.published_us / 1e6 <= SILENT_SECONDS)
    return sorted(fresh, key=lambda p: p.worker)


@contextmanager
def metrics_port(directory: DataDirectory, workers: Workers, port: int) -> Iterator[None]:
    """Serve for as long as the block runs; port 0: not at all. Raises Unreachable for a port that is taken."""
    if not port:
        yield
        return
    listener = tcp_listener(HOST, port)
    app = operations(WorkerCounters(directory.counters), workers, not_ready=workers.not_ready)
    server = server_of(app)
    serving = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="metrics", daemon=True
    )
    serving.start()
    try:
        yield
    finally:
        server.should_exit = True
        serving.join()
        listener.close()


def _gauge(name: str, what: str, value: int) -> Metric:
    gauge = GaugeMetricFamily(name, what)
    gauge.add_metric([], value)
    return gauge
