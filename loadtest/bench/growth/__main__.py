"""`python -m loadtest.bench.growth`: measure axes one after the other; each replaces its own part of growth.json."""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores, pinned
from loadtest.bench.growth import page, sample
from loadtest.bench.growth.axes import AXES, Axis
from loadtest.bench.growth.gauge import LOADS_FAIL, Pace
from loadtest.bench.growth.lives import Run
from loadtest.bench.growth.sample import GrowthUnreadable, Measured, Sample
from loadtest.bench.machine import describe
from loadtest.bench.wrk import installed
from loadtest.ending import run

FOLDER: Final = Path("docs/benchmarks")
LEDGERS: Final = Path("build/bench")


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.growth",
        description="What a hit costs as one thing grows: one core serves, another loads.",
        epilog="Example: python -m loadtest.bench.growth --axis connections params --rounds 3",
    )
    add = parser.add_argument
    add("--axis", nargs="+", choices=list(AXES), default=list(AXES), help="measure these, in this order (all)")
    add("--rounds", type=int, default=3, help="interleaved rounds, each with its servers started anew (3)")
    add("--add", action="store_true", help="add rounds to those an axis has, of the same machine and settings")
    add("--settle", type=float, default=0.5, help="seconds of load before a point is measured (0.5)")
    add("--seconds", type=float, default=1.5, help="measured seconds of a point (1.5)")
    add("--noise", type=float, default=0.3, help="cores that others may use while a point is measured (0.3)")
    add("--seed", type=int, default=1, help="of heads, keys and moments (1)")
    add("--to", type=Path, default=FOLDER, metavar="DIR", help=f"where growth.* are written ({FOLDER})")
    add("--work", type=Path, metavar="DIR", help="where journals lie, on a real disk (beside the ledgers)")
    add(
        "--ledgers", type=Path, default=LEDGERS, metavar="DIR", help=f"ledgers and journals, kept for later ({LEDGERS})"
    )
    add("--note", metavar="TEXT", help="measure nothing: write what was found out about the one axis named")
    add("--page", action="store_true", help="measure nothing: write page and pictures anew from growth.json")
    chosen = parser.parse_args(arguments)
    if chosen.note is not None and len(chosen.axis) != 1:
        parser.error("--note is about one axis: name it with --axis")
    if chosen.rounds < 1 or chosen.seconds <= 0 or chosen.settle < 0:
        parser.error("--rounds and --seconds must be above 0, --settle not below")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write down; returns the exit code: 0 whatever was found, 1 where nothing could be measured."""
    chosen = options(arguments)
    try:
        measured = sample.read(chosen.to)
        if chosen.note is not None:
            if chosen.axis[0] not in measured:
                raise GrowthUnreadable(f"axis {chosen.axis[0]} was not measured yet: there is nothing to note")
            measured[chosen.axis[0]].note = chosen.note
        elif not chosen.page:
            if not installed():
                print("growth: wrk is not installed (Debian: apt-get install wrk)", file=sys.stderr)
                return 1
            _measure_all(chosen, measured)
    except GrowthUnreadable as error:
        print(f"growth: {error}", file=sys.stderr)
        return 1
    ordered = {name: measured[name] for name in AXES if name in measured}
    written = [sample.write(ordered, chosen.to), *page.write(ordered, chosen.to)]
    print(f"\nwritten: {', '.join(map(str, written))}")
    return 0


def _measure_all(chosen: argparse.Namespace, measured: dict[str, Measured]) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # ours, and of what is started from here
    cores = Cores.of_this_machine()
    ledgers = chosen.ledgers.absolute()
    ledgers.mkdir(parents=True, exist_ok=True)
    for name in chosen.axis:
        machine = describe(cores, chosen.work or ledgers)  # while this process may still use all of its cores
        with tempfile.TemporaryDirectory(prefix="growth-", dir=chosen.work or ledgers) as folder, pinned(cores.load):
            work = Path(folder)
            work.chmod(0o755)  # started as root, nginx's worker becomes another user
            run = Run(work, cores, chosen.rounds, Pace(chosen.settle, chosen.seconds, chosen.noise), chosen.seed)
            axis = _begun(AXES[name], run, machine)
            if chosen.add and name in measured:
                axis = measured[name]
                run = replace(run, first=1 + max((one.round for one in axis.samples), default=0))
            measured[name] = axis
            try:
                _fill(axis, AXES[name], run, ledgers)
            finally:  # what was measured stays, whatever ends this run
                sample.write(measured, chosen.to)


def _begun(axis: Axis, run: Run, machine: dict[str, str]) -> Measured:
    settings = {
        "rounds": "servers started anew in each, points in another order",
        "a point": f"{run.pace.seconds:g} s of load after {run.pace.settle:g} s, or 3 s with thousands of connections",
    }
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Measured(
        axis.name, axis.title, axis.unit, at, machine, settings, rate_of=axis.rate_of,
        beside=list(axis.beside), per=axis.per,
    )  # fmt: skip


def _fill(measured: Measured, axis: Axis, run: Run, ledgers: Path) -> None:
    try:
        for one in axis.measure(run, ledgers):
            print(tell(one, axis.unit), flush=True)
            measured.samples.append(one)
    except LOADS_FAIL as error:
        print(f"axis {axis.name} ended early: {error}", file=sys.stderr, flush=True)
        measured.samples.append(Sample(axis.name, 0.0, run.first, faults=[f"the axis ended early: {error}"]))


def tell(one: Sample, unit: str) -> str:
    """Put a sample on one line."""
    head = f"round {one.round} {one.series:<26} {one.x:>9,.10g} {unit:<11}"
    if one.faults:
        return f"{head} void: {'; '.join(one.faults)}"
    more = "".join(f", {name} {value:,.2f}" for name, value in one.more.items())
    if not one.hits:
        return f"{head} nothing to do{more}"
    return (
        f"{head} {one.cpu_us:7.2f} us, {one.rate:9,.0f}/s, {one.busy:4.0%} busy, others {one.others:4.0%}, "
        f"p99 {one.p99_us:,} us, {one.rss_mb:,.0f} MB{more}"
    )


if __name__ == "__main__":
    run(main, "growth")
