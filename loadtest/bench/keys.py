"""`python -m loadtest.bench.keys`: what many write keys cost a worker in memory, time to load, answers meanwhile, CPU.

A worker is started on a ledger of a few accounts and on one of many (`tests.many_accounts` makes them once; they are
opened where they lie). Loading: no gating service runs, so hits are kept unverified; wrk fires at a moderate pace from
the first answer on until the worker says that its map stands. Then CPU a hit with a lease, few and many keys in turn,
as `rounds.py` plays any other server. Prints one table and writes it down.
"""

import argparse
import http.client
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from loadtest.bench.cpu import Cores, pinned
from loadtest.bench.machine import describe
from loadtest.bench.result import Look, Result
from loadtest.bench.rounds import Plan, play, tell
from loadtest.bench.wrk import Load, Seen, installed, write_heads
from loadtest.ending import run
from loadtest.heads import HEADS, heads
from loadtest.peers.pixelgate import Accounts, Pixelgate, program
from loadtest.peers.server import (
    MANY_BROWSERS,
    POLL_SECONDS,
    Running,
    ServerFailed,
    await_answer,
    free_port,
    last_words,
    launch,
)
from tests.servers import RedisServer

FOLDER: Final = Path("docs/benchmarks")
LEDGERS: Final = Path("build/bench")
LOADING_SECONDS: Final = 60.0
FILLING_SECONDS: Final = 300.0
PACE_CONNECTIONS: Final = 64
PACE_MS: Final = 32
"""64 connections, each of which rests so long between two hits: 2,000 hits a second."""
WRK_SECONDS_MIN: Final = 1.0
"""Sooner wrk has not set itself up, and cannot be ended."""
NO_MAP: Final = b"no map of accounts yet"

RSS_MB_MAX: Final = 250.0
LOAD_SECONDS_MAX: Final = 5.0
P99_MS_MAX: Final = 5.0
RATIO_MAX: Final = 1.1


@dataclass(frozen=True, slots=True)
class Loaded:
    """One start of a worker, in seconds since the process was started, and MB (2^20 bytes)."""

    keys: int
    first_answer_seconds: float
    standing_seconds: float
    rss_mb: float
    peak_mb: float
    answers: int
    p99_ms: float
    max_ms: float


def load(accounts: Accounts, cores: Cores, work: Path, redis_url: str | None = None) -> Loaded:
    """Start a worker, fire at it until its map stands, look at its memory, stop it. Raises ServerFailed, WrkFailed.

    redis_url: it reads its map from there, not from the ledger.
    """
    data, words, port = work / "data", work / "words", free_port()
    accounts.copy(data)
    file = write_heads(work / "heads", heads(1, HEADS, accounts.keys))
    settings = {"PIXELGATE_DATA": str(data), "PIXELGATE_HOST": "127.0.0.1", "PIXELGATE_PORT": str(port)}
    settings |= {"REDIS_URL": redis_url} if redis_url else {}
    argv = ["env", *(f"{name}={value}" for name, value in settings.items()), sys.executable, "-m", "collector"]
    began = time.monotonic()
    running = Running(launch(argv, words, cores.server), port, words)
    await_answer(running)
    first = time.monotonic() - began
    try:
        paced = Load(cores.load, PACE_CONNECTIONS, LOADING_SECONDS, PACE_MS)
        wrk = paced.start(port, file)
        try:
            standing = _await_map(running, began)
            time.sleep(max(0.0, began + first + WRK_SECONDS_MIN - time.monotonic()))
        finally:
            seen: Seen = paced.cut_short(wrk)
        rss, peak = _memory(running.process.pid)
    finally:
        running.stop()
        shutil.rmtree(data)
    return Loaded(
        accounts.count, first, standing, rss, peak, seen.answered, seen.p99_us / 1000, seen.max_us / 1000
    )  # fmt: skip


@contextmanager
def filled_redis(accounts: Accounts, cores: Cores, work: Path) -> Iterator[str]:
    """A Redis that holds the accounts' whole state, written by the gating service, which has stopped again."""
    folder = work / "redis"
    with pinned(cores.load):
        server = RedisServer(folder)
        server.start()
    try:
        data, words = work / "gating", work / "words"
        accounts.copy(data)
        argv = ["env", f"REDIS_URL={server.url}", str(program()), "--data", str(data), "gating", "--admin-port", "0"]
        gating = Running(launch(argv, words, cores.server), 0, words)
        try:
            _await_state(server.url, accounts.count, gating)
        finally:
            gating.stop()
            shutil.rmtree(data)
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _await_state(url: str, accounts: int, gating: Running) -> None:
    """Until the state that the pointer names is whole."""
    until = time.monotonic() + FILLING_SECONDS
    with redis.Redis.from_url(url, decode_responses=True) as client:
        while time.monotonic() < until and gating.process.poll() is None:
            epoch = client.hget("{pixelgate}:epoch", "epoch")
            if epoch and client.exists(f"{{pixelgate}}:{epoch}:head"):
                if client.hlen(f"{{pixelgate}}:{epoch}:state") >= accounts:
                    return
                break
            time.sleep(POLL_SECONDS)
    raise ServerFailed(f"Redis was not filled with {accounts:,} accounts: {last_words(gating.words)}")


def _await_map(running: Running, began: float) -> float:
    """When the worker's readiness no longer says that it has no map."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=LOADING_SECONDS)
    try:
        while time.monotonic() - began < LOADING_SECONDS:
            with suppress(http.client.HTTPException, OSError):
                connection.request("GET", "/health/ready")
                if NO_MAP not in connection.getresponse().read():
                    return time.monotonic() - began
            time.sleep(POLL_SECONDS)
    finally:
        connection.close()
    raise ServerFailed(f"the map does not stand after {LOADING_SECONDS:.0f} s: {last_words(running.words)}")


def _memory(pid: int) -> tuple[float, float]:
    """Resident now, and at most so far, in MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def table(starts: Sequence[Loaded], looks: Sequence[Look], few: str, many: str) -> str:
    """Everything that was found, in Markdown."""
    result = Result("", {}, {}, looks=list(looks))
    lines = [
        "| keys | first answer | map stands | RSS | peak | answers while loading | p99 | max |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.keys:,} | {one.first_answer_seconds:.2f} s | {one.standing_seconds:.2f} s | {one.rss_mb:.0f} MB "
        f"| {one.peak_mb:.0f} MB | {one.answers:,} | {one.p99_ms:.2f} ms | {one.max_ms:.1f} ms |"
        for one in starts
    ]
    lines += ["", "| server | CPU a hit: median (least - most), looks |", "|---|---:|"] if looks else []
    for name in (few, many) if looks else ():
        found = result.spread(name, MANY_BROWSERS.name, lambda one: one.cpu_us)
        said = (
            "none" if found is None else f"{found.median:.2f} us ({found.least:.2f} - {found.most:.2f}), {found.rounds}"
        )
        lines.append(f"| {name} | {said} |")
    return "\n".join(
        [*lines, "", "| bar | at most | found | |", "|---|---:|---:|---|", *_bars(starts, result, few, many)]
    )


def _bars(starts: Sequence[Loaded], result: Result, few: str, many: str) -> list[str]:
    most = max(one.keys for one in starts)
    small = [one for one in starts if one.keys != most]
    large = [one for one in starts if one.keys == most]
    # From outside a load's beginning cannot be seen; a worker with few keys stands as soon as it answers.
    load_seconds = max(one.standing_seconds for one in large) - min(one.standing_seconds for one in small)
    found = result.ratio(many, few, MANY_BROWSERS.name)
    rows = [
        (f"RSS of a worker with {most:,} keys", RSS_MB_MAX, max(one.peak_mb for one in large), "MB"),
        ("map stands, later than with few keys", LOAD_SECONDS_MAX, load_seconds, "s"),
        ("p99 of answers while it loads", P99_MS_MAX, max(one.p99_ms for one in large), "ms"),
        *(
            [("CPU a hit, many keys / few (median of looks)", RATIO_MAX, found.median if found else None, "")]
            * bool(result.looks)
        ),
    ]
    return [
        f"| {title} | {bar:g} {unit} | {'-' if value is None else f'{value:.2f} {unit}'} "
        f"| {'not measured' if value is None else 'PASS' if value <= bar else 'MISS'} |"
        for title, bar, value, unit in rows
    ]


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.keys", description="What a million write keys cost a collector worker."
    )
    add = parser.add_argument
    add("--few", type=int, default=500, help="write keys to compare with (500)")
    add("--many", type=int, default=1_000_000, help="write keys (1,000,000)")
    add(
        "--starts",
        type=int,
        default=3,
        choices=range(1, 100),
        metavar="N",
        help="starts of each, for memory and loading (3)",
    )
    add("--no-redis", dest="redis", action="store_false", help="leave the same loads from Redis out")
    add("--rounds", type=int, default=5, help="interleaved rounds of CPU a hit; 0 leaves them out (5)")
    add("--looks", type=int, default=3, help="of a second, measured in each of their turns (3)")
    add("--connections", type=int, default=64, help="connections at a time (64)")
    add("--ledgers", type=Path, default=LEDGERS, metavar="DIR", help=f"ledgers, kept for later ({LEDGERS})")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where keys.md is written ({FOLDER})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write down."""
    chosen = options(arguments)
    if not installed():
        print("bench: wrk is not installed (Debian: apt-get install wrk)", file=sys.stderr)
        return 1
    cores = Cores.of_this_machine()
    both = [Accounts(chosen.few, chosen.ledgers), Accounts(chosen.many, chosen.ledgers)]
    servers = [Pixelgate(one, "process", f"{one.count:,} keys") for one in both]
    for server in servers:
        server.prepare(chosen.ledgers, cores)
    chosen.ledgers.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keys-", dir=chosen.ledgers) as name:
        work = Path(name)
        starts = []
        for _ in range(chosen.starts):
            for one in both:
                starts.append(load(one, cores, work))
                print(starts[-1], flush=True)
        carried = []
        for one in both if chosen.redis else ():
            with filled_redis(one, cores, work) as url:
                for _ in range(chosen.starts):
                    carried.append(load(one, cores, work, url))
                    print(carried[-1], flush=True)
        looks = []
        plan = Plan(chosen.rounds, chosen.looks, 1, 1, chosen.connections, 1)
        for look in play(servers, [MANY_BROWSERS], plan, cores, work):
            print(tell(look), flush=True)
            looks.append(look)
        machine = describe(cores, work)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = "\n".join(f"- {what}: {value}" for what, value in machine.items())
    text = f"# What write keys cost a worker\n\nMeasured {at}.\n\n{facts}\n\n"
    text += table(starts, looks, servers[0].name, servers[1].name) + "\n"
    if carried:
        text += "\n## From Redis\n\n" + table(carried, (), servers[0].name, servers[1].name) + "\n"
    chosen.to.mkdir(parents=True, exist_ok=True)
    (chosen.to / "keys.md").write_text(text)
    print(f"\n{text}\nwritten: {chosen.to / 'keys.md'}")
    return 0


if __name__ == "__main__":
    run(main, "bench")
