"""Lives: the rounds of an axis. In each, every server is started anew, measured at its points, stopped, and counted.

A point has no server of its own where the same one can bear it: what differs from start to start would else be taken
for what differs from point to point. Points are taken in another order each round, since what a server has borne before
must not look like growth.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from loadtest.bench.cpu import Cores
from loadtest.bench.growth.gauge import Gauge, Pace, Point
from loadtest.bench.growth.sample import Sample
from loadtest.bench.rounds import START_PROBES_MAX
from loadtest.peers.server import KEEP_ALIVE, Place, Running, Server, ServerFailed


@dataclass(frozen=True, slots=True)
class Run:
    """How an axis is measured: where, on which cores, how often, how long a point.

    first: the number of its first round.
    """

    work: Path
    cores: Cores
    rounds: int
    pace: Pace
    seed: int
    first: int = 1

    def numbers(self) -> range:
        """The numbers of its rounds."""
        return range(self.first, self.first + self.rounds)


@dataclass(frozen=True, slots=True)
class Life:
    """A server and the points it is measured at; the points are made once it is prepared, by its keys."""

    server: Server
    points: Callable[[Server], Sequence[Point]]


def play(lives: Sequence[Life], run: Run) -> Iterator[Sample]:
    """Every life in each round; yields samples as their server's life ends, void ones too."""
    planned = [(life.server, life.points(life.server)) for life in lives]
    for number in run.numbers():
        for server, points in planned:
            shuffled = Random(f"{run.seed} {number} {server.name}").sample(list(points), len(points))
            yield from live(server, shuffled, run, number)


def live(server: Server, points: Sequence[Point], run: Run, number: int, gauge_of: type[Gauge] = Gauge) -> list[Sample]:
    """One life. Where its hits were not all kept, or it did not end, every sample of it is void."""
    folder = run.work / f"life-{server.name.replace(' ', '-').replace(',', '')}"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    samples: list[Sample] = []
    try:
        running = server.start(Place(folder, KEEP_ALIVE, run.cores))
        gauge = gauge_of(running, run.cores.load, run.pace, folder)
        try:
            samples = [gauge.measure(server.name, point, number) for point in points]
        finally:
            running.stop()
        faults = uncounted(running, gauge)
    except (ServerFailed, OSError) as error:
        faults = [str(error)]
        samples = samples or [Sample(f"{server.name}, {one.load.name}", one.x, number) for one in points]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [dataclasses.replace(one, faults=[*one.faults, *faults]) for one in samples]


def uncounted(running: Running, gauge: Gauge) -> list[str]:
    """Say where what the server kept is not what was answered; a load that failed has told nobody what it sent."""
    if running.kept is None:
        return []
    kept, most = running.kept(), gauge.sent + START_PROBES_MAX
    if gauge.answered <= kept <= most:
        return []
    return [f"kept {kept:,} of {gauge.answered:,} answered and {gauge.sent:,} sent hits"]
