"""Flips under load: a whole running system, hits at a moderate pace, an operator who pauses and resumes an account.

Asked over the gating service's own socket on one kept connection: a command line's start would be most of what is
timed. The service tells commit -> last worker's report and its own waiting; the caller's clock tells the rest.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from loadtest.bench.result import Flips
from loadtest.bench.wrk import Load, WrkFailed, write_heads
from loadtest.heads import HEADS, heads
from loadtest.peers.local_http import LocalHttp, LocalHttpFailed
from loadtest.peers.pixelgate import ACCOUNT, await_ready, await_socket, pixelgate, program
from loadtest.peers.server import Running, ServerFailed, await_answer, free_port, launch

PAUSE_SECONDS_MAX: Final = 0.05
"""Between two flips, drawn evenly: an operator, not a tight loop, and no beat with the workers' own timers."""
STARTUP_SECONDS: Final = 1.0
FLIP_SECONDS_MAX: Final = 1.0
COMMANDS: Final = ("pause", "resume")


@dataclass(frozen=True, slots=True)
class FlipPlan:
    """flips: how many are timed; hits_per_second: the load meanwhile, spread over the connections."""

    flips: int
    workers: int
    hits_per_second: int
    connections: int
    seed: int

    @property
    def delay_ms(self) -> int:
        """How long each connection rests between two hits for that pace."""
        return max(1, round(self.connections * 1000 / self.hits_per_second))

    @property
    def load_seconds(self) -> float:
        """Far longer than the flips should take; the load is cut short behind the last one."""
        return STARTUP_SECONDS + self.flips * FLIP_SECONDS_MAX


@dataclass(slots=True)
class Timed:
    """What flips took so far, as `result.Flips` has it."""

    enforced_ms: list[float] = field(default_factory=list)
    waited_ms: list[float] = field(default_factory=list)
    seen_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def measure(plan: FlipPlan, folder: Path) -> Flips:
    """Start everything, load it, flip, stop. Raises ServerFailed where the system does not start."""
    data, port, words = folder / "data", free_port(), folder / "words"
    argv = [str(program()), "--data", str(data), "run", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--admin-port", "0", "--workers", str(plan.workers)]
    running = Running(launch(argv, words, None), port, words)
    await_answer(running)
    await_ready(running)
    await_socket(running, data)
    try:
        return _under_load(plan, folder, data, running)
    except (LocalHttpFailed, WrkFailed, OSError) as error:
        raise ServerFailed(str(error)) from error
    finally:
        running.stop()


@dataclass(frozen=True, slots=True)
class Hosts:
    """Collector processes with a data directory each, and the engines that connect them to one gating service."""

    count: int
    engines: Mapping[str, str]


def measure_hosts(plan: FlipPlan, folder: Path, hosts: Hosts) -> Flips:
    """The same over several hosts: flips by the gating service's socket, hits at the first host's collector.

    Raises ServerFailed where something does not start.
    """
    environment = ["env", *(f"{name}={value}" for name, value in hosts.engines.items()), str(program())]
    center = folder / "center"
    with contextlib.ExitStack() as stopping:
        words = folder / "gating.words"
        gating = Running(
            launch([*environment, "--data", str(center), "gating", "--admin-port", "0"], words, None), 0, words
        )
        stopping.callback(gating.stop)
        await_socket(gating, center)
        collectors = []
        for number in range(hosts.count):
            port, words = free_port(), folder / f"collector-{number}.words"
            argv = [*environment, "--data", str(folder / f"host-{number}"), "collector", "--workers", "1"]
            collector = Running(launch([*argv, "--host", "127.0.0.1", "--port", str(port)], words, None), port, words)
            stopping.callback(collector.stop)
            collectors.append(collector)
        for collector in collectors:
            await_answer(collector)
            await_ready(collector)
        try:
            return _under_load(plan, folder, center, collectors[0])
        except (LocalHttpFailed, WrkFailed, OSError) as error:
            raise ServerFailed(str(error)) from error


def _under_load(plan: FlipPlan, folder: Path, data: Path, running: Running) -> Flips:
    key = pixelgate(data, "account", "create", "--rulebook", "default", "--id", ACCOUNT)["write_key"]
    file = write_heads(folder / "heads", heads(plan.seed, HEADS, [key]))
    load = Load(None, plan.connections, plan.load_seconds, plan.delay_ms)
    wrk = load.start(running.port, file)
    try:
        time.sleep(STARTUP_SECONDS)  # the load's own start, not a synchronisation
        timed = Timed()
        with LocalHttp(data / "gating.sock") as http:
            flip(plan, http, timed)
        outlived = wrk.poll() is None
    finally:
        seen = load.cut_short(wrk)
    faults = timed.faults + [f"{count} {kind} errors among the hits" for kind, count in seen.errors.items()]
    if not outlived:
        faults.append(f"the load of {plan.load_seconds:.0f} s ended before the last flip")
    rate = seen.answered / (seen.duration_us / 1e6)
    return Flips(plan.workers, rate, timed.enforced_ms, timed.waited_ms, timed.seen_ms, faults)


def flip(plan: FlipPlan, http: LocalHttp, timed: Timed) -> None:
    """Flip the account as often as planned, on from what was timed already; raises what the connection raises."""
    random = Random(f"{plan.seed} {len(timed.seen_ms)}")
    for _ in range(plan.flips):
        command = COMMANDS[len(timed.seen_ms) % len(COMMANDS)]
        began = time.perf_counter()
        answer = http.post(f"/api/v1/accounts/{ACCOUNT}/commands/{command}", {"role": "operator", "wait": True})
        timed.seen_ms.append((time.perf_counter() - began) * 1e3)
        _note(timed, answer, plan.workers, command)
        time.sleep(random.uniform(0, PAUSE_SECONDS_MAX))


def _note(timed: Timed, answer: dict[str, Any], workers: int, command: str) -> None:
    """Keep what the service told; a flip that is not enforced by all workers is a fault, not a fast one."""
    if answer.get("enforced") is not True or answer.get("workers") != workers:
        timed.faults.append(
            f"{command}: enforced {answer.get('enforced')} by {answer.get('workers')} of {workers} workers"
        )
    for name, values in (("enforced_ms", timed.enforced_ms), ("waited_ms", timed.waited_ms)):
        if isinstance(told := answer.get(name), int | float):
            values.append(float(told))
        else:
            timed.faults.append(f"{command}: the service told no {name}")
