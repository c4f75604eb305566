"""The rounds of `latency.py`: capacities first, then every server in turn under all its steps, again and again.

A turn is one start of a server: all its steps one after the other, then its stop, then what it kept is counted. Before
each leg the machine is left to come to rest; a leg during which others used it is void like one with errors.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores, cpu_seconds, machine_seconds, waited_seconds
from loadtest.bench.latency.result import Capacity, Leg, Step, Turn
from loadtest.bench.latency.service import Service, TimedPixelgate, scrape, service
from loadtest.bench.pace import Pace, PaceFailed, faults_of
from loadtest.bench.wrk import Load, WrkFailed, write_heads
from loadtest.heads import HEADS, heads
from loadtest.peers.pixelgate import Pixelgate, pixelgate, program, start_gating
from loadtest.peers.server import KEEP_ALIVE, Place, Running, Server, ServerFailed, ask

OTHERS_MAX: Final = 0.15
"""Of a core, on average over a leg: beyond it, its high percentiles tell of the neighbours."""
REST_MAX: Final = 0.10
REST_SECONDS: Final = 0.3
START_PROBES_MAX: Final = 2
"""Hits that a server's start sends by itself, to a key that no gate knows: they may be kept, or not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is measured. wait_seconds: how long to wait for the machine to come to rest before each leg."""

    seconds: float
    warmup_seconds: float
    connections: int
    seed: int
    wait_seconds: float


@dataclass(slots=True)
class Used:
    """CPU seconds over a block: the server's tree, the load's, anybody else's; and how long it took."""

    server: float = 0.0
    load: float = 0.0
    others: float = 0.0
    seconds: float = 0.0


@contextmanager
def using(pid: int) -> Iterator[Used]:
    """Count what is used while the block runs."""
    used = Used()
    began, machine, load, server = time.monotonic(), machine_seconds(), waited_seconds(), cpu_seconds(pid)
    yield used
    used.server, used.load = cpu_seconds(pid) - server, waited_seconds() - load
    used.seconds = time.monotonic() - began
    used.others = max(0.0, machine_seconds() - machine - used.server - used.load) / used.seconds


def rest(seconds: float) -> None:
    """Wait until nobody uses the machine, at most that long; who comes later is found by `others`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = machine_seconds()
        time.sleep(REST_SECONDS)  # what is measured is that nothing happens meanwhile
        if (machine_seconds() - before) / REST_SECONDS <= REST_MAX:
            return


class Rounds:
    """Measures servers in a work folder; each start has a folder of its own, removed after it."""

    def __init__(self, plan: Plan, pace: Pace, cores: Cores, work: Path) -> None:
        self._plan = plan
        self._pace = pace
        self._cores = cores
        self._work = work

    def capacity(self, server: Server) -> Capacity:
        """Load one server as fast as it answers. What goes wrong makes the run void."""
        try:
            with self._started(server) as (running, file, _):
                load = Load(self._cores.load, self._plan.connections, self._plan.seconds)
                Load(self._cores.load, self._plan.connections, self._plan.warmup_seconds).run(running.port, file)
                rest(self._plan.wait_seconds)
                with using(running.process.pid) as used:
                    seen = load.run(running.port, file)
        except (ServerFailed, WrkFailed, OSError) as error:
            return Capacity(server.name, 0.0, 0.0, 0.0, 0.0, (str(error),))
        seconds = seen.duration_us / 1e6
        faults = [f"{count} {kind} errors" for kind, count in seen.errors.items()] + _crowd(used)
        rate = seen.answered / seconds
        return Capacity(server.name, rate, used.server / seconds, used.load / seconds, used.others, faults)

    def turn(self, server: Server, name: str, steps: Sequence[Step], number: int) -> tuple[Turn, list[Leg]]:
        """Start a server and put it through its steps; `name` is the one it has in the results."""
        legs: list[Leg] = []
        try:
            with self._started(server) as (running, file, folder):
                answer_bytes = ask(running.port, heads(self._plan.seed, 1, server.keys)[0])
                for step in steps:
                    leg = self._leg(running, server, name, step, file, answer_bytes, number)
                    legs.append(leg)
                if ask(running.port, heads(self._plan.seed, 1, server.keys)[0]) != answer_bytes:
                    raise ServerFailed("its answers' size changed")
                running.stop()
                return self._counted(server, name, number, running, folder, legs), legs
        except (ServerFailed, OSError) as error:
            return Turn(name, number, 0, 0, faults=(str(error),)), legs

    def _leg(
        self, running: Running, server: Server, name: str, step: Step, file: Path, answer_bytes: int, number: int
    ) -> Leg:
        plan = self._plan
        timed = server.metrics_port if isinstance(server, TimedPixelgate) else 0
        found: Service | None = None
        try:
            before = scrape(timed) if timed else {}
            rest(plan.wait_seconds)
            with using(running.process.pid) as used:
                paced = self._pace.run(
                    running.port, file, step.rate, plan.seconds, plan.warmup_seconds, poisson=step.poisson
                )
            if timed:
                found = service(before, scrape(timed))
        except (PaceFailed, ServerFailed, OSError) as error:
            return Leg(name, step.name, number, None, faults=(str(error),))
        faults = faults_of(paced, answer_bytes) + _crowd(used)
        if found and found.hits != paced.answered_in_all:
            faults.append(f"{found.hits} hits were timed, {paced.answered_in_all} answered")
        cpu_us = used.server / max(1, paced.answered_in_all) * 1e6
        return Leg(
            name, step.name, number, paced, cpu_us, used.server / used.seconds, used.others, found, tuple(faults)
        )

    def _counted(
        self, server: Server, name: str, number: int, running: Running, folder: Path, legs: Sequence[Leg]
    ) -> Turn:
        """Hold what the server has kept against what it answered: the legs' hits and the two probes."""
        answered = 2 + sum(leg.paced.answered_in_all for leg in legs if leg.paced)
        sent = 2 + sum(leg.paced.sent_in_all for leg in legs if leg.paced)
        kept, frames = running.kept() if running.kept and not isinstance(server, Pixelgate) else None, None
        if isinstance(server, Pixelgate):
            kept, frames = _journalled(folder / "data")
        complete = all(leg.paced for leg in legs)  # who knows what a load that failed had sent
        faults = []
        if kept is not None and complete and not answered <= kept <= sent + START_PROBES_MAX:
            faults.append(f"kept {kept} of {answered} answered and {sent} sent hits")
        return Turn(name, number, answered, sent, kept, frames, tuple(faults))

    @contextmanager
    def _started(self, server: Server) -> Iterator[tuple[Running, Path, Path]]:
        """A running server, its file of heads, its folder."""
        file = self._work / f"heads-{server.name}"
        if not file.exists():
            write_heads(file, heads(self._plan.seed, HEADS, server.keys))
        folder = self._work / f"turn-{server.name}"
        folder.mkdir(parents=True)
        try:
            with self._beside(server, folder):
                running = server.start(Place(folder, KEEP_ALIVE, self._cores))
                try:
                    yield running, file, folder
                finally:
                    if running.process.poll() is None:
                        running.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _beside(self, server: Server, folder: Path) -> Iterator[None]:
        """Have a gating service on the load's core beside every server, as Pixelgate needs one: it disturbs the load of
        all of them alike."""
        if isinstance(server, Pixelgate) or program() is None:
            yield
            return
        idle = start_gating(folder / "beside", folder / "beside.words", self._cores.load)
        try:
            yield
        finally:
            idle.stop()


def _crowd(used: Used) -> list[str]:
    return [f"others used {used.others:.2f} of a core"] if used.others > OTHERS_MAX else []


def _journalled(data: Path) -> tuple[int, int]:
    """Records and frames of all journals, a frame for each group of hits. Raises ServerFailed where one is damaged."""
    records = frames = 0
    for journal in (data / "journals").iterdir():
        checked = pixelgate(data, "journal", "check", str(journal))
        if checked["missing"]:
            raise ServerFailed(f"journal {journal.name} misses sequences {checked['missing']}")
        records, frames = records + checked["records"], frames + checked["frames"]
    return records, frames
