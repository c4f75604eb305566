"""Zipf's law: the item of rank n is chosen in proportion to 1 / n**exponent."""

from bisect import bisect_right
from itertools import accumulate
from random import Random


class Zipf:
    """Draws ranks 0 .. count - 1. Eight bytes a rank, and a binary search a draw."""

    __slots__ = ("_sums",)
    _sums: list[float]

    def __init__(self, count: int, exponent: float) -> None:
        """Weigh the ranks. Raises ValueError for no ranks, or an exponent below 0 (0 draws evenly)."""
        if count < 1 or exponent < 0:
            raise ValueError(f"Zipf of {count} ranks with exponent {exponent}: needs a rank, and an exponent from 0 on")
        self._sums = list(accumulate((rank**-exponent for rank in range(1, count + 1)), initial=0.0))[1:]

    def draw(self, random: Random) -> int:
        """Draw a rank."""
        return min(bisect_right(self._sums, random.random() * self._sums[-1]), len(self._sums) - 1)

    def share(self, rank: int) -> float:
        """Tell how much of all draws a rank gets, 0 .. 1."""
        return (self._sums[rank] - (self._sums[rank - 1] if rank else 0.0)) / self._sums[-1]
