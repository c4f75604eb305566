"""Exposition: what the consumer has done, and what it owes, as Prometheus reads it.

Served on `--metrics-port` by `consumer materialise` and `consumer purge`. The counts are this process's, since its
start; what the warehouse holds is `verify`'s.
"""

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from consumers.purge import Purger
from consumers.service import Service


class ConsumerMetrics(Collector):
    """The metrics of one service, read at each scrape, in whichever thread that is."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        loop = self._service.loop
        taken, settled = loop.materialiser.taken, loop.settler.settled
        events = _counted("pixelgate_consumer_events", "Events put into the warehouse", taken.events + taken.unverified)
        repeated = _counted("pixelgate_consumer_repeated", "Events that came again and were told by it", taken.repeated)
        missing = _counted("pixelgate_consumer_missing", "Answered hits that could not be read any more", taken.missing)
        duplicates = _counted(
            "pixelgate_consumer_duplicates", "Retries of a client, counted once", taken.duplicates + settled.duplicates
        )
        purged = _counted("pixelgate_consumer_purged", "Late events of deleted accounts, refused", taken.purged)
        batches = SummaryMetricFamily(
            "pixelgate_consumer_batch_seconds",
            "Time a batch takes in the warehouse",
            count_value=taken.batches,
            sum_value=taken.seconds,
        )
        verdicts = CounterMetricFamily(
            "pixelgate_consumer_settled", "Unverified events by what they became", labels=["verdict"]
        )
        for verdict, count in (("accept", settled.visible), ("hide", settled.hidden), ("drop", settled.gone)):
            verdicts.add_metric([verdict], count)
        blocked = GaugeMetricFamily(
            "pixelgate_consumer_settling_blocked", "1 while the ledger cannot be read, so that nothing is settled"
        )
        blocked.add_metric([], bool(loop.settler.trouble))
        counted = [events, repeated, missing, duplicates, batches, verdicts, blocked, purged]
        return [*counted, *_purges(self._service.purger), *self._lag(), *self._kafka()]

    def _lag(self) -> list[Metric]:
        try:
            owed = self._service.owed()
        except OSError:
            owed = None  # a sample that is not known is absent
        lag = GaugeMetricFamily("pixelgate_consumer_owed", "Journalled hits that are not in the warehouse yet")
        if owed is not None:
            lag.add_metric([], owed)
        return [lag]

    def _kafka(self) -> list[Metric]:
        """What only the scale-out form has."""
        if self._service.kafka is None:
            return []
        status, announcer = self._service.loop.source.status(), self._service.announcer
        lag = GaugeMetricFamily(
            "pixelgate_consumer_lag", "Records of a partition that were not read yet", labels=["partition"]
        )
        for partition, records in status.lag.items():
            lag.add_metric([partition], records)
        announced = announcer.announced if announcer else 0
        return [
            lag,
            _counted("pixelgate_consumer_poison", "Records that are no events, kept as dead letters", status.poison),
            _counted("pixelgate_consumer_again", "Events that were looked up by id", status.again),
            _counted("pixelgate_consumer_lost", "Records that Kafka removed before they were read", status.lost),
            _counted("pixelgate_consumer_announced", "Settled events written to pixel.events", announced),
        ]


class PurgeMetrics(Collector):
    """What `consumer purge` alone has to tell."""

    def __init__(self, purger: Purger) -> None:
        self._purger = purger

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        return _purges(self._purger)


def _purges(purger: Purger) -> list[Metric]:
    receipts = _counted("pixelgate_consumer_receipts", "Purges that ended here", purger.receipts)
    waiting = GaugeMetricFamily("pixelgate_consumer_purges_waiting", "Deleted accounts that have no receipt yet")
    waiting.add_metric([], purger.waiting)
    blocked = GaugeMetricFamily("pixelgate_consumer_purge_blocked", "1 while purges cannot go on")
    blocked.add_metric([], bool(purger.trouble))
    return [receipts, waiting, blocked]


def _counted(name: str, what: str, value: int) -> Metric:
    counted = CounterMetricFamily(name, what)
    counted.add_metric([], value)
    return counted
