"""Straight: whether cost grows in a line with what grows, and if not, where it leaves it. Pure.

A line is laid through the medians by least squares of relative errors (a microsecond off counts more where a hit costs
five than where it costs fifty). What is within the noise of the rounds is straight: a point leaves the line when its
whole range, least to most, lies more than TOLERANCE away from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.bench.stats import Spread

TOLERANCE: Final = 0.1
"""A tenth: figures of one point differ by as much from round to round on the machines this was made on."""
FLAT: Final = 0.1
"""A line that rises by less than a tenth from end to end is called flat."""
POINTS_MIN: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """y = base + slope * x; rise: y at the last x over y at the first, less 1."""

    base: float
    slope: float
    rise: float
    off: Sequence[float]

    @property
    def is_straight(self) -> bool:
        """No point leaves it."""
        return not self.off

    @property
    def is_flat(self) -> bool:
        """It is straight, and does not rise or fall worth telling."""
        return self.is_straight and abs(self.rise) < FLAT


def line(points: Sequence[tuple[float, Spread]]) -> Line | None:
    """Fit; `off` has the x of each point that leaves the line. None for fewer than POINTS_MIN points."""
    points = [(x, spread) for x, spread in points if spread.median > 0]
    if len(points) < POINTS_MIN:
        return None
    weights = [1 / spread.median**2 for _, spread in points]
    total = sum(weights)
    x_mean = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    y_mean = sum(w * spread.median for w, (_, spread) in zip(weights, points, strict=True)) / total
    over = sum(w * (x - x_mean) * (spread.median - y_mean) for w, (x, spread) in zip(weights, points, strict=True))
    under = sum(w * (x - x_mean) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    slope = over / under if under else 0.0
    base = y_mean - slope * x_mean
    first, last = (base + slope * x for x in (points[0][0], points[-1][0]))
    off = [x for x, spread in points if not _near(spread, base + slope * x)]
    return Line(base, slope, last / first - 1 if first else 0.0, off)


def _near(spread: Spread, expected: float) -> bool:
    return spread.least <= expected * (1 + TOLERANCE) and spread.most >= expected * (1 - TOLERANCE)


def words(found: Line | None, unit: str, what: str = "us") -> str:
    """Say it in one clause."""
    if found is None:
        return "too few points for a line"
    one = unit if unit.endswith("/s") else unit.removesuffix("s")
    drawn = f"{found.base:,.2f} {what} {'-' if found.slope < 0 else '+'} {abs(found.slope):.3g} {what} a {one}"
    if found.is_flat:
        return f"flat: {found.rise:+.0%} from end to end"
    if found.is_straight:
        return f"straight: {drawn}"
    places = ", ".join(f"{x:,.10g}" for x in found.off)
    return f"not one line ({drawn}): off by more than {TOLERANCE:.0%} at {places}"
