"""The rounds: every server in turn, again and again, so that a noisy minute falls on all of them alike.

A turn is one server under one scenario: start, warm up, measure for a few looks, stop, count what it kept. Started anew
each time, a server cannot gain or lose by how long it has run, and the spread holds what differs from start to start.
"""

import shutil
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.bench.cpu import Cores, cpu_seconds, machine_seconds, waited_seconds
from loadtest.bench.idle import IdleConnections, allow_files
from loadtest.bench.result import Kept, Look
from loadtest.bench.wrk import Load, Seen, WrkFailed, write_heads
from loadtest.heads import heads
from loadtest.peers.server import Place, Running, Scenario, Server, ServerFailed, ask

PROBES = 2
START_PROBES_MAX = 2
"""Hits that a server's start sends by itself, to a key that no gate knows: they may be kept, or not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is measured.

    looks: of a turn, each of so many seconds. connections: kept open, or open at a time where each hit has its own.
    """

    rounds: int
    looks: int
    seconds: float
    warmup_seconds: float
    connections: int
    seed: int


def play(
    servers: Sequence[Server], scenarios: Sequence[Scenario], plan: Plan, cores: Cores, work: Path
) -> Iterator[Look]:
    """Play all turns, interleaved, each in a fresh folder that is removed after it; yields their looks as they end.

    A server is left out of the scenarios that it does not play.
    """
    for number in range(1, plan.rounds + 1):
        for scenario in scenarios:
            for server in (one for one in servers if one.plays(scenario)):
                folder = work / f"turn-{server.name}"
                folder.mkdir(parents=True)
                try:
                    yield from Turn(
                        server, scenario, number, plan, cores, folder, _heads(server, scenario, plan, work)
                    ).play()
                finally:
                    shutil.rmtree(folder, ignore_errors=True)


def _heads(server: Server, scenario: Scenario, plan: Plan, work: Path) -> Path:
    """The file of heads for a server's keys; servers with the same keys share it."""
    keys = zlib.crc32("".join(server.keys).encode())
    path = work / f"heads-{scenario.name}-{keys:08x}"
    if not path.exists():
        write_heads(path, heads(plan.seed, scenario.heads, server.keys, close=scenario.close))
    return path


@dataclass(slots=True)
class _Loaded:
    """A load and what was used meanwhile, in seconds of CPU; others: in cores."""

    seen: Seen
    cpu_seconds: float
    front_seconds: float
    others: float


@dataclass(slots=True)
class _Measured:
    """What a turn gathers; `answered` and `sent` count the probes and the warm-up too."""

    looks: list[_Loaded] = field(default_factory=list)
    answered: int = 0
    sent: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Turn:
    """One server, under one scenario, once."""

    server: Server
    scenario: Scenario
    number: int
    plan: Plan
    cores: Cores
    folder: Path
    heads: Path

    def play(self) -> list[Look]:
        """Measure it. What goes wrong makes all of its looks void, one at the least, never the run."""
        measured = _Measured()
        kept = None
        try:
            allow_files(self.scenario.idle + self.plan.connections)
            running = self.server.start(Place(self.folder, self.scenario, self.cores))
            try:
                self._measure(running, measured)
            finally:
                running.stop()
            kept = _count_kept(running, measured)
        except (ServerFailed, WrkFailed, OSError) as error:
            measured.faults.append(str(error))
        faults = tuple(measured.faults)
        if not measured.looks:
            return [Look(self.server.name, self.scenario.name, self.number, 0, 0.0, 0.0, faults=faults)]
        return [self._look(look, at, kept, faults) for at, look in enumerate(measured.looks, 1)]

    def _look(self, look: _Loaded, at: int, kept: Kept | None, faults: tuple[str, ...]) -> Look:
        return Look(
            self.server.name,
            self.scenario.name,
            self.number,
            answered=look.seen.answered,
            seconds=look.seen.duration_us / 1e6,
            cpu_seconds=look.cpu_seconds,
            front_cpu_seconds=look.front_seconds,
            others=look.others,
            p50_us=look.seen.p50_us,
            p99_us=look.seen.p99_us,
            kept=kept,
            faults=faults,
            number=at,
        )

    def _measure(self, running: Running, measured: _Measured) -> None:
        """Probe, warm up, look, probe: the two probes prove the answer that wrk only counts."""
        probes = heads(self.plan.seed, PROBES, self.server.keys, close=self.scenario.close)  # the first of the file
        tls = running.tls
        answer_bytes = ask(running.port, probes[0], tls=tls)
        with IdleConnections(running.port, self.scenario.idle, probes[0], tls=tls) as idle:
            loads = [self._load(self.plan.warmup_seconds, tls).run(running.port, self.heads)]
            for _ in range(self.plan.looks):
                measured.looks.append(self._load_once(running))
            idle.ask_again()

        for look in measured.looks:
            measured.faults += faults_of(look.seen, answer_bytes, self.plan.connections)
            loads.append(look.seen)
        if ask(running.port, probes[1], tls=tls) != answer_bytes:
            measured.faults.append("its answers' size changed during the round")
        known = PROBES + idle.answered
        measured.answered = sum(seen.answered for seen in loads) + known
        measured.sent = sum(seen.sent for seen in loads) + known

    def _load(self, seconds: float, tls: bool) -> Load:
        return Load(self.cores.load, self.plan.connections, seconds, tls=tls)

    def _load_once(self, running: Running) -> _Loaded:
        """Load it for as long as is measured, and note the CPU time that it and everybody else used meanwhile."""
        began, all_before, load_before = time.monotonic(), machine_seconds(), waited_seconds()
        before, front_before = cpu_seconds(running.process.pid), _front_seconds(running)
        seen = self._load(self.plan.seconds, running.tls).run(running.port, self.heads)
        front = _front_seconds(running) - front_before
        used = cpu_seconds(running.process.pid) - before + front
        known = used + waited_seconds() - load_before
        # Over the whole time, since wrk reads its file first: its own duration is shorter.
        others = max(0.0, machine_seconds() - all_before - known) / (time.monotonic() - began)
        return _Loaded(seen, used, front, others)


def _front_seconds(running: Running) -> float:
    return cpu_seconds(running.front.pid) if running.front else 0.0


def faults_of(seen: Seen, answer_bytes: int, connections: int) -> list[str]:
    """Say why a turn is void: errors, no answers, or answers of another size than the checked 200's.

    wrk itself tells only a status above 399; the sum of bytes tells any other answer, since the last one of each
    connection alone may have been read in part.
    """
    faults = [f"{count} {kind} errors" for kind, count in seen.errors.items()]
    if seen.answered == 0:
        faults.append("no hit was answered")
    if not 0 <= seen.bytes - seen.answered * answer_bytes <= connections * answer_bytes:
        faults.append(f"answers are not all {answer_bytes} bytes: {seen.bytes} bytes in {seen.answered} answers")
    return faults


def _count_kept(running: Running, measured: _Measured) -> Kept | None:
    if running.kept is None:
        return None
    counted = Kept(running.kept(), measured.answered, measured.sent + START_PROBES_MAX)
    if not counted.conserved:
        measured.faults.append(f"kept {counted.kept} of {counted.answered} answered and {counted.sent} sent hits")
    return counted


def tell(one: Look) -> str:
    """Put a look on one line."""
    head = f"round {one.round}.{one.number} {one.scenario:<18} {one.server:<22}"
    if one.faults:
        return f"{head} void: {'; '.join(one.faults)}"
    kept = f", kept {one.kept.kept:,} of {one.kept.answered:,} answered" if one.kept and one.number == 1 else ""
    found = f"{one.cpu_us:7.2f} us a hit, {one.rate:9,.0f} hits/s, {one.busy:4.0%} busy, others {one.others:4.0%}"
    front = f", of it proxy {one.front_cpu_us:.2f} us" if one.front_cpu_seconds else ""
    return f"{head} {found}{front}{kept}"
