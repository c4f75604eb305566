"""Backoff: how long to wait before the next try, with full jitter.

Pure: randomness comes in. The wait is drawn from 0 up to a limit that doubles with each failure: clients that lost the
same server then come back spread out, not all at once (AWS Architecture Blog, "Exponential Backoff And Jitter").
"""

import random
from collections.abc import Callable
from typing import Final

DOUBLINGS_MAX: Final = 32
"""Past this many the limit stands at its maximum whatever the base, and 2**n stays a small number."""


class Backoff:
    """The waits of one caller. `reset` once something worked."""

    def __init__(
        self, base_seconds: float, limit_seconds: float, draw: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._base_seconds, self._limit_seconds, self._draw = base_seconds, limit_seconds, draw
        self.failures = 0

    def next_seconds(self) -> float:
        """The wait before the next try; counts a failure."""
        limit = min(self._limit_seconds, self._base_seconds * 2 ** min(self.failures, DOUBLINGS_MAX))
        self.failures += 1
        return self._draw(0, limit)

    def reset(self) -> None:
        """Something worked: the next failure begins small again."""
        self.failures = 0
