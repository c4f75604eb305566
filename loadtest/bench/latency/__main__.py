"""`python -m loadtest.bench.latency`: latency at constant rates that wait for nobody, and service time in process.

First each server's capacity, in a closed loop. Then, in interleaved rounds, `pace` fires at shares of it, and at equal
rates; last Pixelgate again, timing itself. Writes latency.md, latency.json and latency.svg.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from loadtest import ending
from loadtest.bench.__main__ import FOLDER, LEDGERS
from loadtest.bench.cpu import Cores, pinned
from loadtest.bench.latency import page
from loadtest.bench.latency.result import TIMED, Leg, Result, Step
from loadtest.bench.latency.rounds import Plan, Rounds
from loadtest.bench.latency.service import TimedPixelgate
from loadtest.bench.machine import describe
from loadtest.bench.pace import Pace, compile_pace
from loadtest.bench.result import Contender
from loadtest.bench.wrk import installed
from loadtest.peers.field import FEW_KEYS, MANY_KEYS, field
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import Server, ServerFailed, run, tool

SERVERS: Final = ("c-epoll", "nginx-lua", "pixelgate", "pixelgate-disk")
GAPS_SOURCE: Final = Path(__file__).with_name("gaps.c")
GAPS_SECONDS: Final = 3.0
SERVICE_PERCENT: Final = 70


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.latency",
        description="Latency of pixel servers under an open-model load, and Pixelgate's service time in process.",
        epilog="Example: python -m loadtest.bench.latency --only pixelgate nginx-lua --percents 70 --equal --rounds 1",
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds (3)")
    add("--again", type=int, default=2, help="further rounds at most, for what has too few that count (2)")
    add("--seconds", type=float, default=3.0, help="measured seconds of a leg (3)")
    add("--warmup", type=float, default=0.5, help="seconds of load before a leg is measured (0.5)")
    add("--connections", type=int, default=64, help="kept connections (64)")
    add("--percents", type=int, nargs="*", default=[50, 70, 90], help="of each server's own capacity (50 70 90)")
    add("--equal", type=int, nargs="*", default=[50, 90], help="of the least of all capacities (50 90)")
    add("--seed", type=int, default=1, help="of the browser heads, keys and random gaps (1)")
    add("--only", nargs="+", metavar="SERVER", default=list(SERVERS), help=f"measure these ({' '.join(SERVERS)})")
    add("--wait", type=float, default=10.0, help="seconds to wait for a busy machine to rest before each leg (10)")
    add("--minutes", type=float, default=60.0, help="after these no further turn of a server is begun (60)")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where the results are written ({FOLDER})")
    add("--work", type=Path, metavar="DIR", help="where logs and journals are written, on a real disk")
    add("--ledgers", type=Path, default=LEDGERS, metavar="DIR", help=f"ledgers kept for later runs ({LEDGERS})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write down; returns the exit code: 0 whatever was found."""
    chosen = options(arguments)
    cores = Cores.of_this_machine()
    lacks = (
        ("wrk is not installed (Debian: apt-get install wrk)" if not installed() else None)
        or (tool("cc") and "no C compiler (Debian: apt-get install gcc libc6-dev)")
        or ("two cores are needed: the load spins on one" if cores.server == cores.load else None)
    )
    if lacks:
        print(f"latency: {lacks}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.work) as name:
        result = measure(chosen, cores, Path(name))
    paths = page.write(result, chosen.to)
    print(f"\n{page.text(result)}\nwritten: {', '.join(map(str, paths))}")
    return 0


def measure(chosen: argparse.Namespace, cores: Cores, work: Path) -> Result:
    """The whole run. Raises ServerFailed where the loader does not compile."""
    work.chmod(0o755)  # started as root, nginx's worker becomes another user
    result = Result(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), describe(cores, work), _settings(chosen))
    pace = Pace(compile_pace(work, cores.load), cores.load, chosen.connections, chosen.seed)
    plan = Plan(chosen.seconds, chosen.warmup, chosen.connections, chosen.seed, chosen.wait)
    rounds = Rounds(plan, pace, cores, work)
    deadline = time.monotonic() + 60 * chosen.minutes
    servers = _prepare(chosen, result, work, cores)
    result.gaps += gaps(work, cores, "before")
    for _ in range(chosen.rounds + chosen.again):
        for server in servers.values():
            done = sum(one.server == server.name and not one.faults for one in result.capacities)
            if server.name != TIMED and done < chosen.rounds and time.monotonic() < deadline:
                result.capacities.append(rounds.capacity(server))
                one = result.capacities[-1]
                print(f"capacity {one.server:<18} {'; '.join(one.faults) or f'{one.rate:,.0f} hits/s'}", flush=True)
    result.steps = _steps(chosen, result, servers)
    for number in range(1, chosen.rounds + chosen.again + 1):
        for name, server in servers.items():
            wanted = [
                step
                for step in result.steps.get(name, ())
                if number <= chosen.rounds or len(result.valid(name, step.name)) < chosen.rounds
            ]
            if wanted and time.monotonic() < deadline:
                turn, legs = rounds.turn(server, name, wanted, number)
                result.legs += legs
                result.turns.append(turn)
                print(
                    "\n".join([tell(leg) for leg in legs] + [f"{name}: {fault}" for fault in turn.faults]), flush=True
                )
    result.gaps += gaps(work, cores, "after")
    return result


def _settings(chosen: argparse.Namespace) -> dict[str, Any]:
    return {
        "load": f"pace, one thread that spins, {chosen.connections} kept connections, constant gaps unless told, "
        f"browser heads of seed {chosen.seed}",
        "rounds": f"{chosen.rounds} interleaved (up to {chosen.again} more for void legs), {chosen.seconds:g} s a leg "
        f"after {chosen.warmup:g} s of warm-up; a server is started once a round",
        "tables": "median of the rounds (least-most)",
    }


def _prepare(chosen: argparse.Namespace, result: Result, work: Path, cores: Cores) -> dict[str, Server]:
    """The chosen servers by name, made ready, and Pixelgate once more for timing itself; skipped ones with a line."""
    every = {server.name: server for server in field(chosen.seed, MANY_KEYS, chosen.ledgers)}
    if unknown := set(chosen.only) - set(every):
        sys.exit(f"latency: no server {min(unknown)!r}; there are {', '.join(every)}")
    wanted = {name: every[name] for name in every if name in chosen.only}
    if "pixelgate" in wanted:
        wanted[TIMED] = TimedPixelgate(Accounts(FEW_KEYS, chosen.ledgers), "process", TIMED)
    ready = {}
    for name, server in wanted.items():
        skipped, version = server.missing(), "-"
        try:
            if skipped is None:
                server.prepare(work, cores)
                version, ready[name] = server.version(), server
        except (ServerFailed, OSError) as error:
            skipped = str(error)
        if name != TIMED:
            told = skipped and f"skipped: {skipped}"
            result.contenders.append(Contender(name, server.job, version, told))
    return ready


def _steps(chosen: argparse.Namespace, result: Result, servers: dict[str, Server]) -> dict[str, list[Step]]:
    """Which rates each server gets; none for one whose capacity could not be told."""
    capacities = {name: found.median for name in servers if (found := result.capacity(name))}
    if not capacities:
        return {}
    least = min(capacities.values())
    steps = {
        name: [Step("own", percent, round(rate * percent / 100)) for percent in chosen.percents]
        + [Step("least", percent, round(least * percent / 100)) for percent in chosen.equal]
        for name, rate in capacities.items()
    }
    if TIMED in servers and "pixelgate" in capacities:
        rate = round(capacities["pixelgate"] * SERVICE_PERCENT / 100)
        steps[TIMED] = [Step("own", SERVICE_PERCENT, rate), Step("own", SERVICE_PERCENT, rate, poisson=True)]
    return steps


def gaps(work: Path, cores: Cores, when: str) -> list[dict[str, Any]]:
    """What both cores lose while nothing but a clock is read on them, at the same time."""
    program = work / "gaps"
    if not program.exists():
        run(["cc", "-O2", "-o", program, GAPS_SOURCE], cores.load)
    running = []
    for core in (cores.server, cores.load):
        with pinned(core):
            running.append((core, subprocess.Popen([program, str(GAPS_SECONDS)], stdout=subprocess.PIPE, text=True)))
    return [{"when": when, "core": core, **json.loads(one.communicate()[0])} for core, one in running]


def tell(leg: Leg) -> str:
    """Put a leg on one line."""
    head = f"round {leg.number} {leg.server:<18} {leg.step:<22}"
    if leg.faults or leg.paced is None:
        return f"{head} void: {'; '.join(leg.faults)}"
    told = ", ".join(f"p{percent} {leg.paced.latency_us[percent]:,.0f}" for percent in ("50", "99", "99.9"))
    inside = f", service {leg.service.given_us} {leg.service.written_us}" if leg.service else ""
    return f"{head} {leg.paced.achieved:9,.0f} hits/s, {told} us, {leg.busy:.0%} busy{inside}"


if __name__ == "__main__":
    ending.run(main, "latency")
