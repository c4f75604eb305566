"""Samples: what growth.json holds. One is a point of an axis, once; pure but for `read` and `write`."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtest.bench.stats import Spread, spread

FORMAT: Final = 1
"""Raised when a field of the JSON changes its meaning."""
NAME: Final = "growth.json"


class GrowthUnreadable(Exception):
    """growth.json is not what this version writes; the message names the file."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One point, once. A sample with faults is void: it counts in no median.

    series: who under which load; x: where on the axis; hits: answered within `seconds`; others: what anybody else used
    meanwhile, in cores; more: figures that only this axis has, by name with their unit.
    """

    series: str
    x: float
    round: int
    hits: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    others: float = 0.0
    p50_us: int = 0
    p99_us: int = 0
    rss_mb: float = 0.0
    more: Mapping[str, float] = field(default_factory=dict)
    faults: Sequence[str] = ()

    @property
    def cpu_us(self) -> float:
        """CPU time a hit, user and system, in microseconds; not a number where there was nothing to do."""
        return self.cpu_seconds / self.hits * 1e6 if self.hits else math.nan

    @property
    def rate(self) -> float:
        """Answered hits a second."""
        return self.hits / self.seconds

    @property
    def busy(self) -> float:
        """The share of one core that the server used."""
        return self.cpu_seconds / self.seconds


def with_more(sample: Sample, more: Mapping[str, float], faults: Sequence[str] = ()) -> Sample:
    """The same sample with figures of its axis, and with what went wrong besides."""
    return dataclasses.replace(sample, more={**sample.more, **more}, faults=[*sample.faults, *faults])


Figure = Callable[[Sample], float]
CPU: Final = "CPU us"
P99: Final = "p99, ms"
RSS: Final = "RSS, MB"
FIGURES: Final[Mapping[str, Figure]] = {
    CPU: lambda one: one.cpu_us,
    P99: lambda one: one.p99_us / 1000 or math.nan,
    RSS: lambda one: one.rss_mb or math.nan,
}
"""What every axis has; 0 in a sample stands for a figure that was not taken."""


@dataclass(slots=True)
class Measured:
    """An axis as one run found it. note: what whoever measured found out about its form; gone with the next run.
    rate_of: the figure among `more` by which points stand where x is only what was asked for; beside: what is drawn
    besides CPU, by its name in FIGURES or among `more`; per: what CPU is told of."""

    name: str
    title: str
    unit: str
    at: str
    machine: Mapping[str, str]
    settings: Mapping[str, str]
    samples: list[Sample] = field(default_factory=list)
    note: str = ""
    rate_of: str = ""
    beside: Sequence[str] = ()
    per: str = "hit"

    def series(self) -> list[str]:
        """The names, in the order of the run."""
        return list(dict.fromkeys(one.series for one in self.samples))

    def by_x(self, series: str, figure: Figure) -> list[tuple[float, Spread]]:
        """Median and range of a figure at each x of a series; a point without a valid sample is left out."""
        found = []
        for x in sorted({one.x for one in self.samples if one.series == series}):
            values = [figure(one) for one in self._valid(series, x)]
            if summed := spread([value for value in values if math.isfinite(value)]):
                found.append((x, summed))
        return found

    def points(self, series: str, figure: Figure) -> list[tuple[float, Spread]]:
        """The same where each point really stands (`rate_of`)."""
        return [(self._stands(series, x), summed) for x, summed in self.by_x(series, figure)]

    def _stands(self, series: str, x: float) -> float:
        return median(one.more.get(self.rate_of, x) for one in self._valid(series, x)) if self.rate_of else x

    def _valid(self, series: str, x: float) -> list[Sample]:
        return [one for one in self.samples if (one.series, one.x) == (series, x) and not one.faults]

    def figure(self, name: str) -> Figure:
        """A figure by its name; not a number for a sample that has none of it."""
        return FIGURES.get(name) or (lambda one: one.more.get(name, math.nan))

    def void(self) -> list[Sample]:
        """The samples that do not count."""
        return [one for one in self.samples if one.faults]

    def extras(self) -> list[str]:
        """Names of the figures that only this axis has."""
        return list(dict.fromkeys(name for one in self.samples for name in one.more))


def read(folder: Path) -> dict[str, Measured]:
    """Every axis measured so far, by name; none where there is no file. Raises GrowthUnreadable."""
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise GrowthUnreadable(
                f"{path} has format {document['format']}, not {FORMAT}: measure anew elsewhere (--to)"
            )
        return {name: _axis(axis) for name, axis in document["axes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GrowthUnreadable(f"{path} does not read ({error!r}): remove it, or write elsewhere (--to)") from error


def _axis(document: dict[str, Any]) -> Measured:
    samples = [Sample(**sample) for sample in document.pop("samples")]
    return Measured(**document, samples=samples)


def write(axes: Mapping[str, Measured], folder: Path) -> Path:
    """Write every axis down."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT, "axes": {name: dataclasses.asdict(axis) for name, axis in axes.items()}}
    path = folder / NAME
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path
