"""Latencies as an HdrHistogram: microseconds from 1 us to an hour, three significant digits, mergeable over processes.

Two are kept of each hit. *Answered* is from when it was sent. *Due* is from when it should have been sent by its
visitor's schedule: a visitor who waits for a slow answer sends the next hit late, and a histogram of the first kind
alone would forget what that one would have waited (coordinated omission).
"""

from collections.abc import Sequence
from typing import Any, Final

from hdrh.histogram import HdrHistogram

LEAST_US: Final = 1
MOST_US: Final = 3_600_000_000
DIGITS: Final = 3
PERCENTS: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0)


class Latency:
    """Counts of durations. Durations beyond an hour count as an hour."""

    __slots__ = ("_histogram",)

    def __init__(self) -> None:
        self._histogram: Any = HdrHistogram(LEAST_US, MOST_US, DIGITS)

    def note(self, seconds: float) -> None:
        """Count one; below a microsecond counts as one."""
        self._histogram.record_value(min(max(LEAST_US, round(seconds * 1e6)), MOST_US))

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percent: float) -> float:
        """Tell how long `percent` of all took at most, in milliseconds; 0 where there are none."""
        return float(self._histogram.get_value_at_percentile(percent)) / 1e3 if len(self) else 0.0

    def table_ms(self, percents: Sequence[float] = PERCENTS) -> dict[str, float]:
        """Tell several at once: `{"99.9": ms}`."""
        return {f"{percent:g}": self.percentile_ms(percent) for percent in percents}

    def curve_ms(self, points: int = 120) -> list[tuple[float, float]]:
        """List (percentile, ms) from the median's side to the last hit, evenly over the log of 1 - percentile."""
        total = len(self)
        if not total:
            return []
        last = 1.0 / total
        shares = [1.0 - last ** (at / points) for at in range(points)]
        return [(100 * share, self.percentile_ms(100 * share)) for share in shares] + [(100.0, self.percentile_ms(100))]

    def encoded(self) -> bytes:
        """Write it in HdrHistogram's own format (V2, deflated, base64): other tools read it."""
        return bytes(self._histogram.encode()) if len(self) else b""

    def add(self, encoded: bytes) -> None:
        """Count another's in. Raises ValueError or the codec's own error for what is no histogram."""
        if encoded:
            self._histogram.decode_and_add(encoded)
