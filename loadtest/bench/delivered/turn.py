"""One turn: a server at one pace, from its start until Kafka has every hit, and what that cost."""

import re
import shutil
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import PROC, Cores, cpu_seconds, machine_seconds, tree, waited_seconds
from loadtest.bench.delivered.load import faults_of
from loadtest.bench.delivered.result import Turn
from loadtest.bench.pace import Pace, Paced, PaceFailed
from loadtest.bench.wrk import write_heads
from loadtest.heads import heads
from loadtest.peers.delivery import Delivery
from loadtest.peers.server import KEEP_ALIVE, Place, Server, ServerFailed, ask

TOLERANCE: Final = 0.02
"""How far the pace may be off: CPU a hit falls with load."""

START_PROBES_MAX: Final = 2
"""Hits that a start sends by itself, to a key that no gate knows: they may be kept, or not."""

DELIVERED_SECONDS_MAX: Final = 30.0
LOOK_SECONDS: Final = 0.2
SETTLE_SECONDS: Final = 1.0
"""After the last is acknowledged: whatever that leaves to do (a cursor to be moved) is counted, too."""

PARTS: Final = ("collector", "publisher")
"""Names of a server's processes where it has several."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How turns are measured."""

    seconds: float
    warmup_seconds: float
    seed: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What all turns share."""

    pace: Pace
    plan: Plan
    cores: Cores
    work: Path

    def play(self, server: Server, pace: float, number: int) -> Turn:
        """Measure a server once. What goes wrong makes the turn void, never the run."""
        folder = self.work / f"turn-{server.name}"
        folder.mkdir(parents=True)
        try:
            running = server.start(Place(folder, KEEP_ALIVE, self.cores))
            if not isinstance(running, Delivery):
                raise ServerFailed(f"{server.name} does not deliver to Kafka")
            try:
                return self._measure(server, running, pace, number)
            finally:
                running.stop()
        except (ServerFailed, PaceFailed, OSError) as error:
            return Turn(server.name, pace, number, faults=(str(error),))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _measure(self, server: Server, running: Delivery, pace: float, number: int) -> Turn:
        file, plan = self._heads(server), self.plan
        ask(running.port, heads(plan.seed, 1, server.keys)[0])  # whose answer is read, where the load only counts
        warm = self._load(running, file, pace, plan.warmup_seconds)
        base = _await_delivered(running, warm.answered + 1)
        faults = (
            [] if base <= warm.answered + 1 + START_PROBES_MAX else [f"{base:,} delivered of {warm.answered + 1:,}"]
        )
        began, all_before, load_before = time.monotonic(), machine_seconds(), waited_seconds()
        before = [cpu_seconds(root) for root in running.roots]
        seen = self._load(running, file, pace, plan.seconds)
        delivered = _await_delivered(running, base + seen.answered) - base
        used = [cpu_seconds(root) - was for root, was in zip(running.roots, before, strict=True)]
        known = sum(used) + waited_seconds() - load_before
        others = max(0.0, machine_seconds() - all_before - known) / (time.monotonic() - began)
        faults += faults_of(seen, TOLERANCE)
        if delivered != seen.answered:
            faults.append(f"{delivered:,} delivered of {seen.answered:,} answered hits")
        return Turn(
            server.name, pace, number, seen.answered, delivered, seen.achieved,
            cpu_seconds=dict(zip(PARTS if len(used) > 1 else (server.name,), used, strict=True)),
            others=others, p50_us=seen.latency_us["50"], p99_us=seen.latency_us["99"], late_p99_us=seen.late_us["99"],
            peak_mb=sum(map(_peak_mb, running.roots)), faults=tuple(faults),
        )  # fmt: skip

    def _load(self, running: Delivery, file: Path, pace: float, seconds: float) -> Paced:
        return self.pace.run(running.port, file, pace, seconds, 0.0, poisson=True)

    def _heads(self, server: Server) -> Path:
        """The file of heads for a server's keys; servers with the same keys share it."""
        path = self.work / f"heads-{zlib.crc32(''.join(server.keys).encode()):08x}"
        if not path.exists():
            write_heads(path, heads(self.plan.seed, KEEP_ALIVE.heads, server.keys))
        return path


def _await_delivered(running: Delivery, hits: int) -> int:
    """Wait until Kafka has so many, and a little longer; returns how many it has then, fewer where they do not come."""
    if running.kept is None:
        raise ServerFailed("it does not tell what it delivered")
    until = time.monotonic() + DELIVERED_SECONDS_MAX
    while running.kept() < hits and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    time.sleep(SETTLE_SECONDS)
    return running.kept()


def _peak_mb(root: int) -> float:
    """The most memory that each living process of a tree ever had, in MB (2^20 bytes), summed."""
    kilobytes = 0
    for pid in tree(root):
        found = re.search(r"VmHWM:\s+(\d+) kB", (PROC / str(pid) / "status").read_text())
        kilobytes += int(found[1]) if found else 0
    return kilobytes / 1024


def tell(one: Turn) -> str:
    """Put a turn on one line."""
    head = f"round {one.number} {one.pace:7,.0f}/s {one.server:<16}"
    if one.faults:
        return f"{head} void: {'; '.join(one.faults)}"
    parts = " + ".join(f"{name} {one.part_us(name):.1f}" for name in one.cpu_seconds)
    return (
        f"{head} {one.cpu_us:6.1f} us a hit ({parts}), {one.achieved:,.0f} hits/s, all {one.delivered:,} delivered, "
        f"p50 {one.p50_us:.0f} p99 {one.p99_us:.0f} us, load late p99 {one.late_p99_us:.0f} us, "
        f"others {one.others:.0%}, {one.peak_mb:.0f} MB"
    )
