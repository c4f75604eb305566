"""Linger: a worker with time to spare waits a moment after a tick, so that the next one holds more hits.

Only where PIXELGATE_LINGER_US asks for it. At a few thousand hits a second each hit wakes its worker: one look at the
sockets, one frame, one write and cold caches a hit, which cost several times their share of a full tick. A pause after
the answers, before anything is read again, has the hits of that moment share them, at the price of their latency: the
idea of a network card's interrupt coalescing (`ethtool -C rx-usecs`) and of Kafka's `linger.ms`.

By turns: LOOK_TICKS ticks without a pause tell the pace, and how much of the time the thread had nothing to do; then
LINGER_TICKS with one, where both say that it pays. So a worker that is pressed never waits: at its limit it is not
idle, and at a high pace ticks are full by themselves. Verdicts play no part (I2).
"""

from collections.abc import Callable
from time import perf_counter_ns, sleep, thread_time_ns
from typing import Final

LOOK_TICKS: Final = 8
LINGER_TICKS: Final = 24  # a rush that comes now meets pauses for so many ticks more
FULL_HITS: Final = 16  # or until a tick holds so many
NEAR_NS: Final = 50_000
"""Hits closer than this on average (20,000/s a worker) share ticks by themselves."""
CAUGHT_MIN: Final = 1.5
"""Hits that come during a pause on average; fewer do not pay for its own waking up (docs/performance.md)."""
IDLE_SHARE: Final = 1 / 8
"""Of the time; less is what neighbours take from a worker that is at its limit."""


class Linger:
    """One worker's. Called by its group at the end of each tick; holds the loop's thread while it waits.

    seconds: how long a pause is; the kernel adds its timers' slack, 50 us. wall_ns, cpu_ns: clocks, of the world and of
    what the calling thread has used.
    """

    __slots__ = (
        "_cpu_ns",
        "_far_ns",
        "_from_cpu_ns",
        "_from_ns",
        "_hits",
        "_left",
        "_pauses",
        "_seconds",
        "_sleep",
        "_wall_ns",
    )

    def __init__(
        self,
        seconds: float,
        *,
        wall_ns: Callable[[], int] = perf_counter_ns,
        cpu_ns: Callable[[], int] = thread_time_ns,
        sleep: Callable[[float], None] = sleep,
    ) -> None:
        self._seconds, self._wall_ns, self._cpu_ns, self._sleep = seconds, wall_ns, cpu_ns, sleep
        self._far_ns = seconds * 1e9 / CAUGHT_MIN
        self._pauses, self._left, self._hits = False, LOOK_TICKS, 0
        self._from_ns, self._from_cpu_ns = wall_ns(), cpu_ns()

    def after_tick(self, hits: int) -> None:
        """A tick of so many hits is answered: wait, where that pays."""
        self._left -= 1
        if self._pauses:
            if hits >= FULL_HITS or not self._left:
                self._begin_look()
            else:
                self._sleep(self._seconds)
            return
        self._hits += hits
        if not self._left:
            if self._pays():
                self._pauses, self._left = True, LINGER_TICKS
            else:
                self._begin_look()

    def _begin_look(self) -> None:
        self._pauses, self._left, self._hits = False, LOOK_TICKS, 0
        self._from_ns, self._from_cpu_ns = self._wall_ns(), self._cpu_ns()

    def _pays(self) -> bool:
        took_ns = self._wall_ns() - self._from_ns
        idle_ns = took_ns - (self._cpu_ns() - self._from_cpu_ns)
        return idle_ns > IDLE_SHARE * took_ns and NEAR_NS * self._hits < took_ns < self._far_ns * self._hits
