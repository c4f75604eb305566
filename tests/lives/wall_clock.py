"""The wall clock of processes that a test starts, by Debian's libfaketime; CLOCK_BOOTTIME and the monotonic one stay.

Leases run by the latter: were they moved, each jump would take every lease away.
"""

import time
from pathlib import Path

DAY_SECONDS = 86_400
LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class WallClock:
    """So many days ahead of the real one; whoever reads it after `move` reads it moved."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.move(0)

    def now_us(self) -> int:
        """What it shows."""
        return time.time_ns() // 1000 + round(self._days * DAY_SECONDS) * 1_000_000

    def move(self, days: float) -> None:
        """Stand `days` ahead of the real clock from now on."""
        self._days = days
        beside = self._file.with_suffix(".new")
        beside.write_text(f"+{round(days * DAY_SECONDS)}\n")
        beside.rename(self._file)

    def environment(self) -> dict[str, str]:
        """What a process needs that is to see each move; it must not call time.sleep, which the library breaks where
        it leaves the monotonic clock alone. Each look at any clock reads the file: a third of a role's time."""
        return {**_preloaded(), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1"}

    def fixed_environment(self) -> dict[str, str]:
        """The same for a process that ends before the next move."""
        return {**_preloaded(), "FAKETIME": f"+{round(self._days * DAY_SECONDS)}"}


def _preloaded() -> dict[str, str]:
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
