"""The run as a picture: a panel a scenario, a bar a server, cheapest first, drawn as plain SVG. Pure; no library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from loadtest.bench.bars import OURS
from loadtest.bench.result import Result
from loadtest.bench.stats import Spread
from loadtest.peers.server import SCENARIOS, Scenario

WIDTH: Final = 860
LABEL_WIDTH: Final = 190
VALUE_WIDTH: Final = 70
ROW_HEIGHT: Final = 22
BAR_HEIGHT: Final = 13
HEAD_HEIGHT: Final = 40
LEGEND_HEIGHT: Final = 36
CUT_OVER: Final = 3.0
"""A bar of more than this many times the next one's length is cut: beside it the others would look alike."""
OURS_COLOUR: Final = "#2563eb"
PROXY_COLOUR: Final = "#93c5fd"
KEEPS_COLOUR: Final = "#64748b"
NOTHING_COLOUR: Final = "#cbd5e1"
INK: Final = "#0f172a"
LEGEND: Final = (
    (OURS_COLOUR, "Pixelgate"),
    (PROXY_COLOUR, "of it the proxy"),
    (KEEPS_COLOUR, "others that gate and keep"),
    (NOTHING_COLOUR, "keep nothing"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One server's CPU microseconds a hit; front_us: what of it a proxy took; keeps: it counted what it has kept."""

    name: str
    found: Spread
    front_us: float
    keeps: bool

    @property
    def ours(self) -> bool:
        """Tell whether it is Pixelgate."""
        return self.name.startswith(OURS)

    @property
    def colour(self) -> str:
        """By what it does."""
        return OURS_COLOUR if self.ours else KEEPS_COLOUR if self.keeps else NOTHING_COLOUR


@dataclass(frozen=True, slots=True)
class Panel:
    """One scenario's bars."""

    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """Pixels from its title to its end."""
        return HEAD_HEIGHT + ROW_HEIGHT * len(self.bars)


def plot(result: Result) -> str:
    """Draw CPU a hit by server: bar to the median, a line from the least round to the most."""
    panels = [panel for panel in (_panel(result, scenario) for scenario in SCENARIOS) if panel.bars]
    height = LEGEND_HEIGHT + sum(panel.height for panel in panels) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>text {{ font: 13px system-ui, sans-serif; fill: {INK} }} .strong {{ font-weight: 600 }}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_legend(),
    ]
    top = LEGEND_HEIGHT
    for panel in panels:
        parts += _draw(panel, top)
        top += panel.height
    return "\n".join((*parts, "</svg>")) + "\n"


def _panel(result: Result, scenario: Scenario) -> Panel:
    bars = []
    for name in result.played(scenario.name):
        found = result.spread(name, scenario.name, lambda one: one.cpu_us)
        front = result.spread(name, scenario.name, lambda one: one.front_cpu_us)
        if found and front:
            keeps = any(one.kept for one in result.valid(name, scenario.name))
            bars.append(Bar(name, found, front.median, keeps))
    title = f"CPU microseconds a hit, {scenario.title} (least to most of the looks)"
    return Panel(title, sorted(bars, key=lambda bar: bar.found.median))


def _legend() -> list[str]:
    parts, x = [], LABEL_WIDTH
    for colour, words in LEGEND:
        parts.append(f'<rect x="{x}" y="12" width="{BAR_HEIGHT}" height="{BAR_HEIGHT}" fill="{colour}"/>')
        parts.append(f'<text x="{x + 19}" y="23">{escape(words)}</text>')
        x += 42 + 7 * len(words)
    return parts


def _end(panel: Panel) -> float:
    """What the longest bar may show, in microseconds."""
    longest, *others = sorted((bar.found.most for bar in panel.bars), reverse=True)
    return 1.1 * others[0] if others and longest > CUT_OVER * others[0] else longest


def _draw(panel: Panel, top: int) -> list[str]:
    end = _end(panel)
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / end
    parts = [f'<text x="8" y="{top + 26}" class="strong">{escape(panel.title)}</text>']
    for at, bar in enumerate(panel.bars):
        y = top + HEAD_HEIGHT + at * ROW_HEIGHT
        middle = y + BAR_HEIGHT / 2
        width, front = min(bar.found.median, end) * scale, bar.front_us * scale
        least, most = (LABEL_WIDTH + min(value, end) * scale for value in (bar.found.least, bar.found.most))
        strong = ' class="strong"' if bar.ours else ""
        parts.append(f'<text x="{LABEL_WIDTH - 8}" y="{y + 11}" text-anchor="end"{strong}>{escape(bar.name)}</text>')
        parts.append(_rect(LABEL_WIDTH, y, width, bar.colour))
        if front:
            parts.append(_rect(LABEL_WIDTH + width - front, y, front, PROXY_COLOUR))
        if bar.found.median > end:
            parts.append(f'<path d="M{most - 24:.1f} {y + 16}l10 -19" stroke="#ffffff" stroke-width="5"/>')
            least = most
        parts += [
            f'<path d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {y + 3}v7M{most:.1f} {y + 3}v7" stroke="{INK}"/>',
            f'<text x="{most + 6:.1f}" y="{y + 11}"{strong}>{bar.found.median:.1f}</text>',
        ]
    return parts


def _rect(x: float, y: int, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{colour}"/>'
