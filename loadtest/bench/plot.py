"""The run as a picture: one bar a server and scenario, drawn as plain SVG. Pure; no plotting library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from loadtest.bench.bars import OURS
from loadtest.bench.result import Result
from loadtest.bench.stats import Spread
from loadtest.peers.server import SCENARIOS

WIDTH: Final = 860
LABEL_WIDTH: Final = 190
VALUE_WIDTH: Final = 70
ROW_HEIGHT: Final = 24
BAR_HEIGHT: Final = 14
HEAD_HEIGHT: Final = 40
OURS_COLOUR: Final = "#2563eb"
PEER_COLOUR: Final = "#94a3b8"


@dataclass(frozen=True, slots=True)
class Panel:
    """One scenario's bars: each a server's name and its CPU microseconds a hit."""

    title: str
    bars: Sequence[tuple[str, Spread]]

    @property
    def height(self) -> int:
        """Pixels from its title to its end."""
        return HEAD_HEIGHT + ROW_HEIGHT * len(self.bars)


def plot(result: Result) -> str:
    """Draw CPU a hit by server: bar to the median, a line from the least round to the most."""
    panels = []
    for scenario in SCENARIOS:
        named = [
            (name, result.spread(name, scenario.name, lambda one: one.cpu_us))
            for name in dict.fromkeys(one.server for one in result.rounds)
        ]
        bars = [(name, found) for name, found in named if found is not None]
        if bars:
            panels.append(Panel(f"CPU microseconds a hit, {scenario.title} (least to most of the rounds)", bars))
    height = sum(panel.height for panel in panels) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        "<style>text { font: 13px system-ui, sans-serif; fill: #0f172a } .title { font-weight: 600 }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = 0
    for panel in panels:
        parts += _draw(panel, top)
        top += panel.height
    return "\n".join((*parts, "</svg>")) + "\n"


def _draw(panel: Panel, top: int) -> list[str]:
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(found.most for _, found in panel.bars)
    parts = [f'<text x="8" y="{top + 26}" class="title">{escape(panel.title)}</text>']
    for at, (name, found) in enumerate(panel.bars):
        y = top + HEAD_HEIGHT + at * ROW_HEIGHT
        middle = y + BAR_HEIGHT / 2
        width = found.median * scale
        least, most = (LABEL_WIDTH + value * scale for value in (found.least, found.most))
        colour = OURS_COLOUR if name.startswith(OURS) else PEER_COLOUR
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" fill="{colour}"/>',
            f'<path d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {y + 3}v8M{most:.1f} {y + 3}v8" stroke="#0f172a"/>',
            f'<text x="{most + 6:.1f}" y="{y + 12}">{found.median:.1f}</text>',
        ]
    return parts
