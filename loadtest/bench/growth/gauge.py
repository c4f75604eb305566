"""Gauge: one point, measured on a server that runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadtest.bench.growth.contenders import rss_mb
from loadtest.bench.growth.loads import GrowthLoad, LoadFailed, Target, Window
from loadtest.bench.growth.sample import Sample
from loadtest.bench.wrk import WrkFailed, write_heads
from loadtest.peers.server import Running, ServerFailed, ask

TRIES: Final = 3
LOADS_FAIL: Final = (LoadFailed, WrkFailed, ServerFailed, OSError)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each point is loaded before it is measured, and measured, in seconds.

    noise: cores that others may use meanwhile. What was measured beside more is measured again, TRIES times in all, and
    is void if none of them was quiet.
    """

    settle: float
    seconds: float
    noise: float = math.inf


@dataclass(frozen=True, slots=True)
class Point:
    """A place on an axis: x, the load and the heads it is measured with."""

    x: float
    load: GrowthLoad
    heads: Sequence[bytes]


@dataclass(slots=True)
class Gauge:
    """Measures points of one server's life, and counts what it was asked in all. answered, sent: probes included."""

    running: Running
    core: int
    pace: Pace
    folder: Path
    answered: int = 0
    sent: int = 0
    _files: dict[int, Path] = field(default_factory=dict)

    def measure(self, name: str, point: Point, number: int) -> Sample:
        """Probe it, load it, read it. What goes wrong makes the sample void. name: the server's."""
        series = f"{name}, {point.load.name}"
        try:
            window = self._quiet(point)
        except LOADS_FAIL as error:
            return Sample(series, point.x, number, faults=[str(error)])
        loud = [f"others used {window.others:.2f} cores meanwhile"] if window.others > self.pace.noise else []
        return Sample(
            series, point.x, number, hits=window.hits, seconds=window.seconds, cpu_seconds=window.cpu_seconds,
            others=window.others, p50_us=window.p50_us, p99_us=window.p99_us,
            rss_mb=rss_mb(self.running.process.pid), faults=[*window.faults, *loud],
        )  # fmt: skip

    def _quiet(self, point: Point) -> Window:
        """The first window that others left alone, or the least disturbed one."""
        windows: list[Window] = []
        for _ in range(TRIES):
            windows.append(self._load(point))
            if windows[-1].others <= self.pace.noise:
                break
        return min(windows, key=lambda window: window.others)

    def _load(self, point: Point) -> Window:
        answer_bytes = ask(self.running.port, point.heads[0])  # the probe proves what the load only counts
        self.answered, self.sent = self.answered + 1, self.sent + 1
        target = Target(self.running, self._file(point.heads), self.core, answer_bytes)
        window = point.load.run(target, self.pace.settle, self.pace.seconds)
        self.answered += window.answered
        self.sent += window.sent
        return window

    def _file(self, heads: Sequence[bytes]) -> Path:
        if id(heads) not in self._files:
            self._files[id(heads)] = write_heads(self.folder / f"heads-{len(self._files)}", heads)
        return self._files[id(heads)]
