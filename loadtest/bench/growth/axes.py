"""The axes by name: what grows, in which unit, and how it is measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.growth import flipping, hits, sharing, waiting, worlds
from loadtest.bench.growth.lives import Life, Run, play
from loadtest.bench.growth.sample import P99, RSS, Sample

Measure = Callable[[Run, Path], Iterator[Sample]]
"""A run and the folder of ledgers -> samples, as they come."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that grows. rate_of: the figure that tells where a point really stands, where that is not x itself;
    beside: the figures that are drawn beside CPU; per: what CPU is told of."""

    name: str
    title: str
    unit: str
    measure: Measure
    beside: Sequence[str]
    rate_of: str = ""
    per: str = "hit"


def _lives(made: Callable[[Path, int], list[Life]]) -> Measure:
    """Measure servers that live for a round: what cannot run here is left out with a line."""

    def measure(run: Run, ledgers: Path) -> Iterator[Sample]:
        able = []
        for life in made(ledgers, run.seed):
            if lacks := life.server.missing():
                print(f"{life.server.name} left out: {lacks}", flush=True)
                continue
            life.server.prepare(run.work, run.cores)
            able.append(life)
        yield from play(able, run)

    return measure


AXES: Final = {
    one.name: one
    for one in (
        Axis("keys", "Write keys in the gate", "keys", _lives(worlds.keys), (P99, RSS)),
        Axis("workers", "Workers on one core", "workers", _lives(worlds.workers), (P99, RSS)),
        Axis("connections", "Open connections", "connections", _lives(hits.connections), (P99, RSS)),
        Axis("params", "Parameters in the query", "parameters", _lives(hits.params), (P99,)),
        Axis("heads", "Size of a head", "bytes", _lives(hits.sizes), (P99,)),
        Axis("flips", "Flips a second", "flips/s", flipping.flips, (P99, flipping.ENFORCED), flipping.DONE),
        Axis("backlog", "Journals that wait", "GB", waiting.backlog, (P99, waiting.START, RSS)),
        Axis(
            "hosts",
            "Workers that get leases over Redis",
            "workers",
            sharing.hosts,
            (flipping.ENFORCED, sharing.COMMANDS_OF_ONE),
            per="second",
        ),
    )
}
