"""`python -m loadtest.bench.scaled`: what the scaled-out form costs and how fast its flips are, on real engines.

Carried: CPU an event of the publisher (by compression) and of the consumer (by source and warehouse). Flips: three
collector processes on data directories of their own, one gating service, Redis and PostgreSQL (fsync on). Prints one
page and writes it down. Engines are started by `tests.servers`, so it runs from a checkout.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from loadtest.bench.away import Away
from loadtest.bench.away import measure as measure_away
from loadtest.bench.carried import Carried, Filled, Job, carry, fill, idle_seconds
from loadtest.bench.cpu import Cores, pinned
from loadtest.bench.flips import FlipPlan, Hosts, measure_hosts
from loadtest.bench.machine import describe
from loadtest.bench.report import flips_table, table
from loadtest.bench.result import Flips
from loadtest.bench.stats import percentile
from loadtest.bench.wrk import installed
from loadtest.ending import run
from tests.servers import KafkaCluster, PostgresServer, RedisServer

FOLDER: Final = Path("docs/benchmarks")
COMPRESSIONS: Final = ("none", "lz4", "zstd")
CONSUMED_COMPRESSION: Final = "zstd"
"""What consumers are measured on: the one that costs more to pack and to unpack."""

PUBLISHER: Final = ("publisher",)
CONSUMER: Final = ("consumer", "materialise")

PUBLISHER_US_MAX: Final = 12.0
KAFKA_PER_CORE_MIN: Final = 100_000.0
JOURNAL_PER_CORE_MIN: Final = 40_000.0
PEAK_MB_MAX: Final = 400.0
ENFORCED_MS_MAX: Final = 10.0
WAITED_MS_MAX: Final = 50.0
P99_RATIO_MAX: Final = 1.1
CARRIED_TEXT: Final = (
    "CPU: median (least-most) of the rounds, what a start costs taken off. `of it mapped`: pages of the program and "
    "its libraries at the end. chDB is ClickHouse's engine in the consumer's own process: its CPU, its merges in the "
    "background and its memory are counted, which a ClickHouse server would bear elsewhere."
)
GROWN_MB_MAX: Final = 100.0
"""What may wait in memory is bounded by 64 MB; the rest is the allocator's."""
DRAIN_RATIO_MIN: Final = 3.0


def carried(filled: Filled, work: Path, cores: Cores, rounds: int) -> list[Carried]:
    """Every leg in each of the rounds, each role on its own copy of the same hits."""
    empty = work / "empty"
    shutil.copytree(filled.data, empty, ignore=shutil.ignore_patterns("journals", "*.sock", "feed", "locks"))
    return [one for _ in range(rounds) for one in _round(filled, empty, work, cores)]


def _round(filled: Filled, empty: Path, work: Path, cores: Cores) -> list[Carried]:
    found = []
    for compression in COMPRESSIONS:
        with _kafka(work / f"kafka-{compression}", cores) as kafka:
            engines = {"KAFKA_BOOTSTRAP": kafka, "PIXELGATE_KAFKA_COMPRESSION": compression}
            publisher = Job(f"publisher: journal -> acknowledged by Kafka, {compression}", PUBLISHER, engines)
            idle = idle_seconds(publisher, empty, work, cores)
            consumers = []
            if compression == CONSUMED_COMPRESSION:
                consumers = [(job, idle_seconds(job, empty, work, cores)) for job in _consumers(work, engines, "Kafka")]
            found.append(carry(publisher, filled.data, filled.hits, idle, work, cores))
            for job, job_idle in consumers:
                _forget(work)
                found.append(carry(job, empty, filled.hits, job_idle, work, cores))
    for job in _consumers(work, {}, "journal"):
        _forget(work)
        idle = idle_seconds(job, empty, work, cores)
        _forget(work)
        found.append(carry(job, filled.data, filled.hits, idle, work, cores))
    return found


def _consumers(work: Path, engines: dict[str, str], source: str) -> list[Job]:
    clickhouse = {**engines, "CLICKHOUSE_URL": f"chdb://{work / 'clickhouse'}"}
    return [
        Job(f"consumer: {source} -> DuckDB", CONSUMER, engines),
        Job(f"consumer: {source} -> ClickHouse (chDB)", CONSUMER, clickhouse),
    ]


def _forget(work: Path) -> None:
    """Each consumer begins with an empty warehouse."""
    shutil.rmtree(work / "clickhouse", ignore_errors=True)


@contextlib.contextmanager
def _kafka(folder: Path, cores: Cores) -> Iterator[str]:
    with pinned(cores.load):
        cluster = KafkaCluster(folder)
        cluster.start()
    try:
        yield cluster.bootstrap
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def flips(plan: FlipPlan, work: Path) -> Flips:
    """Flips over Redis and PostgreSQL, as production sets them."""
    redis, postgres = RedisServer(work / "redis"), PostgresServer(work / "postgres", fsync="on")
    try:
        redis.start()
        postgres.start()
        engines = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.database()}
        return measure_hosts(plan, work, Hosts(plan.workers, engines))
    finally:
        redis.stop()
        postgres.stop()


def page(machine: dict[str, str], found: Sequence[Carried], timed: Flips | None, gone: Away | None) -> str:
    """Everything that was found, in Markdown."""
    parts = ["# The scaled-out form", f"Run of {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}."]
    parts.append("\n".join(f"- {name}: {value}" for name, value in machine.items()))
    bars: list[tuple[str, str, str, bool]] = []
    if found:
        parts += ["## Carried", _carried_table(found), CARRIED_TEXT]
        bars += _carried_bars(found)
    if timed is not None:
        pace = (
            f"{timed.workers} collector processes, each a host of its own; {timed.hits_per_second:,.0f} hits/s on one."
        )
        parts += ["## Flips over Redis", pace, flips_table(timed), *(f"Fault: {fault}" for fault in timed.faults)]
        for title, values, most in (
            ("flip: commit to enforced by every host, p99", timed.enforced_ms, ENFORCED_MS_MAX),
            ("flip: request to `--wait` answered, p99", timed.waited_ms, WAITED_MS_MAX),
        ):
            p99 = percentile(values, 99)
            bars.append((title, f"<= {most:g} ms", f"{p99:.2f} ms", p99 <= most))
    if gone is not None:
        parts += ["## Kafka away", _away_text(gone)]
        bars += _away_bars(gone)
    rows = [[title, bar, value, "PASS" if met else "MISS"] for title, bar, value, met in bars]
    return "\n\n".join([*parts, "## Bars", table(("bar", "", "found", "verdict"), rows)]) + "\n"


def _legs(found: Sequence[Carried]) -> dict[str, list[Carried]]:
    """The rounds of each leg, in the order in which the legs were run."""
    legs: dict[str, list[Carried]] = {}
    for one in found:
        legs.setdefault(one.what, []).append(one)
    return legs


def _carried_table(found: Sequence[Carried]) -> str:
    rows = []
    for what, runs in _legs(found).items():
        cpu, paces = [one.cpu_us for one in runs], [one.per_second for one in runs]
        peak_mb, mapped_mb = max(one.peak_mb for one in runs), max(one.mapped_mb for one in runs)
        rows.append(
            [what, f"{runs[0].events:,}", f"{median(cpu):.1f} ({min(cpu):.1f}-{max(cpu):.1f})",
             f"{1e6 / median(cpu):,.0f}", f"{median(paces):,.0f}", f"{peak_mb:.0f}", f"{mapped_mb:.0f}"]
        )  # fmt: skip
    return table(
        ("what", "events", "CPU us an event", "events/s of one core", "as it went", "peak MB", "of it mapped"), rows
    )


def _carried_bars(found: Sequence[Carried]) -> Iterator[tuple[str, str, str, bool]]:
    for what, runs in _legs(found).items():
        cpu_us, peak_mb = median(one.cpu_us for one in runs), max(one.peak_mb for one in runs)
        if what.startswith("publisher"):
            yield what, f"<= {PUBLISHER_US_MAX:g} us", f"{cpu_us:.1f} us", cpu_us <= PUBLISHER_US_MAX
            continue
        least, per_core = KAFKA_PER_CORE_MIN if "Kafka ->" in what else JOURNAL_PER_CORE_MIN, 1e6 / cpu_us
        yield what, f">= {least:,.0f} events/s of one core", f"{per_core:,.0f}", per_core >= least
        yield f"{what}, peak RSS", f"<= {PEAK_MB_MAX:g} MB", f"{peak_mb:.0f} MB", peak_mb <= PEAK_MB_MAX


def _away_text(gone: Away) -> str:
    lines = [
        f"{gone.hits_per_second:,.0f} hits/s through all of it; Kafka killed for {gone.seconds:.0f} s.",
        f"Answers, p99: {gone.there_p99_ms:.2f} ms with Kafka there, {gone.away_p99_ms:.2f} ms with it away.",
        f"Publisher's RSS: {gone.publisher_before_mb:.0f} MB before, {gone.publisher_after_mb:.0f} MB at its end.",
        f"Waiting then: {gone.owed:,} hits, {gone.spool_mb:.0f} MB of journals.",
        f"Carried after: {gone.drain_per_second:,.0f} events/s while hits went on coming in.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _away_bars(gone: Away) -> Iterator[tuple[str, str, str, bool]]:
    ratio, grown = gone.answers_ratio, gone.publisher_after_mb - gone.publisher_before_mb
    yield "Kafka away: answers' p99 / with Kafka there", f"<= {P99_RATIO_MAX:g}", f"{ratio:.2f}", ratio <= P99_RATIO_MAX
    yield "Kafka away: publisher's RSS grows", f"<= {GROWN_MB_MAX:g} MB", f"{grown:.0f} MB", grown <= GROWN_MB_MAX
    drain = gone.drain_ratio
    yield "Kafka back: carried / coming in", f">= {DRAIN_RATIO_MIN:g}", f"{drain:.1f}", drain >= DRAIN_RATIO_MIN


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.scaled", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--hits", type=int, default=300_000, help="hits to carry; 0 leaves that out (300,000)")
    add("--rounds", type=int, default=3, help="rounds of carrying them (3)")
    add("--flips", type=int, default=300, help="flips to time; 0 leaves them out (300)")
    add("--hosts", type=int, default=3, help="collector processes that enforce them (3)")
    add("--pace", type=int, default=1000, help="hits a second meanwhile (1,000)")
    add("--away", type=float, default=120.0, help="seconds that Kafka is away; 0 leaves that out (120)")
    add("--away-pace", type=int, default=10_000, help="hits a second meanwhile (10,000)")
    add("--seed", type=int, default=1, help="of the browser heads (1)")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where scaled.md is written ({FOLDER})")
    add("--work", type=Path, metavar="DIR", help="where engines and journals lie, on a real disk (a temporary one)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write down; returns the exit code: 0 whatever was found."""
    chosen = options(arguments)
    if not installed():
        print("bench: wrk is not installed (Debian: apt-get install wrk)", file=sys.stderr)
        return 1
    cores = Cores.of_this_machine()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.work) as name:
        work = Path(name)
        found: list[Carried] = []
        if chosen.hits:
            found = carried(fill(work / "fill", cores, chosen.hits, chosen.seed), work, cores, chosen.rounds)
            os.sync()
        timed = None
        if chosen.flips:
            timed = flips(FlipPlan(chosen.flips, chosen.hosts, chosen.pace, 16, chosen.seed), work)
        gone = None
        if chosen.away:
            gone = measure_away(work / "away", cores, chosen.away, chosen.away_pace, chosen.seed)
        text = page(dict(describe(cores, work)), found, timed, gone)
    chosen.to.mkdir(parents=True, exist_ok=True)
    (chosen.to / "scaled.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    run(main, "bench")
