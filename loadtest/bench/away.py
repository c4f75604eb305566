"""Kafka away for minutes at a steady rate: answers, memory and disk meanwhile, and how fast what waited is carried.

One collector with its publisher; hits go on at one pace through all three phases, so that what is compared is compared
at one pace: Kafka there, Kafka killed, Kafka back until nothing is owed any more.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.carried import HEADS, LOOK_SECONDS, scrape
from loadtest.bench.cpu import Cores
from loadtest.bench.wrk import Load, Seen, write_heads
from loadtest.heads import heads
from loadtest.peers.pixelgate import ACCOUNT, await_ready, pixelgate, program, start_gating
from loadtest.peers.server import Running, ServerFailed, await_answer, free_port, last_words, launch
from tests.servers import KafkaCluster

CONNECTIONS: Final = 64
WARM_SECONDS: Final = 5.0
DRAIN_SECONDS_MAX: Final = 300.0
WRK_SECONDS_MIN: Final = 1.0
"""Sooner wrk has not set itself up, and cannot be ended."""
OWED: Final = "pixelgate_publisher_owed"
SPOOL: Final = "pixelgate_publisher_spool_bytes"


@dataclass(frozen=True, slots=True)
class Away:
    """What was found. mb: 2^20 bytes. drain_per_second: carried while hits went on coming in at `hits_per_second`."""

    seconds: float
    hits_per_second: float
    there_p99_ms: float
    away_p99_ms: float
    publisher_before_mb: float
    publisher_after_mb: float
    spool_mb: float
    owed: int
    drain_per_second: float

    @property
    def answers_ratio(self) -> float:
        return self.away_p99_ms / self.there_p99_ms

    @property
    def drain_ratio(self) -> float:
        return self.drain_per_second / self.hits_per_second


def measure(folder: Path, cores: Cores, seconds: float, pace: int, seed: int) -> Away:
    """Raises ServerFailed, WrkFailed."""
    folder.mkdir()
    data, words, port, metrics = folder / "data", folder / "words", free_port(), free_port()
    kafka = KafkaCluster(folder / "kafka")
    kafka.start()
    running: list[Running] = []
    try:
        gating = start_gating(data, words, cores.load)
        running.append(gating)
        key = pixelgate(data, "account", "create", "--rulebook", "default", "--id", ACCOUNT)["write_key"]
        argv = ["env", f"KAFKA_BOOTSTRAP={kafka.bootstrap}", str(program()), "--data", str(data)]
        collector = [*argv, "collector", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
        running.append(Running(launch(collector, words, cores.server), port, words))
        await_answer(running[-1])
        await_ready(running[-1])
        publisher = Running(launch([*argv, "publisher", "--metrics-port", str(metrics)], words, cores.load), 0, words)
        running.append(publisher)
        file = write_heads(folder / "heads", heads(seed, HEADS, [key]))
        load = _Paced(cores, port, file, pace)
        load.run(WARM_SECONDS)
        return _phases(load, kafka, publisher, metrics, seconds)
    finally:
        for one in reversed(running):
            one.stop()
        kafka.stop()


@dataclass(frozen=True, slots=True)
class _Paced:
    cores: Cores
    port: int
    file: Path
    pace: int

    def of(self, seconds: float) -> Load:
        return Load(self.cores.load, CONNECTIONS, seconds, max(1, round(CONNECTIONS * 1000 / self.pace)))

    def run(self, seconds: float) -> Seen:
        return self.of(seconds).run(self.port, self.file)


def _phases(load: _Paced, kafka: KafkaCluster, publisher: Running, metrics: int, seconds: float) -> Away:
    pid = publisher.process.pid
    there = load.run(seconds)
    before = _rss_mb(pid)
    for broker in kafka.brokers:
        broker.kill()
    away = load.run(seconds)
    after, spool, owed = _rss_mb(pid), _value(metrics, SPOOL), int(_value(metrics, OWED))
    drained = load.of(DRAIN_SECONDS_MAX)
    wrk = drained.start(load.port, load.file)
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(1) as starting:
            started = starting.submit(kafka.start)
            drain = _drain(publisher, metrics, load.pace)
            started.result()
        time.sleep(max(0.0, WRK_SECONDS_MIN - (time.monotonic() - began)))
    finally:
        drained.cut_short(wrk)
    per_second = away.answered / (away.duration_us / 1e6)
    return Away(
        seconds=seconds, hits_per_second=per_second, there_p99_ms=there.p99_us / 1e3, away_p99_ms=away.p99_us / 1e3,
        publisher_before_mb=before, publisher_after_mb=after, spool_mb=spool / 2**20, owed=owed,
        drain_per_second=drain + per_second,
    )  # fmt: skip


def _drain(publisher: Running, metrics: int, pace: int) -> float:
    """By how many hits a second what is owed shrinks, from when it is the most until it is less than comes in within a
    second: a publisher that keeps up owes what is on its way."""
    until = time.monotonic() + DRAIN_SECONDS_MAX
    most, most_at = 0.0, time.monotonic()
    while (now := time.monotonic()) < until and publisher.process.poll() is None:
        owed = _value(metrics, OWED)
        if owed > most:
            most, most_at = owed, now
        elif owed < pace:
            return (most - owed) / (now - most_at)
        time.sleep(LOOK_SECONDS)
    raise ServerFailed(f"what waited was not carried: {last_words(publisher.words)}")


def _value(port: int, metric: str) -> float:
    found = re.search(rf"^{metric} (\S+)$", scrape(port), re.MULTILINE)
    return float(found[1]) if found else float("nan")


def _rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")
