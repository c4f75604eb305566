"""A run of `delivered` as a picture: one bar a server and pace, of its processes' parts. Pure; plain SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from loadtest.bench.delivered.result import LINGERING, OURS, Delivered
from loadtest.bench.stats import Spread

WIDTH: Final = 860
LABEL_WIDTH: Final = 190
VALUE_WIDTH: Final = 70
ROW_HEIGHT: Final = 24
BAR_HEIGHT: Final = 14
LETTER_WIDTH: Final = 8
"""Of a part's name, with its margins: a part that is narrower than its name goes without."""
HEAD_HEIGHT: Final = 40
OURS_COLOURS: Final = ("#60a5fa", "#bfdbfe")
PEER_COLOUR: Final = "#94a3b8"


@dataclass(frozen=True, slots=True)
class Bar:
    """One server at one pace: all of it, and its processes' medians by name."""

    name: str
    whole: Spread
    parts: Sequence[tuple[str, float]]


def plot(result: Delivered) -> str:
    """Draw CPU a delivered hit: a panel a pace, bar to the median, a line from the least turn to the most."""
    panels = [(pace, found) for pace in result.paces if (found := _bars(result, pace))]
    height = sum(HEAD_HEIGHT + ROW_HEIGHT * len(bars) for _, bars in panels) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        "<style>text { font: 13px system-ui, sans-serif; fill: #0f172a } .title { font-weight: 600 }</style>",
        "<style>.part { font-size: 11px }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    top = 0
    for pace, bars in panels:
        title = f"CPU microseconds a hit delivered to Kafka at {pace:,.0f} hits/s (least to most of the rounds)"
        parts.append(f'<text x="8" y="{top + 26}" class="title">{title}</text>')
        scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(bar.whole.most for bar in bars)
        for at, bar in enumerate(bars):
            parts += _draw(bar, top + HEAD_HEIGHT + at * ROW_HEIGHT, scale)
        top += HEAD_HEIGHT + ROW_HEIGHT * len(bars)
    return "\n".join((*parts, "</svg>")) + "\n"


def _bars(result: Delivered, pace: float) -> list[Bar]:
    found = []
    for server in result.played(pace):
        whole = result.spread(server, pace, lambda one: one.cpu_us)
        if whole is not None:
            names = list(dict.fromkeys(name for one in result.valid(server, pace) for name in one.cpu_seconds))
            of = [(name, result.part(server, pace, name)) for name in names]
            found.append(Bar(server, whole, [(name, part.median) for name, part in of if part is not None]))
    return found


def _draw(bar: Bar, y: int, scale: float) -> list[str]:
    middle = y + BAR_HEIGHT / 2
    least, most = (LABEL_WIDTH + value * scale for value in (bar.whole.least, bar.whole.most))
    parts = [f'<text x="{LABEL_WIDTH - 8}" y="{y + 12}" text-anchor="end">{escape(bar.name)}</text>']
    x = float(LABEL_WIDTH)
    for at, (name, value) in enumerate(bar.parts):
        colour = OURS_COLOURS[at % len(OURS_COLOURS)] if bar.name in (OURS, LINGERING) else PEER_COLOUR
        parts.append(
            f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{BAR_HEIGHT}" fill="{colour}">'
            f"<title>{escape(name)}: {value:.1f} us</title></rect>"
        )
        if len(bar.parts) > 1 and value * scale > LETTER_WIDTH * len(name):
            parts.append(f'<text x="{x + 4:.1f}" y="{y + 11}" class="part">{escape(name)}</text>')
        x += value * scale
    parts += [
        f'<path d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {y + 3}v8M{most:.1f} {y + 3}v8" stroke="#0f172a"/>',
        f'<text x="{max(most, x) + 6:.1f}" y="{y + 12}">{bar.whole.median:.1f}</text>',
    ]
    return parts
