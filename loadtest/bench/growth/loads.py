"""The two loads of every axis: a steady pace (pacer.py), and as fast as answers come (wrk). Each gives a window.

CPU a hit falls as load rises, since wake-ups are shared; so points compare at one pace, and at full load only among
themselves, where the core is equally busy.
"""

import contextlib
import json
import math
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.bench.cpu import PROC, TICKS_PER_SECOND, machine_seconds, parse_stat, pinned, tree
from loadtest.bench.growth.marked import Marked, parse_marks
from loadtest.bench.rounds import faults_of
from loadtest.bench.wrk import GRACE_SECONDS, WrkFailed, parse
from loadtest.peers.server import ROOT, Running

MANY: Final = 2000
"""From so many connections on they take seconds to be made: more than a listener's queue holds come at once."""
MANY_SECONDS: Final = 3.0
FILE_BYTES_PER_SECOND: Final = 40_000_000
"""How fast wrk's script reads heads, a low guess; it does that before it sends any."""
SPARE_SECONDS: Final = 1.0
"""wrk runs so much longer than its window."""


class LoadFailed(Exception):
    """A load did not run to its end; the message holds its own words."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is loaded: a server, which processes beside it are known by, the heads, the core the load has."""

    running: Running
    heads: Path
    core: int
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen. hits: within `seconds`; answered and sent: of the whole load, before the window and after it."""

    hits: int
    seconds: float
    cpu_seconds: float
    others: float
    p50_us: int
    p99_us: int
    answered: int
    sent: int
    faults: Sequence[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """Clocks at one moment: the wall's, and CPU seconds of the server, of all that is known, of the machine."""

    at: float
    server: float
    known: float
    machine: float


class Clocks:
    """Reads them. Who belongs to the server is looked up once, since a walk through /proc holds the load up for
    milliseconds, which its p99 would show."""

    def __init__(self, running: Running, load_pid: int) -> None:
        self._server = list(tree(running.process.pid))
        self._beside = [pid for process in running.beside for pid in tree(process.pid)]
        self._load = load_pid

    def read(self) -> Reading:
        """Now; a tenth of a millisecond."""
        server, at = _seconds(self._server), time.monotonic()
        known = server + _seconds([*self._beside, self._load]) + time.process_time()
        return Reading(at, server, known, machine_seconds())


def _seconds(pids: Sequence[int]) -> float:
    """CPU seconds of processes, children they have waited for included; none of those that are gone."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            ticks += parse_stat((PROC / str(pid) / "stat").read_text()).ticks
    return ticks / TICKS_PER_SECOND


class GrowthLoad(ABC):
    """How hits come. name: as a series tells it."""

    name: str
    connections: int

    @abstractmethod
    def run(self, target: Target, settle: float, seconds: float) -> Window:
        """Load the target for `settle` seconds, then measure for `seconds`. Raises LoadFailed, WrkFailed, OSError."""

    def settling(self, settle: float) -> float:
        """The same with the time that many connections need."""
        return max(settle, MANY_SECONDS) if self.connections >= MANY else settle


@dataclass(frozen=True)
class Steady(GrowthLoad):
    """So many hits a second, whatever the server does."""

    connections: int
    pace: float

    @property
    def name(self) -> str:  # type: ignore[override]
        """Its pace."""
        return f"{self.pace:,.0f} hits/s"

    def run(self, target: Target, settle: float, seconds: float) -> Window:
        """Raises LoadFailed."""
        argv = [sys.executable, "-m", "loadtest.bench.growth.pacer", str(target.running.port), str(target.heads)]
        argv += ["--connections", str(self.connections), "--pace", str(self.pace)]
        argv += ["--settle", str(self.settling(settle)), "--seconds", str(seconds)]
        with pinned(target.core):
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        try:
            clocks = Clocks(target.running, process.pid)
            _said(process)
            before = clocks.read()
            told = _said(process)
            after = clocks.read()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            process.communicate()
        return _window(before, after, told["hits"], told)


def _said(process: "subprocess.Popen[str]") -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    told: dict[str, Any] = json.loads(line or '{"failed": "the pacer ended without a word"}')
    if "failed" in told:
        raise LoadFailed(str(told["failed"]))
    return told


@dataclass(frozen=True)
class Full(GrowthLoad):
    """As fast as answers come, on every connection."""

    connections: int
    name = "full load"

    def run(self, target: Target, settle: float, seconds: float) -> Window:
        """Raises WrkFailed."""
        settled = self.settling(settle) + target.heads.stat().st_size / FILE_BYTES_PER_SECOND
        load = Marked(target.core, self.connections, math.ceil(settled + seconds + SPARE_SECONDS))
        wrk = load.start(target.running.port, target.heads)
        clocks = Clocks(target.running, wrk.pid)
        try:
            time.sleep(settled)  # the load's own time, not a synchronisation
            before = clocks.read()
            time.sleep(seconds)
            after = clocks.read()
            output, _ = wrk.communicate(timeout=load.seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise WrkFailed(f"wrk did not end {GRACE_SECONDS:.0f} s after its time") from error
        finally:
            wrk.kill()
            wrk.communicate()
        seen = parse(output)
        told = {"answered": seen.answered, "sent": seen.sent, "p50_us": seen.p50_us, "p99_us": seen.p99_us}
        hits = parse_marks(output).between(before.at, after.at)
        return _window(before, after, hits, told, faults_of(seen, target.answer_bytes, self.connections))


def _window(before: Reading, after: Reading, hits: int, told: dict[str, Any], faults: Sequence[str] = ()) -> Window:
    seconds = after.at - before.at
    used = after.machine - before.machine - (after.known - before.known)
    return Window(
        hits=hits, seconds=seconds, cpu_seconds=after.server - before.server, others=max(0.0, used) / seconds,
        p50_us=told["p50_us"], p99_us=told["p99_us"], answered=told["answered"], sent=told["sent"],
        faults=faults if hits else [*faults, "no hit was answered"],
    )  # fmt: skip
