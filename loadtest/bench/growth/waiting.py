"""Journals that wait: what gigabytes of them cost a collector beside them, and whoever starts to carry them.

Three things are measured in turn at each size, each on a data directory of its own: a collector that is started beside
them, under hits at one pace; a publisher that starts to carry them to Kafka; the consumer of one machine, which starts
to carry them into its DuckDB file. Its CPU is told an event.
"""

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from loadtest.bench.carried import DONE as TAKEN
from loadtest.bench.carried import scrape
from loadtest.bench.cpu import cpu_seconds, pinned
from loadtest.bench.growth.contenders import OURS, Grown, status_mb
from loadtest.bench.growth.gauge import LOADS_FAIL, Gauge, Point
from loadtest.bench.growth.hits import CONNECTIONS, KEYS, PACE
from loadtest.bench.growth.lives import Run, uncounted
from loadtest.bench.growth.loads import Steady
from loadtest.bench.growth.sample import Sample, with_more
from loadtest.bench.growth.stock import GB, Stock
from loadtest.heads import HEADS, heads
from loadtest.peers.pixelgate import Accounts, pixelgate, program, start_gating
from loadtest.peers.server import KEEP_ALIVE, Place, Running, ServerFailed, free_port, last_words, launch
from tests.servers import KafkaCluster

SIZES_GB: Final = (0, 1, 5, 10)
FIRST_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.05
CARRY_SECONDS: Final = 4.0
WARM_EVENTS: Final = 200_000
"""By then each of the heads has come three times: a carrier reads one that it has not met several times as long."""
START: Final = "start, s"
PEAK: Final = "peak MB"


def backlog(run: Run, ledgers: Path, sizes_gb: tuple[float, ...] = SIZES_GB) -> Iterator[Sample]:
    """0 to 10 GB of journals that wait."""
    accounts = Accounts(KEYS, ledgers)
    stock = Stock(accounts, round(max(sizes_gb) * GB))
    stock.make(run.cores, run.seed)
    with pinned(run.cores.load):
        kafka = KafkaCluster(run.work / "kafka")
        kafka.start()
    try:
        for number in run.numbers():
            for size in Random(f"{run.seed} {number}").sample(sizes_gb, len(sizes_gb)):
                scene = _Scene(run, stock, size, number)
                yield scene.collector()
                yield scene.carrier("publisher", ("publisher",), {"KAFKA_BOOTSTRAP": kafka.bootstrap})
                yield scene.carrier("consumer", ("consumer", "materialise"), {})
    finally:
        kafka.stop()


@dataclass(frozen=True, slots=True)
class _Scene:
    """One size, in one round."""

    run: Run
    stock: Stock
    size_gb: float
    number: int

    @contextmanager
    def _folder(self) -> Iterator[tuple[Path, list[Path]]]:
        """A folder with a data directory in which the journals wait; and which these are."""
        folder = self.run.work / "waiting"
        folder.mkdir()
        try:
            self.stock.accounts.copy(folder / "data")
            yield folder, self.stock.lay(folder / "data", round(self.size_gb * GB))
        finally:
            shutil.rmtree(folder)

    def collector(self) -> Sample:
        """A collector that is started beside them. start: until it says that it is ready."""
        load = Steady(CONNECTIONS, PACE)
        try:
            with self._folder() as (folder, waiting):
                place = Place(folder, KEEP_ALIVE, self.run.cores)
                gating = start_gating(folder / "data", folder / "gating.words", self.run.cores.load)
                try:
                    began = time.monotonic()
                    running = Grown(self.stock.accounts).collect(folder / "data", place, gating)
                    started = time.monotonic() - began
                    running.kept = lambda: _records(folder / "data", waiting)
                    gauge = Gauge(running, self.run.cores.load, self.run.pace, folder)
                    try:
                        point = Point(self.size_gb, load, heads(self.run.seed, HEADS, self.stock.accounts.keys))
                        sample = gauge.measure(OURS, point, self.number)
                    finally:
                        running.stop()
                finally:
                    gating.stop()
                return with_more(sample, {START: started}, uncounted(running, gauge))
        except LOADS_FAIL as error:
            return Sample(f"{OURS}, {load.name}", self.size_gb, self.number, faults=[str(error)])

    def carrier(self, name: str, role: tuple[str, ...], engines: Mapping[str, str]) -> Sample:
        """Whoever starts to carry them. start: until the first event was taken on; CPU once it is warm."""
        try:
            with self._folder() as (folder, waiting):
                port, words = free_port(), folder / "words"
                argv = ["env", *(f"{key}={value}" for key, value in engines.items()), str(program())]
                argv += ["--data", str(folder / "data"), *role, "--metrics-port", str(port)]
                began = time.monotonic()
                running = Running(launch(argv, words, self.run.cores.server), port, words)
                try:
                    _await(running, 1 if waiting else 0)
                    started = time.monotonic() - began
                    return self._carried(name, running, _await(running, WARM_EVENTS if waiting else 0), started)
                finally:
                    running.stop()
        except LOADS_FAIL as error:
            return Sample(name, self.size_gb, self.number, faults=[str(error)])

    def _carried(self, name: str, running: Running, first: float, started: float) -> Sample:
        pid = running.process.pid
        at, used = time.monotonic(), cpu_seconds(pid)
        time.sleep(CARRY_SECONDS)  # what is measured is what it does meanwhile
        taken = _taken(running.port)
        seconds, used = time.monotonic() - at, cpu_seconds(pid) - used
        more = {START: started, PEAK: status_mb(pid, "VmHWM")}
        return Sample(
            name, self.size_gb, self.number, hits=round((taken or 0.0) - first), seconds=seconds, cpu_seconds=used,
            rss_mb=status_mb(pid, "VmRSS"), more=more,
        )  # fmt: skip


def _records(data: Path, waiting: list[Path]) -> int:
    """What was kept since: the records of the journals that did not wait there already."""
    new = [path for path in sorted((data / "journals").iterdir()) if path not in waiting]
    return sum(int(pixelgate(data, "journal", "check", str(journal))["records"]) for journal in new)


def _taken(port: int) -> float | None:
    """Events taken on, whichever role is asked; None while it does not answer."""
    found = re.findall(rf"^{TAKEN}(?:\{{[^}}]*\}})? (\S+)$", scrape(port), re.MULTILINE)
    return sum(map(float, found)) if found else None


def _await(running: Running, events: int) -> float:
    """Until so many events were taken on; returns how many were. Raises ServerFailed."""
    until = time.monotonic() + FIRST_SECONDS_MAX
    while time.monotonic() < until and running.process.poll() is None:
        taken = _taken(running.port)
        if taken is not None and taken >= events:
            return taken
        time.sleep(LOOK_SECONDS)
    raise ServerFailed(f"nothing was carried within {FIRST_SECONDS_MAX:g} s: {last_words(running.words)}")
