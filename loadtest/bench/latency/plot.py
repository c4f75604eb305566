"""The latency curves of a run as a picture: latency over percentile, both logarithmic, a panel a step. SVG; pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from loadtest.bench.latency.result import Result
from loadtest.bench.stats import spread

WIDTH: Final = 900
PLOT_HEIGHT: Final = 220
TOP: Final = 44
PANEL_HEIGHT: Final = TOP + PLOT_HEIGHT + 44
LEFT, RIGHT = 90, 170
COLOURS: Final = ("#64748b", "#dc2626", "#2563eb", "#7c3aed", "#059669", "#d97706")
PERCENTS: Final = (0.0, 90.0, 99.0, 99.9, 99.99, 99.999)
BEHIND_MIN: Final = 10
"""A point of the curve is drawn where at least so many hits of a leg were slower: fewer tell of themselves."""

Points = Sequence[tuple[float, float]]


def curve(result: Result, server: str, step: str) -> Points:
    """(percentile, us) points: the median of the legs that count at each percentile that has hits enough behind it."""
    legs = [one.paced for one in result.valid(server, step) if one.paced]
    points = []
    for at, (percent, _) in enumerate(legs[0].curve if legs else ()):
        found = spread([one.curve[at][1] for one in legs])
        if found and min(one.answered for one in legs) * (100 - percent) / 100 >= BEHIND_MIN:
            points.append((percent, found.median))
    return points


def plot(result: Result, steps: Sequence[str], servers: Sequence[str]) -> str:
    """Draw a panel for each step that has curves; every panel has the same axes."""
    panels = {step: {server: curve(result, server, step) for server in servers} for step in steps}
    panels = {step: named for step, named in panels.items() if any(named.values())}
    every = [us for named in panels.values() for points in named.values() for _, us in points]
    low, high = _decades(every)
    height = PANEL_HEIGHT * len(panels) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        "<style>text { font: 13px system-ui, sans-serif; fill: #0f172a } .title { font-weight: 600 }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for at, (step, named) in enumerate(panels.items()):
        parts += _panel(f"Latency from when a hit was due, at {step} capacity", named, at * PANEL_HEIGHT, low, high)
    return "\n".join((*parts, "</svg>")) + "\n"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    if not values:
        return 0, 1
    return math.floor(math.log10(min(values))), max(math.ceil(math.log10(max(values))), 1)


def _panel(title: str, named: Mapping[str, Points], top: int, low: int, high: int) -> list[str]:
    right, bottom = WIDTH - RIGHT, top + TOP + PLOT_HEIGHT

    def x(percent: float) -> float:
        nines = -math.log10(1 - percent / 100) if percent < 100 else len(PERCENTS) - 1
        return LEFT + (right - LEFT) * nines / (len(PERCENTS) - 1)

    def y(us: float) -> float:
        return bottom - PLOT_HEIGHT * (math.log10(us) - low) / (high - low)

    parts = [f'<text x="8" y="{top + 26}" class="title">{escape(title)}</text>']
    for power in range(low, high + 1):
        level = y(10.0**power)
        parts.append(f'<path d="M{LEFT} {level:.1f}H{right}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{_duration(power)}</text>')
    for percent in PERCENTS:
        parts.append(f'<path d="M{x(percent):.1f} {top + TOP}V{bottom}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{x(percent):.1f}" y="{bottom + 18}" text-anchor="middle">{percent:g} %</text>')
    drawn = [(name, points) for name, points in named.items() if points]
    for at, (name, points) in enumerate(drawn):
        path = "L".join(f"{x(percent):.1f} {y(us):.1f}" for percent, us in points)
        colour = COLOURS[list(named).index(name) % len(COLOURS)]
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        level = top + TOP + 12 + at * 20
        parts.append(f'<path d="M{right + 12} {level - 4}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{right + 36}" y="{level}">{escape(name)}</text>')
    return parts


def _duration(power: int) -> str:
    unit, factor = ("us", 0) if power < 3 else ("ms", 3) if power < 6 else ("s", 6)
    return f"{10 ** (power - factor):g} {unit}"
