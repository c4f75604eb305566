"""`python -m loadtest.bench.delivered`: CPU a hit from the request to Kafka's acknowledgement, at one pace.

Go's fasthttp + franz-go, a Starlette route with redis + aiokafka, and Pixelgate's collector and publisher, one at a
time on one core, by a load of constant pace from the other, where Kafka, Redis and the gating service run too.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores
from loadtest.bench.delivered import load, page
from loadtest.bench.delivered.result import Delivered, read
from loadtest.bench.delivered.turn import Bench, Plan, tell
from loadtest.bench.machine import describe
from loadtest.bench.pace import PaceFailed
from loadtest.ending import run
from loadtest.heads import made_up_keys
from loadtest.peers.engines import Engines
from loadtest.peers.franz import FranzGo
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.pixelgate_kafka import PixelgateKafka
from loadtest.peers.server import Server, ServerFailed
from loadtest.peers.starlette_kafka import StarletteKafka

FOLDER: Final = Path("docs/benchmarks")
LEDGERS: Final = Path("build/bench")
KEYS: Final = 10
PACES: Final = (10_000.0, 2_000.0)
LINGER_US: Final = 500
STARLETTE_PACE_MAX: Final = 2_000.0
"""Some 300 us a hit are 3,000 hits/s of a core, with nothing left."""


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.delivered", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3, help="interleaved rounds of each server and pace (3)")
    add("--seconds", type=float, default=15.0, help="measured seconds of a turn (15)")
    add("--warmup", type=float, default=5.0, help="seconds of load before (5)")
    add("--paces", type=float, nargs="+", default=PACES, metavar="HITS", help="hits a second (10,000 and 2,000)")
    add("--connections", type=int, default=64, help="kept connections (64)")
    add("--seed", type=int, default=1, help="of the browser heads and keys (1)")
    add("--only", nargs="+", metavar="SERVER", help="measure these alone")
    add("--more", action="store_true", help="add the turns to those that are written down already")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where delivered.* are written ({FOLDER})")
    add("--work", type=Path, metavar="DIR", help="where engines and journals lie, on a real disk (a temporary one)")
    add("--ledgers", type=Path, default=LEDGERS, metavar="DIR", help=f"where the ledger is kept ({LEDGERS})")
    add("--strict", action="store_true", help="exit 1 unless the bar was measured and passed, and no turn was void")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write down; returns the exit code: 0 whatever was found, unless `--strict`."""
    chosen = options(arguments)
    if lacking := load.missing():
        print(f"bench: {lacking}", file=sys.stderr)
        return 1
    cores = Cores.of_this_machine()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.work) as name:
            result = _measure(chosen, cores, Path(name))
    except (ServerFailed, PaceFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    paths = page.write(result, chosen.to)
    print(f"\n{page.text(result)}\nwritten: {', '.join(map(str, paths))}")
    return 1 if chosen.strict and not page.met(result) else 0


def _measure(chosen: argparse.Namespace, cores: Cores, work: Path) -> Delivered:
    settings = {
        "load": f"open model, Poisson, {chosen.connections} kept connections, 512 browser heads of seed {chosen.seed}",
        "a turn": f"{chosen.seconds:g} s after {chosen.warmup:g} s of warm-up and until all is acknowledged, + 1 s",
        "Kafka": "one broker, topics of 6 partitions, acks=all; one for all turns, on the load's core, not counted",
        "CPU": "user and system time of the server's whole process trees, divided by delivered hits",
    }
    result = Delivered(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), describe(cores, work), settings)
    written = chosen.to / f"{page.NAME}.json"
    if chosen.more and written.exists():
        earlier = read(json.loads(written.read_text(encoding="utf-8")))
        result.turns, result.servers = earlier.turns, earlier.servers
        if (before := str(earlier.settings["a turn"])) != settings["a turn"]:
            settings["a turn"] = f"{before}; the rounds added: {settings['a turn']}"
    last = max((one.number for one in result.turns), default=0)
    pace = load.giving_way(work, cores.load, chosen.connections, chosen.seed)
    engines = Engines(work / "engines", cores.load, redis=True)
    try:
        servers = _prepare(chosen, engines, result, work, cores)
        bench = Bench(pace, Plan(chosen.seconds, chosen.warmup, chosen.seed), cores, work)
        for number in range(last + 1, last + 1 + chosen.rounds):
            for rate in chosen.paces:
                for server in servers:
                    if isinstance(server, StarletteKafka) and rate > STARLETTE_PACE_MAX:
                        continue
                    one = bench.play(server, rate, number)
                    print(tell(one), flush=True)
                    result.turns.append(one)
    finally:
        engines.stop()
    return result


def _prepare(chosen: argparse.Namespace, engines: Engines, result: Delivered, work: Path, cores: Cores) -> list[Server]:
    """Prepare the chosen servers; what cannot run here is skipped with a line."""
    keys = made_up_keys(chosen.seed, KEYS)
    field: list[Server] = [
        FranzGo(keys, engines),
        StarletteKafka(keys, engines),
        PixelgateKafka(Accounts(KEYS, chosen.ledgers), engines),
        PixelgateKafka(Accounts(KEYS, chosen.ledgers), engines, LINGER_US),
    ]
    if unknown := set(chosen.only or ()) - {server.name for server in field}:
        raise ServerFailed(f"no server {min(unknown)!r}; there are {', '.join(server.name for server in field)}")
    ready = []
    for server in field:
        if chosen.only and server.name not in chosen.only:
            continue
        skipped = server.missing()
        try:
            if skipped is None:
                server.prepare(work, cores)
                result.servers[server.name] = f"{server.job} [{server.version()}]"
                ready.append(server)
        except (ServerFailed, OSError) as error:
            skipped = str(error)
        if skipped is not None:
            result.servers[server.name] = f"skipped: {skipped}"
            print(f"{server.name} skipped: {skipped}", flush=True)
    return ready


if __name__ == "__main__":
    run(main, "bench")
