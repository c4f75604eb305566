"""What Prometheus reads of effects, by kind and never by account."""

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.clock import Clock
from gating.effects.counts import EffectCounts
from gating.errors import PixelgateError
from gating.ledger import Ledger
from gating.status import SECOND_US


class EffectMetrics(Collector):
    """What the process's tries came to; from the ledger at each scrape: owed, the oldest one's wait, dead letters.

    The latter are missing while the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger, clock: Clock, counts: EffectCounts) -> None:
        self._ledger, self._clock, self._counts = ledger, clock, counts

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        return [*self._tried(), *self._standing()]

    def _tried(self) -> list[Metric]:
        found: list[Metric] = []
        for name, words, counts in (
            ("pixelgate_effects_carried_out", "Effects carried out", self._counts.carried),
            ("pixelgate_effects_failures", "Tries of effects that failed", self._counts.failures),
            ("pixelgate_effects_untold", "Notices that had nobody to go to", self._counts.untold),
        ):
            family = CounterMetricFamily(name, words, labels=["kind"])
            for kind, count in sorted(counts.items()):
                family.add_metric([kind], count)
            found.append(family)
        return found

    def _standing(self) -> list[Metric]:
        owed = GaugeMetricFamily("pixelgate_effects_owed", "Effects not yet carried out", labels=["kind"])
        age = GaugeMetricFamily(
            "pixelgate_effects_oldest_seconds", "Since when the oldest of them is due", labels=["kind"]
        )
        dead = GaugeMetricFamily("pixelgate_effects_dead", "Effects given up", labels=["kind"])
        try:
            sums = self._ledger.effects.sums()
        except PixelgateError:
            return []
        now_us = self._clock.now_us()
        for kind, one in sums.items():
            owed.add_metric([kind], one.owed)
            age.add_metric([kind], 0 if one.oldest_due_us is None else max(0, now_us - one.oldest_due_us) / SECOND_US)
            dead.add_metric([kind], one.dead)
        return [owed, age, dead]
