"""What Prometheus reads of effects, by kind and never by account; read from the ledger at each scrape."""

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.clock import Clock
from gating.errors import PixelgateError
from gating.ledger import Ledger
from gating.status import SECOND_US


class EffectMetrics(Collector):
    """Owed, the oldest one's age, failed tries of those, dead letters. Nothing while the ledger cannot be read."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        owed = GaugeMetricFamily("pixelgate_effects_owed", "Effects not yet carried out", labels=["kind"])
        age = GaugeMetricFamily("pixelgate_effects_oldest_seconds", "Age of the oldest of them", labels=["kind"])
        failed = GaugeMetricFamily("pixelgate_effects_failed_tries", "Failed tries of those owed", labels=["kind"])
        dead = GaugeMetricFamily("pixelgate_effects_dead", "Effects given up", labels=["kind"])
        try:
            sums = self._ledger.effects.sums()
        except PixelgateError:
            return []
        now_us = self._clock.now_us()
        for kind, (count, oldest_us, failures, letters) in sums.items():
            owed.add_metric([kind], count)
            age.add_metric([kind], 0 if oldest_us is None else max(0, now_us - oldest_us) / SECOND_US)
            failed.add_metric([kind], failures)
            dead.add_metric([kind], letters)
        return [owed, age, failed, dead]
