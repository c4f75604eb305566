"""`python -m loadtest.bench`: measure, print, write down. Run with `--help` for what can be left out or made longer."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.bench import report
from loadtest.bench.bars import judge, met
from loadtest.bench.cpu import Cores
from loadtest.bench.flips import FlipPlan, measure
from loadtest.bench.machine import describe
from loadtest.bench.result import Contender, Result
from loadtest.bench.rounds import Plan, play, tell
from loadtest.bench.wrk import installed
from loadtest.ending import run
from loadtest.peers.field import MANY_KEYS, MOST_KEYS, field
from loadtest.peers.pixelgate import program
from loadtest.peers.server import SCENARIOS, Scenario, Server, ServerFailed

FOLDER: Final = Path("docs/benchmarks")
LEDGERS: Final = Path("build/bench")


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench",
        description="CPU a hit of pixel servers beside each other: one core serves, another loads.",
        epilog="Example: python -m loadtest.bench --only pixelgate nginx-lua c-epoll --scenario keep-alive --rounds 5",
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds of each server and scenario (3)")
    add("--looks", type=int, default=3, help="measured in each turn (3)")
    add("--seconds", type=int, default=1, help="of each look (1)")
    add("--warmup", type=int, default=1, help="seconds of load before the first look (1)")
    add("--connections", type=int, default=64, help="connections at a time (64)")
    add("--seed", type=int, default=1, help="of the browser heads and keys (1)")
    add("--many-keys", type=int, default=MANY_KEYS, help="write keys of the rows that show what keys cost (100,000)")
    add("--most-keys", type=int, default=MOST_KEYS, help="write keys of the row with the most (1,000,000)")
    add("--only", nargs="+", metavar="SERVER", help="measure these alone")
    names = [one.name for one in SCENARIOS]
    add(
        "--scenario",
        nargs="+",
        choices=names,
        default=names,
        metavar="SCENARIO",
        help=f"these alone: {', '.join(names)}",
    )
    add("--flips", type=int, default=400, help="flips to time under load; 0 leaves them out (400)")
    add("--flip-workers", type=int, default=2, help="collector workers meanwhile (2)")
    add("--flip-pace", type=int, default=2000, help="hits a second meanwhile (2,000)")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where the results are written ({FOLDER})")
    add(
        "--work", type=Path, metavar="DIR", help="where logs and journals are written, on a real disk (a temporary one)"
    )
    add(
        "--ledgers", type=Path, default=LEDGERS, metavar="DIR", help=f"ledgers of many keys, kept for later ({LEDGERS})"
    )
    add("--strict", action="store_true", help="exit 1 unless every bar was measured and passed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; returns the exit code: 0 whatever was found, unless `--strict`."""
    chosen = options(arguments)
    if not installed():
        print("bench: wrk is not installed (Debian: apt-get install wrk)", file=sys.stderr)
        return 1
    cores = Cores.of_this_machine()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.work) as name:
        result = _measure(chosen, cores, Path(name))
    paths = report.write(result, chosen.to)
    print(f"\n{report.text(result)}\nwritten: {', '.join(map(str, paths))}")
    return 1 if chosen.strict and not (met(judge(result)) and not result.void()) else 0


def _measure(chosen: argparse.Namespace, cores: Cores, work: Path) -> Result:
    work.chmod(0o755)  # started as root, nginx's worker becomes another user
    settings = {
        "load": f"wrk, one thread, {chosen.connections} connections, browser heads of seed {chosen.seed}",
        "rounds": f"{chosen.rounds} interleaved, {chosen.looks} looks of {chosen.seconds} s in each, after "
        f"{chosen.warmup} s of warm-up",
        "CPU": "user and system time of the server's whole process tree, divided by answered hits",
    }
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    result = Result(at, describe(cores, work), settings)
    scenarios = [one for one in SCENARIOS if one.name in chosen.scenario]
    everybody = field(chosen.seed, chosen.many_keys, chosen.ledgers, chosen.most_keys)
    servers = _prepare(_chosen(everybody, chosen.only, scenarios), result, work, cores)
    plan = Plan(chosen.rounds, chosen.looks, chosen.seconds, chosen.warmup, chosen.connections, chosen.seed)
    for one in play(servers, scenarios, plan, cores, work):
        print(tell(one), flush=True)
        result.looks.append(one)
    _flips(chosen, result, work)
    return result


def _chosen(servers: Sequence[Server], only: Sequence[str] | None, scenarios: Sequence[Scenario]) -> list[Server]:
    """Those that were asked for, or all, that play one of the scenarios."""
    names = [server.name for server in servers]
    if unknown := set(only or ()) - set(names):
        sys.exit(f"bench: no server {min(unknown)!r}; there are {', '.join(names)}")
    playing = [server for server in servers if any(server.plays(scenario) for scenario in scenarios)]
    for name in sorted(set(only or ()) - {server.name for server in playing}):
        print(f"{name} plays none of the chosen scenarios", flush=True)
    return [server for server in playing if not only or server.name in only]


def _prepare(servers: Sequence[Server], result: Result, work: Path, cores: Cores) -> list[Server]:
    """Prepare the chosen servers; what cannot run here is skipped with a line."""
    ready = []
    for server in servers:
        skipped, version = server.missing(), "-"
        try:
            if skipped is None:
                print(f"preparing {server.name}", flush=True)
                server.prepare(work, cores)
                version = server.version()
                ready.append(server)
        except (ServerFailed, OSError) as error:
            skipped = str(error)
        if skipped is not None:
            skipped = f"skipped: {skipped}"
            print(f"{server.name} {skipped}", flush=True)
        result.contenders.append(Contender(server.name, server.job, version, skipped))
    return ready


def _flips(chosen: argparse.Namespace, result: Result, work: Path) -> None:
    if chosen.flips == 0:
        return
    if program() is None:
        result.flips_skipped = "no `pixelgate` command"
        return
    folder = work / "flips"
    folder.mkdir()
    plan = FlipPlan(chosen.flips, chosen.flip_workers, chosen.flip_pace, chosen.connections, chosen.seed)
    try:
        result.flips = measure(plan, folder)
    except ServerFailed as error:
        result.flips_skipped = str(error)
        print(f"flips skipped: {error}", flush=True)


if __name__ == "__main__":
    run(main, "bench")
