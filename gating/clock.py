"""The gating service's clock: one that a jump of the host's own clock cannot move.

Every deadline and every `received_at` hangs on this time: workers take it over at each contact. It starts at the host's
clock and goes on by CLOCK_BOOTTIME, which nobody sets; a difference to the host's clock is worked off slowly.
"""

import functools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SLEW: Final = 500e-6
"""How fast a difference to the host's clock is worked off: 500 us a second, adjtime(3)'s rate. An NTP-disciplined host
stays within that; an hour's jump takes months and moves nothing meanwhile: restart the service to take it over."""


def boot_ns() -> int:
    """CLOCK_BOOTTIME in nanoseconds: goes on while the machine sleeps, is never set."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@functools.cache
def boot_id() -> str:
    """The host's boot (random(4)); a random id where the kernel tells none: then no other's CLOCK_BOOTTIME counts."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Reading:
    """A service's clocks at one moment. boot_ns: CLOCK_BOOTTIME, which means something within boot `boot_id` alone."""

    wall_us: int
    boot_id: str
    boot_ns: int


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

    def reading(self) -> Reading:
        """The clocks now, for the heartbeat."""
        return Reading(self.now_us(), boot_id(), self._boot_ns())

    def behind_wall_seconds(self) -> float:
        """How far the host's clock stands ahead of this one; `doctor` warns beyond a second."""
        return (self._wall_ns() - self._boot_ns() - self._offset_ns) / 1e9
