"""`python -m loadtest.bench.lifecycle`: what a decision costs, how many flips a second, how fast deadlines are swept.

Flips: a gating service and two collector workers on one data directory, and operators who each flip an account of their
own as fast as they are answered, every flip with the fence. Swept: a ledger with 100,000 trials that ended while no
service ran; while it makes them durable, one operator flips another account. Both on SQLite and on PostgreSQL (fsync
on). Decisions are timed in a process of their own (`tests.decide_costs`). Prints one page and writes it down.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from loadtest.bench.cpu import Cores, cpu_seconds
from loadtest.bench.lifecycle.page import FLIPS_MIN, page
from loadtest.bench.lifecycle.result import Flipping, Swept, Timed
from loadtest.bench.machine import describe
from loadtest.ending import run
from loadtest.peers.local_http import LocalHttp, LocalHttpFailed
from loadtest.peers.pixelgate import await_ready, await_socket, program
from loadtest.peers.server import ROOT, Running, ServerFailed, await_answer, free_port, launch
from tests.servers import PostgresServer, RedisServer

FOLDER: Final = Path("docs/benchmarks")
MAKING_SECONDS: Final = 1800.0
SWEEP_SECONDS_MAX: Final = 120.0
POLL_SECONDS: Final = 0.1
PAUSE_SECONDS: Final = 0.02
"""Between two flips of the one operator beside the sweep."""
RULEBOOK: Final = "default"
ALONE: Final = "shop"
COMMANDS: Final = ("pause", "resume")


class Stand:
    """A gating service and a collector on one data directory, with the engines that `environment` names."""

    def __init__(self, folder: Path, cores: Cores, environment: Mapping[str, str]) -> None:
        folder.mkdir()
        self.data, self._folder, self._cores = folder / "data", folder, cores
        self.environment = environment
        self.admin_port = free_port()

    @contextlib.contextmanager
    def collecting(self, workers: int) -> Iterator[Running]:
        """Collector workers, for as long as the block runs."""
        port = free_port()
        collector = self._start("collector", port, "--workers", str(workers), "--port", str(port))
        try:
            await_answer(collector)
            yield collector
        finally:
            collector.stop()

    @contextlib.contextmanager
    def gating(self) -> Iterator[Running]:
        """The gating service, for as long as the block runs."""
        gating = self._start("gating", 0, "--admin-port", str(self.admin_port))
        try:
            await_socket(gating, self.data)
            yield gating
        finally:
            gating.stop()

    def _start(self, role: str, port: int, *options: str) -> Running:
        words = self._folder / f"{role}.words"
        argv = ["env", *(f"{key}={value}" for key, value in self.environment.items())]
        argv += [str(program()), "--data", str(self.data), role, *options]
        return Running(launch(argv, words, None), port, words)

    def ledger_version(self) -> int:
        """As the service's readiness tells it: nothing is cheaper to ask, and a scrape of its metrics would count all
        that is owed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/health/ready", timeout=30) as answer:
            return int(json.loads(answer.read())["version"])


def flipping(stand: Stand, ledger: str, operators: int, pace: float, seconds: float, workers: int) -> Flipping:
    """Flip for so long."""
    with stand.gating() as gating, stand.collecting(workers) as collector:
        await_ready(collector)
        for number in range(operators):
            _post(stand, "/api/v1/accounts", {"id": f"shop-{number}", "rulebook": RULEBOOK})
        all_timed = [Timed() for _ in range(operators)]
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=_flip, args=(stand, f"shop-{number}", timed, until, pace / operators))
            for number, timed in enumerate(all_timed)
        ]
        used = cpu_seconds(gating.process.pid)
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, used = time.monotonic() - began, cpu_seconds(gating.process.pid) - used
    timed = Timed()
    for one in all_timed:
        timed.take(one)
    return Flipping(ledger, operators, pace, took, used, timed)


def sweeping(stand: Stand, ledger: str, accounts: int, workers: int) -> Swept:
    """Have the accounts' deadlines come while no service is there, then let one sweep them, an operator beside it."""
    made = subprocess.run(
        [sys.executable, "-m", "tests.due_accounts", str(stand.data), str(accounts)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=MAKING_SECONDS,
        env={**os.environ, **stand.environment},
    )  # fmt: skip
    if made.returncode != 0:
        raise ServerFailed(f"{accounts:,} accounts cannot be made: {made.stderr[-300:]}")
    timed, done = Timed(), threading.Event()
    with stand.collecting(workers):
        began = time.monotonic()
        with stand.gating() as gating:
            _post(stand, "/api/v1/accounts", {"id": ALONE, "rulebook": RULEBOOK, "wait": False})
            operator = threading.Thread(target=_flip_now_and_then, args=(stand, timed, done))
            operator.start()
            try:
                _await_swept(stand, accounts, timed, began)
                took, used = time.monotonic() - began, cpu_seconds(gating.process.pid)
            finally:
                done.set()
                operator.join()
    return Swept(ledger, accounts, took, used, timed)


def _await_swept(stand: Stand, accounts: int, timed: Timed, began: float) -> None:
    """Until each account has its second version: of the ledger's, one is the operator's account, one each flip's."""
    while time.monotonic() - began < SWEEP_SECONDS_MAX:
        flips = len(timed.waited_ms) + len(timed.faults) + 1  # one may be under way
        if stand.ledger_version() - 1 - flips >= 2 * accounts - 1:
            return
        time.sleep(POLL_SECONDS)
    raise ServerFailed(f"{accounts:,} deadlines are not durable after {SWEEP_SECONDS_MAX:g} s")


def _post(stand: Stand, target: str, document: dict[str, Any]) -> Any:
    with LocalHttp(stand.data / "gating.sock") as http:
        return http.post(target, document)


def _flip(stand: Stand, account: str, timed: Timed, until: float, pace: float) -> None:
    """One operator: the next flip at its own moment (one that comes too late comes at once), or with no pace as soon as
    the last one is answered."""
    at, began = 0, time.monotonic() + (Random(account).random() / pace if pace else 0.0)
    try:
        with LocalHttp(stand.data / "gating.sock") as http:
            while time.monotonic() < until:
                if pace:
                    time.sleep(max(0.0, began + at / pace - time.monotonic()))
                timed.note(http.post(_command(account, at), {"role": "operator", "wait": True}))
                at += 1
    except (LocalHttpFailed, OSError) as error:
        timed.faults.append(str(error))


def _flip_now_and_then(stand: Stand, timed: Timed, done: threading.Event) -> None:
    at = 0
    try:
        with LocalHttp(stand.data / "gating.sock") as http:
            while not done.wait(PAUSE_SECONDS):
                timed.note(http.post(_command(ALONE, at), {"role": "operator", "wait": True}))
                at += 1
    except (LocalHttpFailed, OSError) as error:
        timed.faults.append(str(error))


def _command(account: str, at: int) -> str:
    return f"/api/v1/accounts/{account}/commands/{COMMANDS[at % 2]}"


def deciding() -> dict[str, dict[str, float]]:
    """Microseconds a decision, by rulebook."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.decide_costs"], cwd=ROOT, capture_output=True, text=True, check=True,
        timeout=MAKING_SECONDS,
    )  # fmt: skip
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def engines(ledger: str, work: Path) -> Iterator[dict[str, str]]:
    """What the roles are told in their environment: nothing for the file, PostgreSQL and Redis else."""
    if ledger == "SQLite":
        yield {}
        return
    postgres, redis = PostgresServer(work / "postgres", fsync="on"), RedisServer(work / "redis")
    with contextlib.ExitStack() as stopping:
        for server in (postgres, redis):
            server.start()
            stopping.callback(server.stop)
        yield {"DATABASE_URL": postgres.database(), "REDIS_URL": redis.url}


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.lifecycle", description="Decisions, flips a second, deadlines swept."
    )
    add = parser.add_argument
    add("--ledgers", nargs="+", choices=list(FLIPS_MIN), default=list(FLIPS_MIN), help="which (both)")
    add(
        "--operators", nargs="*", type=int, default=[1, 32], help="how many flip as fast as they can, a run each (1 32)"
    )
    add("--paced", type=int, default=32, help="operators who flip at the bar's pace together; 0 leaves that out (32)")
    add("--seconds", type=float, default=10, help="of each run of flips (10)")
    add("--accounts", type=int, default=100_000, help="whose deadlines come; 0 leaves the sweep out (100,000)")
    add("--workers", type=int, default=2, help="collector workers that every flip waits for (2)")
    add("--work", type=Path, metavar="DIR", help="where the ledgers are written, on a real disk (a temporary one)")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where lifecycle.md is written ({FOLDER})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write down."""
    chosen = options(arguments)
    cores = Cores.of_this_machine()
    costs = deciding()
    flips: list[Flipping] = []
    sweeps: list[Swept] = []
    with tempfile.TemporaryDirectory(prefix="lifecycle-", dir=chosen.work) as name:
        for ledger in chosen.ledgers:
            for operators, pace in [(n, 0.0) for n in chosen.operators] + [(chosen.paced, FLIPS_MIN[ledger])]:
                if not operators:
                    continue
                work = Path(name) / f"{ledger}-{operators}-{pace:g}"
                work.mkdir()
                with engines(ledger, work) as environment:
                    stand = Stand(work / "stand", cores, environment)
                    flips.append(flipping(stand, ledger, operators, pace, chosen.seconds, chosen.workers))
                print(f"{flips[-1].name}: {flips[-1].rate:.0f} flips/s", flush=True)
            if chosen.accounts:
                work = Path(name) / f"{ledger}-sweep"
                work.mkdir()
                with engines(ledger, work) as environment:
                    stand = Stand(work / "stand", cores, environment)
                    sweeps.append(sweeping(stand, ledger, chosen.accounts, chosen.workers))
                print(f"{ledger}: swept in {sweeps[-1].seconds:.1f} s", flush=True)
        machine = {**describe(cores, Path(name)), "cores": f"{len(os.sched_getaffinity(0))}, nothing is pinned"}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = "\n".join(f"- {what}: {value}" for what, value in machine.items())
    text = page(costs, flips, sweeps, f"# What the lifecycle costs\n\nMeasured {at}.\n\n{facts}\n\n")
    chosen.to.mkdir(parents=True, exist_ok=True)
    (chosen.to / "lifecycle.md").write_text(text)
    print(f"\n{text}\nwritten: {chosen.to / 'lifecycle.md'}")
    return 0


if __name__ == "__main__":
    run(main, "bench")
