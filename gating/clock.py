"""The gating service's clock: one that a jump of the host's own clock cannot move.

Every deadline and every `received_at` hangs on this time: workers take it over at each contact. It starts at the host's
clock and goes on by CLOCK_BOOTTIME, which nobody sets; a difference to the host's clock is worked off slowly.
"""

import time
from collections.abc import Callable
from typing import Final

SLEW: Final = 500e-6
"""How fast a difference to the host's clock is worked off: 500 us a second, adjtime(3)'s rate. An NTP-disciplined host
stays within that; an hour's jump takes months and moves nothing meanwhile: restart the service to take it over."""


def boot_ns() -> int:
    """CLOCK_BOOTTIME in nanoseconds: goes on while the machine sleeps, is never set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Clock:
    """Microseconds UTC, never backwards within a process."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns, boot_ns: Callable[[], int] = boot_ns) -> None:
        self._wall_ns = wall_ns
        self._boot_ns = boot_ns
        self._offset_ns = wall_ns() - boot_ns()
        self._slewed_at_ns = boot_ns()

    def now_us(self) -> int:
        """The time now, slewed towards the host's clock by at most `SLEW` since the last call."""
        boot = self._boot_ns()
        room_ns = int((boot - self._slewed_at_ns) * SLEW)
        if room_ns > 0:
            error_ns = self._wall_ns() - boot - self._offset_ns
            self._offset_ns += max(-room_ns, min(room_ns, error_ns))
            self._slewed_at_ns = boot
        return (boot + self._offset_ns) // 1000

    def behind_wall_seconds(self) -> float:
        """How far the host's clock stands ahead of this one; `doctor` warns beyond a second."""
        return (self._wall_ns() - self._boot_ns() - self._offset_ns) / 1e9
