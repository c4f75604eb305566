"""The admin port: health and, for Prometheus, every worker's counters summed. Private: 127.0.0.1 unless set.

The workers' counter files are read as documents here, not through the collector's code: gating imports no collector.
"""

from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gating.datadir import DataDirectory
from gating.lead import Lead


class WorkerCounters(Collector):
    """Reads the files at each scrape: nothing is added up twice, and a dead worker's counts stay."""

    def __init__(self, directory: Path, lead: Lead) -> None:
        self._directory = directory
        self._lead = lead

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        documents = list(_documents(self._directory))
        hits = CounterMetricFamily(
            "pixelgate_hits", "Hits by what became of them; they sum to all hits", labels=["outcome", "reason"]
        )
        sums: dict[tuple[str, str], int] = {}
        for document in documents:
            for outcome, reason, count in document["samples"]:
                sums[outcome, reason] = sums.get((outcome, reason), 0) + count
        for labels, count in sums.items():
            hits.add_metric(labels, count)
        refused = CounterMetricFamily("pixelgate_connections_refused", "Connections beyond the cap")
        refused.add_metric([], sum(document["connections_refused"] for document in documents))
        leased = set(self._lead.workers())
        workers = GaugeMetricFamily("pixelgate_workers_leased", "Workers that may verify hits now")
        workers.add_metric([], len(leased))
        version = GaugeMetricFamily("pixelgate_ledger_version", "The newest version of the ledger")
        version.add_metric([], self._lead.head)
        return [hits, refused, workers, version]


def make_admin(directory: DataDirectory, lead: Lead) -> Starlette:
    """The application of the admin port."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCounters(directory.counters, lead))

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        return JSONResponse({"status": "ready", "version": lead.head, "workers": len(lead.workers())})

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/health/live", live),
            Route("/health/ready", ready),
        ]
    )


def _documents(directory: Path) -> list[dict[str, Any]]:
    documents = []
    for path in directory.glob("*.json"):
        try:
            documents.append(orjson.loads(path.read_bytes()))
        except (OSError, ValueError):
            continue  # replaced or removed meanwhile: the next scrape has it
    return documents
