"""`python -m loadtest.bench.webhooks`: how many billing webhooks a second are stored, and what that does to flips.

A real gating service with one collector worker, on SQLite and on PostgreSQL with Redis (fsync on, by `tests.servers`).
Signed events come over kept connections, first as fast as they are answered, then at a pace, while an operator flips an
account. Stored is what was answered with 200; afterwards the newest stored event's sequence must say the same number.
Prints one page and writes it down.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.bench.cpu import Cores, cpu_seconds
from loadtest.bench.flips import FlipPlan, Timed, flip
from loadtest.bench.machine import describe
from loadtest.bench.report import table
from loadtest.bench.stats import percentile
from loadtest.ending import run
from loadtest.peers.local_http import LocalHttp
from loadtest.peers.pixelgate import ACCOUNT, await_ready, await_socket, pixelgate, program
from loadtest.peers.server import ROOT, Running, ServerFailed, await_answer, free_port, last_words, launch
from tests.servers import PostgresServer, RedisServer

FOLDER: Final = Path("docs/benchmarks")
SECRET: Final = "whsec_bench"
SETTLE_SECONDS: Final = 1.0
LOAD_LEAD_SECONDS: Final = 0.5
DRAIN_SECONDS_MAX: Final = 60.0
STORED_MIN: Final = 1000.0
ENFORCED_MS_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Leg:
    """One engine at one pace. Times in milliseconds; cpu: of the gating process, in cores.

    stored: events, by the ledger. drained_seconds: until none of them waited to be applied, once the load had ended.
    """

    engine: str
    pace: float
    seconds: float
    answered: int
    stored: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    cpu: float
    load_cpu: float
    flips: int
    enforced_p50_ms: float
    enforced_p99_ms: float
    waited_p99_ms: float
    applied: int
    drained_seconds: float
    faults: Sequence[str]

    @property
    def per_second(self) -> float:
        """Events stored a second."""
        return self.stored / self.seconds


@dataclass(frozen=True, slots=True)
class Shape:
    """What is the same in every leg. meaning: of 100 events, how many change an account."""

    seconds: float
    connections: int
    accounts: int
    meaning: int


@dataclass(slots=True)
class Site:
    """A gating service that takes webhooks, and a collector that enforces its flips."""

    data: Path
    admin: int
    gating: Running

    def stored(self) -> int:
        """The newest stored event's sequence."""
        with LocalHttp(self.data / "gating.sock") as http:
            newest = http.get("/api/v1/billing/events")
        return int(newest[0]["sequence"]) if newest else 0

    def counted(self, name: str) -> float:
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)))

    def settled(self) -> float:
        """How many events wait no longer."""
        return self.counted("pixelgate_webhook_events_total")


@contextlib.contextmanager
def site(folder: Path, engines: Mapping[str, str], accounts: int) -> Iterator[Site]:
    """Started, with the accounts that pay and the one that is flipped. Raises ServerFailed."""
    folder.mkdir()
    data, admin, port = folder / "data", free_port(), free_port()
    variables = {**engines, "PIXELGATE_STRIPE_SECRET": SECRET}
    argv = ["env", *(f"{name}={value}" for name, value in variables.items()), str(program()), "--data", str(data)]
    with contextlib.ExitStack() as stopping:
        words = folder / "gating.words"
        process = launch([*argv, "gating", "--admin-port", str(admin)], words, None)
        gating = Running(process, admin, words)
        stopping.callback(gating.stop)
        await_socket(gating, data)
        pixelgate(data, "account", "create", "--rulebook", "default", "--id", ACCOUNT)
        with LocalHttp(data / "gating.sock") as http:
            for number in range(accounts):
                http.post("/api/v1/accounts", {"id": f"payer-{number}", "rulebook": "default"})
        words = folder / "collector.words"
        serve = ["collector", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
        collector = Running(launch([*argv, *serve], words, None), port, words)
        stopping.callback(collector.stop)
        await_answer(collector)
        await_ready(collector)
        yield Site(data, admin, gating)


def leg(engine: str, at: Site, shape: Shape, pace: float) -> Leg:
    """Load, flip beside it, and let it drain. Raises ServerFailed."""
    stored, settled, cpu = at.stored(), at.settled(), cpu_seconds(at.gating.process.pid)
    told_in = at.data.with_name("load.json")
    load = _load(at, shape, pace, told_in)
    flips = Timed()
    try:
        time.sleep(LOAD_LEAD_SECONDS)  # the load's own start, not a synchronisation
        plan = FlipPlan(flips=1, workers=1, hits_per_second=1, connections=1, seed=1)
        with LocalHttp(at.data / "gating.sock") as http:
            while load.poll() is None:
                flip(plan, http, flips)
    finally:
        load.terminate()
        load.wait()
    told = json.loads(told_in.read_text())
    cpu = cpu_seconds(at.gating.process.pid) - cpu
    kept, answered = at.stored() - stored, told["statuses"].get("200", 0)
    faults = [f"{count} answers {status}" for status, count in told["statuses"].items() if status != "200"]
    faults += flips.faults + ([f"{answered} answered, {kept} stored"] if answered != kept else [])
    drained = _drain(at, settled + kept)
    answers = told["answers_ms"]
    return Leg(
        engine, pace, told["seconds"], answered, kept, percentile(answers, 50), percentile(answers, 99), max(answers),
        cpu / told["seconds"], told["cpu_seconds"] / told["seconds"], len(flips.enforced_ms),
        percentile(flips.enforced_ms, 50), percentile(flips.enforced_ms, 99), percentile(flips.waited_ms, 99),
        round(at.settled() - settled), drained, faults,
    )  # fmt: skip


def _load(at: Site, shape: Shape, pace: float, told: Path) -> "subprocess.Popen[bytes]":
    """What it prints goes to a file: nobody reads a pipe while flips are timed."""
    given = [at.admin, SECRET, shape.seconds, shape.connections, pace, shape.accounts, shape.meaning]
    argv = [sys.executable, "-m", "loadtest.bench.webhook_load", *map(str, given)]
    with told.open("wb") as output:
        return subprocess.Popen(argv, stdout=output, cwd=ROOT)


def _drain(at: Site, settled: float) -> float:
    """Seconds until no event waits any more."""
    began = time.monotonic()
    while at.settled() < settled:
        if time.monotonic() > began + DRAIN_SECONDS_MAX:
            raise ServerFailed(f"events still wait after {DRAIN_SECONDS_MAX:.0f} s: {last_words(at.gating.words)}")
        time.sleep(0.1)
    return time.monotonic() - began


def measure(work: Path, shape: Shape, paces: Sequence[float], engines: Sequence[str]) -> list[Leg]:
    """Every engine at every pace."""
    found = []
    for engine in engines:
        with contextlib.ExitStack() as stopping:
            variables = {}
            if engine == "postgresql":
                redis, postgres = RedisServer(work / "redis"), PostgresServer(work / "postgres", fsync="on")
                for server in (redis, postgres):
                    server.start()
                    stopping.callback(server.stop)
                variables = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.database()}
            at = stopping.enter_context(site(work / engine, variables, shape.accounts))
            for pace in paces:
                time.sleep(SETTLE_SECONDS)
                found.append(leg(engine, at, shape, pace))
                print(
                    ", ".join(f"{name} {value}" for name, value in zip(HEADINGS, _row(found[-1]), strict=True)),
                    flush=True,
                )
    return found


HEADINGS: Final = (
    "ledger", "events asked for", "stored/s", "answer p50 ms", "p99", "slowest", "gating, cores", "flips",
    "flip enforced p50 ms", "p99", "answered p99", "applied after, s",
)  # fmt: skip


def _row(one: Leg) -> list[str]:
    times = (one.p50_ms, one.p99_ms, one.most_ms)
    flipped = (one.enforced_p50_ms, one.enforced_p99_ms, one.waited_p99_ms)
    return [
        one.engine, f"{one.pace:,.0f}/s" if one.pace else "as fast as answered", f"{one.per_second:,.0f}",
        *(f"{value:.1f}" for value in times), f"{one.cpu:.2f}", str(one.flips), *(f"{value:.2f}" for value in flipped),
        f"{one.drained_seconds:.1f}",
    ]  # fmt: skip


def page(machine: Mapping[str, str], shape: Shape, found: Sequence[Leg]) -> str:
    """Everything that was found, in Markdown."""
    parts = ["# Billing webhooks", f"Run of {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}."]
    parts.append("\n".join(f"- {name}: {value}" for name, value in machine.items()))
    parts.append(
        f"{shape.connections} kept connections, {shape.seconds:g} s a line, signed events of 6 KiB for "
        f"{shape.accounts} accounts; {shape.meaning} of 100 change their account, the others mean nothing to one."
    )
    parts.append(table(HEADINGS, [_row(one) for one in found]))
    parts.append(
        "`gating, cores`: CPU time of the gating process, flips and the applying of events included. `applied after`: "
        "until no stored event waited any more, once the load had ended. Flips: as in [results.md](results.md)."
    )
    parts += [f"Fault: {one.engine}: {fault}" for one in found for fault in one.faults]
    rows = []
    for one in found:
        title = f"{one.engine}, {'as fast as answered' if not one.pace else f'{one.pace:,.0f} events/s'}"
        if not one.pace:
            bar, met = f">= {STORED_MIN:,.0f}/s", one.per_second >= STORED_MIN
            rows.append([f"{title}: stored", bar, f"{one.per_second:,.0f}/s", _verdict(met)])
        met = one.enforced_p99_ms <= ENFORCED_MS_MAX
        value = f"{one.enforced_p99_ms:.2f} ms"
        rows.append([f"{title}: flip enforced, p99", f"<= {ENFORCED_MS_MAX:g} ms", value, _verdict(met)])
    return "\n\n".join([*parts, "## Bars", table(("bar", "", "found", "verdict"), rows)]) + "\n"


def _verdict(met: bool) -> str:
    return "PASS" if met else "MISS"


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.webhooks", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--seconds", type=float, default=8.0, help="of load a line (8)")
    add("--connections", type=int, default=128, help="kept connections (128)")
    add("--accounts", type=int, default=50, help="accounts that events are of (50)")
    add("--meaning", type=int, default=10, help="of 100 events, how many change an account (10)")
    add("--paces", type=float, nargs="+", default=[0.0, 1000.0], help="events a second; 0: as fast as answered")
    add("--engines", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"], help="ledgers")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where webhooks.md is written ({FOLDER})")
    add("--work", type=Path, metavar="DIR", help="where engines and ledgers lie, on a real disk (a temporary one)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write down; returns the exit code: 0 whatever was found."""
    chosen = options(arguments)
    shape = Shape(chosen.seconds, chosen.connections, chosen.accounts, chosen.meaning)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.work) as name:
        machine = {**describe(Cores.of_this_machine(), Path(name)), "cores": f"{os.cpu_count()}, nothing is pinned"}
        found = measure(Path(name), shape, chosen.paces, chosen.engines)
    text = page(machine, shape, found)
    chosen.to.mkdir(parents=True, exist_ok=True)
    (chosen.to / "webhooks.md").write_text(text, encoding="utf-8")
    document: dict[str, Any] = {
        "machine": machine, "shape": dataclasses.asdict(shape), "legs": [dataclasses.asdict(one) for one in found]
    }  # fmt: skip
    (chosen.to / "webhooks.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    run(main, "bench")
