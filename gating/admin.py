"""The admin port: health and, for Prometheus, every worker's counters summed. Private: 127.0.0.1 unless set."""

from collections.abc import Callable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette

from gating.datadir import DataDirectory
from gating.exposition import WorkerCounters
from gating.lead import Lead
from gating.operations import operations


class LeadMetrics(Collector):
    """Where the ledger stands, and who follows it."""

    def __init__(self, lead: Lead) -> None:
        self._lead = lead

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        workers = GaugeMetricFamily("pixelgate_workers_leased", "Workers that may verify hits now")
        workers.add_metric([], len(self._lead.workers()))
        version = GaugeMetricFamily("pixelgate_ledger_version", "The newest version of the ledger")
        version.add_metric([], self._lead.head)
        return [workers, version]


def make_admin(
    directory: DataDirectory, lead: Lead, *metrics: Collector, not_ready: Callable[[], list[str]] = list
) -> Starlette:
    """The application of the admin port. metrics: what else is told at a scrape. not_ready: why not, in words."""
    return operations(
        WorkerCounters(directory.counters),
        LeadMetrics(lead),
        *metrics,
        not_ready=not_ready,
        about=lambda: {"version": lead.head, "workers": len(lead.workers())},
    )
