"""Workers on many hosts: what their leases and flips cost Redis and the gating service that leads.

So many workers with REDIS_URL set, on one core, as many hosts would have them: each has its own connections, reports
once a second and reads the stream. Redis, PostgreSQL (fsync on) and the gating service have the other core. CPU is told
a second: while nobody flips, then while operators flip at one pace. What a line through it rises by is a worker's part.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis

from loadtest.bench.cpu import PROC, pinned
from loadtest.bench.growth.flipping import ENFORCED, Operators, create_accounts
from loadtest.bench.growth.gauge import LOADS_FAIL
from loadtest.bench.growth.lives import Run
from loadtest.bench.growth.sample import Sample
from loadtest.bench.stats import percentile
from loadtest.peers.pixelgate import await_ready, await_socket, program
from loadtest.peers.server import POLL_SECONDS, Running, ServerFailed, await_answer, free_port, launch
from tests.servers import PostgresServer, RedisServer

WORKERS: Final = (1, 4, 16, 32)
FLIPS_PER_SECOND: Final = 20.0
WINDOW_SECONDS: Final = 6.0
STEADY_SECONDS: Final = 2.0
"""After the last worker has its lease: its start's own work is done by then."""
START_SECONDS_MAX: Final = 60.0
LINES_OF_ONE: Final = 3
"""A worker's connections: it follows the stream, reports, and hears answers."""
NAMES: Final = ("redis", "gating")
COMMANDS_OF_ONE: Final = "commands/s a worker"
CONNECTIONS_OF_ONE: Final = "connections a worker"


def hosts(run: Run, _ledgers: Path, counts: tuple[int, ...] = WORKERS) -> Iterator[Sample]:
    """One worker over Redis to 32."""
    for number in run.numbers():
        folder = run.work / f"hosts-{number}"
        folder.mkdir()
        with ExitStack() as stopping, pinned(run.cores.load):
            postgres, server = PostgresServer(folder / "postgres", fsync="on"), RedisServer(folder / "redis")
            for one in (postgres, server):
                one.start()
                stopping.callback(one.stop)
            site = _Site(run, folder, {"REDIS_URL": server.url, "DATABASE_URL": postgres.database()}, server)
            gating = site.start("gating", "--admin-port", "0", core=run.cores.load)
            stopping.callback(gating.stop)
            await_socket(gating, site.data)
            create_accounts(site.data / "gating.sock")
            alone = _connections(site.redis)
            for count in counts:
                try:
                    yield from site.measure(count, number, gating, alone)
                except LOADS_FAIL as error:
                    yield from (Sample(f"{name}, leases", count, number, faults=[str(error)]) for name in NAMES)


@dataclass(frozen=True, slots=True)
class _Site:
    """Engines, and the roles that are started with them."""

    run: Run
    folder: Path
    engines: dict[str, str]
    redis: RedisServer

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, role: str, *options: str, core: int, port: int = 0) -> Running:
        words = self.folder / f"{role}.words"
        argv = ["env", *(f"{key}={value}" for key, value in self.engines.items()), str(program())]
        return Running(launch([*argv, "--data", str(self.data), role, *options], words, core), port, words)

    def measure(self, count: int, number: int, gating: Running, alone: int) -> Iterator[Sample]:
        """Leases alone, then flips too."""
        port = free_port()
        options = ("--workers", str(count), "--host", "127.0.0.1", "--port", str(port))
        workers = self.start("collector", *options, core=self.run.cores.server, port=port)
        try:
            await_answer(workers)
            await_ready(workers)
            _await_leases(self.redis, alone, count)
            time.sleep(STEADY_SECONDS)  # what comes then is measured, not awaited
            more = {CONNECTIONS_OF_ONE: (_connections(self.redis) - alone) / count}
            quiet = self._window(gating, count, number, "leases", 0.0, more)
            yield from quiet
            yield from self._window(gating, count, number, f"{FLIPS_PER_SECOND:g} flips/s", FLIPS_PER_SECOND, more)
        finally:
            workers.stop()

    def _window(
        self, gating: Running, count: int, number: int, what: str, rate: float, more: dict[str, float]
    ) -> list[Sample]:
        """CPU of both meanwhile; hits are seconds, so that CPU is told a second."""
        pids = {"redis": self.redis.pid, "gating": gating.process.pid}
        with Operators(self.data / "gating.sock", rate, number) as operators:
            commands, began = _commands(self.redis), time.monotonic()
            before = {name: thread_seconds(pid) for name, pid in pids.items()}
            time.sleep(WINDOW_SECONDS)  # what is measured is what they do meanwhile
            used = {name: thread_seconds(pid) - before[name] for name, pid in pids.items()}
            seconds = time.monotonic() - began
            commands = _commands(self.redis) - commands
        done = operators.done
        more = {**more, COMMANDS_OF_ONE: commands / seconds / count, "flips/s": len(done.moments) / seconds}
        if done.enforced_ms:
            more[ENFORCED] = percentile(done.enforced_ms, 99)
        return [
            Sample(
                f"{name}, {what}", count, number, hits=max(1, round(seconds)), seconds=seconds,
                cpu_seconds=used[name], more=more, faults=done.faults[:3],
            )
            for name in pids
        ]  # fmt: skip


def _await_leases(server: RedisServer, alone: int, count: int) -> None:
    """Until each worker has its connections, the last of which reports."""
    until = time.monotonic() + START_SECONDS_MAX
    while _connections(server) - alone < LINES_OF_ONE * count:
        if time.monotonic() > until:
            raise ServerFailed(f"{count} workers do not all come to Redis within {START_SECONDS_MAX:g} s")
        time.sleep(POLL_SECONDS)


def thread_seconds(pid: int) -> float:
    """CPU seconds of a process' living threads to the microsecond, by schedstat: ticks of 10 ms are too coarse here."""
    stats = (PROC / str(pid) / "task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in stats) / 1e9


def _info(server: RedisServer, section: str) -> dict[str, Any]:
    with redis.Redis.from_url(server.url) as client:
        found: dict[str, Any] = client.info(section)
        return found


def _connections(server: RedisServer) -> int:
    return int(_info(server, "clients")["connected_clients"])


def _commands(server: RedisServer) -> int:
    return int(_info(server, "stats")["total_commands_processed"])
