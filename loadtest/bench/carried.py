"""What one event costs on its way behind the collector: journal -> Kafka, Kafka -> warehouse, journal -> warehouse.

A collector is loaded with browser heads until its journal holds enough; each role measured then works on a copy,
on one core, while engines have the other. What its start costs is measured beside it, where there is nothing to do,
and taken off. Every figure is of whole processes, by /proc.
"""

import contextlib
import http.client
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores, cpu_seconds
from loadtest.bench.wrk import Load, write_heads
from loadtest.heads import heads
from loadtest.peers.pixelgate import ACCOUNT, await_ready, pixelgate, program, start_gating
from loadtest.peers.server import POLL_SECONDS, Running, ServerFailed, await_answer, free_port, last_words, launch

HEADS: Final = 65_536
"""So many that what remembers heads by their bytes gains no more than real browsers' repetitions would give it."""
CONNECTIONS: Final = 64
LOAD_SECONDS: Final = 2.0
WORK_SECONDS_MAX: Final = 300.0
LOOK_SECONDS: Final = 0.2
"""Between two looks at a role's metrics: each costs it some milliseconds."""
SETTLE_SECONDS: Final = 2.0
"""An idle role has done by then what a start has it do."""
DONE: Final = (
    r"pixelgate_(?:publisher_events|publisher_dead|consumer_events|consumer_duplicates|consumer_repeated)_total"
)
"""What became of each event, whichever role is asked."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A data directory whose journals hold `hits`, and nobody uses."""

    data: Path
    hits: int


@dataclass(frozen=True, slots=True)
class Carried:
    """One role's work, once. cpu_us: CPU an event, its start taken off; per_core: events a second that this makes of
    one core; per_second: as it went, by the clock, from the first event on. peak_mb: of memory, `mapped_mb` of which
    were pages of files at the end, its program and libraries."""

    what: str
    events: int
    cpu_us: float
    per_second: float
    peak_mb: float
    mapped_mb: float

    @property
    def per_core(self) -> float:
        return 1e6 / self.cpu_us


@dataclass(frozen=True, slots=True)
class Job:
    """A role with its engines: what to run, and under which name to tell of it."""

    what: str
    role: tuple[str, ...]
    engines: Mapping[str, str]


def fill(folder: Path, cores: Cores, hits: int, seed: int) -> Filled:
    """Load a collector until it has kept about that many. Raises ServerFailed."""
    folder.mkdir()
    data, words, port = folder / "data", folder / "words", free_port()
    gating = start_gating(data, words, cores.server)
    try:
        key = pixelgate(data, "account", "create", "--rulebook", "default", "--id", ACCOUNT)["write_key"]
        argv = [str(program()), "--data", str(data), "collector", "--host", "127.0.0.1", "--port", str(port)]
        collector = Running(launch([*argv, "--workers", "1"], words, cores.server), port, words)
        await_answer(collector)
        await_ready(collector)
        file = write_heads(folder / "heads", heads(seed, HEADS, [key]))
        answered = 0
        while answered < hits:
            answered += Load(cores.load, CONNECTIONS, LOAD_SECONDS).run(port, file).answered
        collector.stop()
    finally:
        gating.stop()
    return Filled(data, int(pixelgate(data, "journal", "check", str(data / "journals"))["records"]))


def idle_seconds(job: Job, data: Path, folder: Path, cores: Cores) -> float:
    """CPU that a start costs where there is nothing to do, in seconds. data: a directory without a journal."""
    with _started(job, data, folder, cores) as (running, port):
        _await_done(running, port, 0)
        time.sleep(SETTLE_SECONDS)  # what is measured is what it does meanwhile
        return cpu_seconds(running.process.pid)


def carry(job: Job, data: Path, hits: int, idle: float, folder: Path, cores: Cores) -> Carried:
    """Run a role on a copy of the data until it has taken `hits` events on. Raises ServerFailed."""
    with _started(job, data, folder, cores) as (running, port):
        _await_done(running, port, 1)
        began = time.monotonic()
        _await_done(running, port, hits)
        seconds = max(time.monotonic() - began, POLL_SECONDS)
        cpu = max(cpu_seconds(running.process.pid) - idle, 0.0)
        pid = running.process.pid
        memory = _memory_mb(pid, "VmHWM"), _memory_mb(pid, "RssFile")
        found = Carried(job.what, hits, cpu / hits * 1e6, hits / seconds, *memory)
    print(f"{job.what}: {found.cpu_us:.1f} us CPU an event, {found.peak_mb:.0f} MB", flush=True)
    return found


@contextlib.contextmanager
def _started(job: Job, data: Path, folder: Path, cores: Cores) -> Iterator[tuple[Running, int]]:
    copy, words, port = folder / f"work-{time.monotonic_ns()}", folder / "words", free_port()
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock", "feed", "locks"))
    argv = ["env", *(f"{name}={value}" for name, value in job.engines.items())]
    argv += [str(program()), "--data", str(copy), *job.role, "--metrics-port", str(port)]
    running = Running(launch(argv, words, cores.server), port, words)
    try:
        yield running, port
    finally:
        running.stop()
        shutil.rmtree(copy, ignore_errors=True)


def _await_done(running: Running, port: int, events: int) -> None:
    """Until the role tells of so many events."""
    until = time.monotonic() + WORK_SECONDS_MAX
    while time.monotonic() < until and running.process.poll() is None:
        done = re.findall(rf"^{DONE}(?:\{{[^}}]*\}})? (\S+)$", scrape(port), re.MULTILINE)
        if done and sum(map(float, done)) >= events:
            return
        time.sleep(LOOK_SECONDS)
    raise ServerFailed(f"it did not take {events:,} events on: {last_words(running.words)}")


def scrape(port: int) -> str:
    """What the metrics port tells; empty while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _memory_mb(pid: int, name: str) -> float:
    """A figure of /proc/<pid>/status in MB (2^20 bytes): VmHWM is the most memory that a process ever had."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")
