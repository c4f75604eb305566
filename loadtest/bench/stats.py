"""The few statistics a run needs: medians with their range, percentiles by nearest rank. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of a handful of rounds; a standard deviation of five noisy rounds would say less."""

    median: float
    least: float
    most: float
    rounds: int


def spread(values: Sequence[float]) -> Spread | None:
    """Sum up values; none gives None."""
    if not values:
        return None
    return Spread(float(median(values)), float(min(values)), float(max(values)), len(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all values do not exceed (nearest rank: always a measured one).

    Raises ValueError for no values or a percent outside 0..100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError(f"percentile {percent} of {len(values)} values: needs values, and a percent of 0 to 100")
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]
