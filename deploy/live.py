"""The live line of `run`: hits a second, what became of them, what they cost.

Called once a second by local.py with what the workers published and the kernel's account of their CPU. `Meter` is
arithmetic on samples; `LiveLine` puts its words on a terminal in place, or into a pipe line by line.
"""

import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from collector.metrics import Published
from collector.outcome import LABELS, Outcome

WINDOW_SAMPLES: Final = 5  # CPU a hit is taken over this many looks: counters and CPU are never read at one instant
IDLE_LINE_SECONDS: Final = 10.0  # in a pipe, how often to say that nothing happens
CLEAR_LINE: Final = "\r\x1b[K"
GROUPS: Final = ("accepted", "hidden", "dropped", "malformed", "overflow")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the live line says. The sums count from the meter's first sample on; `cpu_us_a_hit` is None without hits."""

    hits_a_second: float
    sums: dict[str, int]
    cpu_us_a_hit: float | None

    def words(self) -> str:
        """The line, without an end."""
        sums = "   ".join(f"{name} {self.sums[name]:,}" for name in GROUPS[:3])
        rare = "".join(f"   {name} {self.sums[name]:,}" for name in GROUPS[3:] if self.sums[name])
        cost = "-" if self.cpu_us_a_hit is None else f"{self.cpu_us_a_hit:.1f}"
        return f"{self.hits_a_second:,.0f} hits/s   {sums}{rare}   CPU {cost} us/hit"


class Meter:
    """Turns successive samples into readings."""

    def __init__(self, counters: Iterable[Published]) -> None:
        """counters: what stood there before; only what comes on top is counted."""
        counters = list(counters)
        self._before = sum_groups(counters)
        self._last = {c.journal: (c.hits, c.published_us) for c in counters}
        self._rates: dict[str, float] = {}
        self._cpu: dict[int, float] = {}
        self._cpu_sum = 0.0
        self._window: deque[tuple[int, float]] = deque(maxlen=WINDOW_SAMPLES + 1)

    def read(self, counters: Iterable[Published], cpu: Mapping[int, float]) -> Reading:
        """Take one sample. cpu: seconds used so far by each worker that lives. Without news a worker keeps its rate."""
        counters = list(counters)
        for published in counters:
            self._rates[published.journal] = self._rate(published)
            self._last[published.journal] = (published.hits, published.published_us)
        self._cpu_sum += sum(max(0.0, used - self._cpu.get(pid, used)) for pid, used in cpu.items())
        self._cpu = dict(cpu)
        total = sum(published.hits for published in counters)
        self._window.append((total, self._cpu_sum))
        hits = total - self._window[0][0]
        cost = (self._cpu_sum - self._window[0][1]) * 1e6 / hits if hits > 0 and cpu else None
        now = sum_groups(counters)
        sums = {name: max(0, now[name] - self._before[name]) for name in GROUPS}
        # A dead worker publishes no more: its last rate is no rate of now.
        rate = sum(self._rates[published.journal] for published in counters if published.pid in cpu or not cpu)
        return Reading(rate, sums, cost)

    def _rate(self, published: Published) -> float:
        """Hits a second between a worker's last two publications."""
        hits, published_us = self._last.get(published.journal, (0, published.started_us))
        if published.published_us <= published_us:
            return self._rates.get(published.journal, 0.0)
        return max(0, published.hits - hits) * 1e6 / (published.published_us - published_us)


def sum_groups(counters: Iterable[Published]) -> dict[str, int]:
    """All outcomes summed under the live line's words; what is kept unverified is hidden until it is settled."""
    sums = dict.fromkeys(GROUPS, 0)
    for published in counters:
        for outcome in Outcome:
            sums[LABELS[outcome][0]] += published.outcome(outcome)
    return sums


class LiveLine:
    """Shows readings: in place on a terminal; in a pipe one line each, while nothing happens one in a while."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._in_place = self._stream.isatty()
        self._shown: dict[str, int] | None = None
        self._shown_at = 0.0

    def show(self, reading: Reading) -> None:
        """Show one reading."""
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"{CLEAR_LINE}{reading.words()[:width]}")
        elif reading.sums != self._shown or time.monotonic() - self._shown_at >= IDLE_LINE_SECONDS:
            self._write(f"{reading.words()}\n")
            self._shown, self._shown_at = reading.sums, time.monotonic()

    def say(self, message: str) -> None:
        """One line of other news, to stderr, that does not run into the live line."""
        if self._in_place:
            self._write(CLEAR_LINE)
        print(message, file=sys.stderr, flush=True)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
