"""The page's plots as inline SVG: no library, no script; colours are the page's own (`html.STYLE`), light or dark.

Each mark has a `<title>`, which browsers show as a tip; the same numbers stand in tables.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 860
HEIGHT: Final = 260
LEFT: Final = 56
RIGHT: Final = 12
TOP: Final = 34
BOTTOM: Final = 34
RUG: Final = 10
"""Height of the strip above a plot in which flips are marked."""
TICKS: Final = 5
LEGEND_WIDTH: Final = 8
"""Pixels a letter of a legend takes, about."""
NINES: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)

Points = Sequence[tuple[float, float]]


def stacked(times: Sequence[float], layers: Mapping[str, Sequence[float]], rug: Mapping[str, Sequence[float]]) -> str:
    """Draw layers on each other over time, in seconds, and marks of a kind (`class`) above.

    layers: name -> one value a time, from the bottom up; a name is the mark's class as well.
    """
    if len(times) < 2:
        return ""
    end = max(times[-1], 1.0)
    most = max(1.0, *(sum(values) for values in zip(*layers.values(), strict=True)))
    x, y = _linear(0, end, LEFT, WIDTH - RIGHT), _linear(0, most, HEIGHT - BOTTOM, TOP)
    parts = [*_grid_y(most, y, "hits/s"), *_axis_x(((at, f"{at:g} s") for at in _steps(end)), x)]
    base = [0.0] * len(times)
    for name, values in layers.items():
        tops = [low + value for low, value in zip(base, values, strict=True)]
        upper = [f"{x(at):.1f},{y(value):.1f}" for at, value in zip(times, tops, strict=True)]
        lower = [f"{x(at):.1f},{y(value):.1f}" for at, value in zip(reversed(times), reversed(base), strict=True)]
        parts.append(f'<polygon class="area {name}" points="{" ".join(upper + lower)}"/>')
        base = tops
    for name, moments in rug.items():
        marks = "".join(f"M{x(at):.1f} {TOP - RUG}v{RUG - 2}" for at in moments if 0 <= at <= end)
        parts.append(f'<path class="rug {name}" d="{marks}"/>' if marks else "")
    parts += _tips(times, layers, x)
    return _svg(parts, [*layers, *(f"flip:{name}" for name in rug)], "hits by verdict over time")


def _tips(times: Sequence[float], layers: Mapping[str, Sequence[float]], x: Callable[[float], float]) -> Iterator[str]:
    before = times[0]
    for at, moment in enumerate(times):
        told = ", ".join(f"{name} {values[at]:,.0f}/s" for name, values in layers.items() if values[at])
        left, width = x(before), max(x(moment) - x(before), 1.0)
        yield (
            f'<rect class="tip" x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}">'
            f"<title>{moment:.0f} s: {escape(told or 'no hits')}</title></rect>"
        )
        before = moment


def percentiles(lines: Mapping[str, Points]) -> str:
    """Draw latencies by percentile, both axes by their log: each nine takes the same room. Points: (percent, ms)."""
    whole = [point for points in lines.values() for point in points]
    if not whole:
        return ""
    least = max(0.01, min(value for _, value in whole if value > 0) if any(value > 0 for _, value in whole) else 0.01)
    most = max(least * 2, *(value for _, value in whole))
    nines = max(2.0, *(_nines(percent) for percent, _ in whole if percent < 100))
    x = _linear(0, nines, LEFT, WIDTH - RIGHT)
    low, high = math.log10(least), math.log10(most)

    def y(value: float) -> float:
        return _linear(low, high, HEIGHT - BOTTOM, TOP)(math.log10(max(value, least)))

    parts = [part for value in _decades(least, most) for part in _line_y(value, y(value), f"{value:g} ms")]
    named = ((_nines(percent), f"{percent:g} %") for percent in NINES if _nines(percent) <= nines)
    parts += _axis_x(named, x)
    for name, points in lines.items():
        drawn = [(min(_nines(percent), nines), value) for percent, value in points]
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in drawn)
        parts.append(f'<polyline class="line {name}" points="{path}"/>')
        for (percent, value), (at, _) in zip(points, drawn, strict=True):
            parts.append(
                f'<circle class="tip" cx="{x(at):.1f}" cy="{y(value):.1f}" r="5">'
                f"<title>{escape(_words(name))}: {percent:.4g} % within {value:.2f} ms</title></circle>"
            )
    return _svg(parts, list(lines), "latency by percentile")


def _nines(percent: float) -> float:
    return -math.log10(max(1.0 - percent / 100, 1e-9))


def _decades(least: float, most: float) -> list[float]:
    """List 1, 2 and 5 times each power of ten between two values."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    values = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [value for value in values if least <= value <= most]


def _linear(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    span = high - low or 1.0
    return lambda value: first + (value - low) / span * (last - first)


def _steps(end: float) -> list[float]:
    """List round values from 0 to `end`, about TICKS of them."""
    raw = end / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw)
    return [at * step for at in range(int(end / step) + 1)]


def _grid_y(most: float, y: Callable[[float], float], unit: str) -> list[str]:
    return [part for value in _steps(most) for part in _line_y(value, y(value), f"{value:,.0f}")] + [
        f'<text class="unit" x="4" y="{TOP - 14}">{escape(unit)}</text>'
    ]


def _line_y(_: float, at: float, label: str) -> list[str]:
    return [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>',
        f'<text class="tick end" x="{LEFT - 6}" y="{at + 4:.1f}">{escape(label)}</text>',
    ]


def _axis_x(marks: Iterator[tuple[float, str]], x: Callable[[float], float]) -> list[str]:
    return [
        f'<text class="tick middle" x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 18}">{escape(label)}</text>'
        for at, label in marks
    ]


def _words(name: str) -> str:
    return name.replace("_", " ").removeprefix("flip:")


def _svg(parts: Sequence[str], names: Sequence[str], label: str) -> str:
    """Put a plot together with its legend, which stands above it."""
    legend, at = [], float(LEFT)
    for name in names:
        mark, words = (
            name.removeprefix("flip:"),
            f"flip to {_words(name)}" if name.startswith("flip:") else _words(name),
        )
        shape = f'<rect class="area {mark}" x="{at}" y="4" width="12" height="10"/>'
        if name.startswith("flip:"):
            shape = f'<path class="rug {mark}" d="M{at + 6} 3v12"/>'
        legend.append(f'{shape}<text class="legend" x="{at + 17}" y="13">{escape(words)}</text>')
        at += 34 + LEGEND_WIDTH * len(words)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(legend)}{''.join(parts)}</svg>"
    )
