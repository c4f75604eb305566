"""Backoff: how long to wait before the next try at a server that does not answer.

Full jitter, so that a thousand clients of a server that comes back do not come back at one instant (Marc Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

import random
from typing import Final

FIRST_SECONDS: Final = 0.05
SECONDS_MAX: Final = 5.0


class Backoff:
    """One client's waits: each drawn between nothing and twice the bound of the one before."""

    def __init__(self, first_seconds: float = FIRST_SECONDS, seconds_max: float = SECONDS_MAX) -> None:
        self._first_seconds, self._seconds_max = first_seconds, seconds_max
        self._bound_seconds = first_seconds

    def next(self) -> float:
        """Seconds to wait now."""
        bound, self._bound_seconds = self._bound_seconds, min(2 * self._bound_seconds, self._seconds_max)
        return random.uniform(0, bound)  # noqa: S311  no secret

    def reset(self) -> None:
        """It worked: the next failure begins small again."""
        self._bound_seconds = self._first_seconds
