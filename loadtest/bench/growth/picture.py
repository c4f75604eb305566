"""An axis as a picture: CPU a hit and what else tells something, each a small chart, plain SVG. Pure.

A dot is the median of the rounds, the line through it goes from the least to the most. Every y begins at 0, so that
what looks like growth is growth; x is logarithmic where it spans two decades and does not begin at 0.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from loadtest.bench.growth.sample import CPU, Measured
from loadtest.bench.stats import Spread

CHART_WIDTH: Final = 360
CHART_HEIGHT: Final = 250
LEFT, RIGHT, TOP, BOTTOM = 54, 18, 34, 44
LEGEND_HEIGHT: Final = 20
TITLE_HEIGHT: Final = 34
LOG_FROM: Final = 100
"""x is logarithmic from this ratio of its ends on."""
COLOURS: Final = ("#2563eb", "#0f766e", "#d97706", "#9333ea", "#64748b", "#dc2626")
STYLE: Final = (
    "<style>text { font: 12px system-ui, sans-serif; fill: #0f172a } .title { font-weight: 600; font-size: 14px } "
    ".grid { stroke: #e2e8f0 } .frame { stroke: #94a3b8; fill: none }</style>"
)
Points = Sequence[tuple[float, Spread]]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels, along one direction."""

    least: float
    most: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        least, most = self._place(self.least), self._place(self.most)
        part = (self._place(value) - least) / (most - least) if most > least else 0.5
        return self.start + part * (self.end - self.start)

    def _place(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def ticks(self) -> list[float]:
        """Round values inside: decades, or about five steps of 1, 2 or 5."""
        if self.logarithmic:
            decades = range(math.ceil(math.log10(self.least) - 1e-9), math.floor(math.log10(self.most) + 1e-9) + 1)
            return [10.0**power for power in decades]
        step = _step((self.most - self.least) / 5)
        first = math.ceil(self.least / step - 1e-9)
        return [at * step for at in range(first, math.floor(self.most / step + 1e-9) + 1)]


def _step(rough: float) -> float:
    if rough <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    return power * next(nice for nice in (1, 2, 5, 10) if nice * power >= rough * 0.999)


def x_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """The scale of what grows."""
    least, most = min(values), max(values)
    return Scale(least, most, start, end, least > 0 and most / least >= LOG_FROM)


def picture(axis: Measured) -> str:
    """Draw one axis: a chart a figure, one legend over all of them."""
    names = axis.series()
    colour = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    charts = []
    for figure in (CPU, *axis.beside):
        drawn = {name: axis.points(name, axis.figure(figure)) for name in names}
        if drawn := {name: points for name, points in drawn.items() if points}:
            charts.append((figure, drawn))
    width = max(1, len(charts)) * CHART_WIDTH
    top = TITLE_HEIGHT + LEGEND_HEIGHT * len(names)
    height = top + CHART_HEIGHT + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        STYLE,
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" class="title">{escape(axis.title)}: median, least to most of the rounds</text>',
    ]
    for at, name in enumerate(names):
        y = TITLE_HEIGHT + at * LEGEND_HEIGHT + 8
        parts.append(f'<circle cx="18" cy="{y}" r="4" fill="{colour[name]}"/>')
        parts.append(f'<text x="30" y="{y + 4}">{escape(name)}</text>')
    for at, (figure, drawn) in enumerate(charts):
        parts += _chart(axis, figure, drawn, colour, at * CHART_WIDTH, top)
    return "\n".join((*parts, "</svg>")) + "\n"


def _chart(
    axis: Measured, figure: str, drawn: Mapping[str, Points], colour: dict[str, str], left: int, top: int
) -> Iterator[str]:
    xs = [x for points in drawn.values() for x, _ in points]
    right, bottom = left + CHART_WIDTH - RIGHT, top + CHART_HEIGHT - BOTTOM
    x = x_scale(xs, left + LEFT, right)
    most = max(spread.most for points in drawn.values() for _, spread in points)
    y = Scale(0.0, most * 1.05 or 1.0, bottom, top + TOP)
    yield f'<text x="{left + LEFT}" y="{top + 22}" class="title">{escape(heading(axis, figure))}</text>'
    for tick in y.ticks():
        yield f'<path class="grid" d="M{x.start} {y(tick):.1f}H{right}"/>'
        yield f'<text x="{x.start - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>'
    for tick in x.ticks():
        yield f'<path class="frame" d="M{x(tick):.1f} {bottom}v4"/>'
        yield f'<text x="{x(tick):.1f}" y="{bottom + 17}" text-anchor="middle">{short(tick)}</text>'
    kind = ", logarithmic" if x.logarithmic else ""
    yield f'<text x="{(x.start + right) / 2}" y="{bottom + 34}" text-anchor="middle">{escape(axis.unit)}{kind}</text>'
    yield f'<path class="frame" d="M{x.start} {top + TOP}V{bottom}H{right}"/>'
    for name, points in drawn.items():
        yield from _series(points, colour[name], x, y)


def _series(points: Points, colour: str, x: Scale, y: Scale) -> Iterator[str]:
    path = "L".join(f"{x(at):.1f} {y(found.median):.1f}" for at, found in points)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    for at, found in points:
        low, high = y(found.least), y(found.most)
        yield f'<path d="M{x(at):.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-width="1"/>'
        yield f'<circle cx="{x(at):.1f}" cy="{y(found.median):.1f}" r="3" fill="{colour}"/>'


def heading(axis: Measured, figure: str) -> str:
    """A figure's name as this axis has it."""
    return f"{CPU} a {axis.per}" if figure == CPU else figure


def short(value: float) -> str:
    """A number as a tick has it: 10k, 1M, 0.5."""
    for over, letter in ((1e6, "M"), (1e3, "k")):
        if value >= over:
            return f"{value / over:g}{letter}"
    return f"{value:g}"
