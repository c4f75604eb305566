"""A rulebook as a picture: its statuses, and beside them the ways from one to another, as SVG text.

Called by the command line's `rulebook show --svg` and by `docs/rulebook_pictures.py`; pure. Where everything stands is
`rulebook_layout.py`'s. Every text in it is escaped: titles are a rulebook's own.
"""

from html import escape
from itertools import pairwise
from typing import Final

from gating.rulebook import Policy, StatusRule
from gating.rulebook_layout import (
    HEAD,
    LABEL_INDENT,
    LEFT,
    LINE,
    MARGIN,
    RIGHT,
    Box,
    Layout,
    Port,
    Track,
    layout_of,
    outward,
    width_of,
)
from gating.rulebook_ways import Kind, ways_of
from gating.status import Status, Verdict

TITLE_CHARACTERS_MAX: Final = 80
TITLE_LETTER: Final = 1.3
"""How much wider a letter of the heading is than one of a label."""

COLOURS: Final = {
    Verdict.ACCEPT: ("#e3f4e6", "#1f7a3d"),
    Verdict.HIDE: ("#fdf0cd", "#97650b"),
    Verdict.DROP: ("#f8e1de", "#a8322a"),
}
"""Filling and edge. A way has the edge of the status it leads to."""

INHERITS: Final = ("#eceff3", "#4a5a70")
INK: Final = "#1c2430"
FAINT: Final = "#566070"
VERDICTS: Final = (
    ("ACCEPT: kept, seen", COLOURS[Verdict.ACCEPT]),
    ("HIDE: kept, unseen", COLOURS[Verdict.HIDE]),
    ("DROP: not kept", COLOURS[Verdict.DROP]),
)
KINDS: Final = ((Kind.COMMAND, "command"), (Kind.DEADLINE, "deadline"), (Kind.PREVIOUS, "to what lay beneath"))

STYLE: Final = (
    "<style>text{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;"
    f"fill:{INK}}}.head{{font-size:14px;font-weight:700}}.name{{font-size:12px;font-weight:700}}.more{{fill:{FAINT}}}"
    ".way{fill:none;stroke-width:1.5}.deadline{stroke-dasharray:5 4}"
    ".previous{stroke-dasharray:1.5 3.5;stroke-linecap:round}</style>"
)


def svg(policy: Policy) -> str:
    """The drawing: one whole SVG document, with a title and a description for whoever cannot see it."""
    layout = layout_of(policy)
    title = f"{_clean(policy.title)[:TITLE_CHARACTERS_MAX]}: states and ways of rulebook {policy.name}"
    told = "; ".join(
        f"{way.source} to {' or '.join(way.targets)} by {', '.join(way.labels)}" for way in ways_of(policy)
    )
    legend = sum(width_of(text) + 44 for text, _ in VERDICTS)
    width = max(layout.width, 2 * MARGIN + max(width_of(title) * TITLE_LETTER, legend))
    height = layout.bottom + 4 * LINE + MARGIN
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    sides = (LEFT, RIGHT)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(f"An account starts {policy.start}. {told}.")}</desc>',
        _arrows(),
        STYLE,
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
        f'<text class="head" x="{MARGIN}" y="{MARGIN + 8}">{escape(title)}</text>',
        *(_way(policy, layout, track, side) for side in sides for track in layout.sides[side]),
        *(
            _label(port, side, layout.edges[side])
            for box in layout.boxes
            for side in sides
            for port in box.ports[side]
            if port.label is not None
        ),
        *(_box(box, layout) for box in layout.boxes),
        _start(sum(layout.edges) / 2),
        _legend(layout.bottom + 2.5 * LINE),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _colours(rule: StatusRule) -> tuple[str, str]:
    return INHERITS if rule.inherits else COLOURS[rule.verdict]


def _arrows() -> str:
    colours = sorted({colour for _, colour in COLOURS.values()} | {INK, INHERITS[1]})
    arrows = "".join(
        f'<marker id="{_arrow(colour)}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="9" markerHeight="9" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5L8,4L0,7.5Z" fill="{colour}"/></marker>'
        for colour in colours
    )
    return f"<defs>{arrows}</defs>"


def _arrow(colour: str) -> str:
    return f"to-{colour[1:]}"


def _way(policy: Policy, layout: Layout, track: Track, side: int) -> str:
    """One track with all that joins and leaves it."""
    x, edge = layout.x_of(track, side), layout.edges[side]
    colour = INHERITS[1] if track.kind is Kind.PREVIOUS else _colours(policy.statuses[track.target])[1]
    ports = [(port, box.rule.status) for box in layout.boxes for port in box.ports[side] if port.track is track]
    ys = sorted(port.y for port, _ in ports)
    mark = f'<path class="way {track.kind}" stroke="{colour}" d='
    parts = [f'{mark}"M{x:g},{upper:g}V{lower:g}"/>' for upper, lower in pairwise(ys)]
    for port, _ in ports:
        if port.label is None:
            end = edge + outward(side) * 1.5
            parts.append(f'{mark}"M{x:g},{port.y:g}H{end:g}" marker-end="url(#{_arrow(colour)})"/>')
        else:
            parts.append(f'{mark}"M{edge:g},{port.y:g}H{x:g}"/>')
        if ys[0] < port.y < ys[-1]:
            parts.append(f'<circle cx="{x:g}" cy="{port.y:g}" r="2.6" fill="{colour}"/>')
    begins = ", ".join(f"{status} ({port.label})" for port, status in ports if port.label is not None)
    ends = " or ".join(status for port, status in ports if port.label is None)
    told = escape(f"{begins} \N{RIGHTWARDS ARROW} {ends}")
    return f"<g><title>{told}</title>{''.join(parts)}</g>"


def _label(port: Port, side: int, edge: float) -> str:
    anchor = "start" if side == RIGHT else "end"
    x, y = edge + outward(side) * LABEL_INDENT, port.y - 5
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(port.label or "")}</text>'


def _box(box: Box, layout: Layout) -> str:
    x, right = layout.edges
    fill, edge = _colours(box.rule)
    dashed = ' stroke-dasharray="4 3"' if box.rule.inherits else ""
    shape = f'fill="{fill}" stroke="{edge}" stroke-width="1.5"{dashed}'
    parts = [f'<rect x="{x:g}" y="{box.y:g}" width="{right - x:g}" height="{box.height:g}" rx="7" {shape}/>']
    if box.rule.status is Status.DELETED:
        inner = f'width="{right - x - 7:g}" height="{box.height - 7:g}" rx="5" fill="none" stroke="{edge}"'
        parts.append(f'<rect x="{x + 3.5:g}" y="{box.y + 3.5:g}" {inner}/>')
    y = box.y + (box.height - LINE * len(box.lines)) / 2 + 4
    for style, text in [("name", box.rule.status.value), *(("more", line) for line in box.lines)]:
        place = f'x="{(x + right) / 2:g}" y="{y:g}" text-anchor="middle"'
        parts.append(f'<text class="{style}" {place}>{escape(text)}</text>')
        y += LINE
    return "".join(parts)


def _start(x: float) -> str:
    line = f'<path class="way" stroke="{INK}" d="M{x:g},{HEAD - 26}V{HEAD - 1.5}" marker-end="url(#{_arrow(INK)})"/>'
    return f'{line}<circle cx="{x:g}" cy="{HEAD - 27}" r="5" fill="{INK}"/>'


def _legend(y: float) -> str:
    parts, x = [], float(MARGIN)
    for text, (fill, edge) in VERDICTS:
        parts.append(f'<rect x="{x:g}" y="{y - 10:g}" width="18" height="12" rx="3" fill="{fill}" stroke="{edge}"/>')
        parts.append(f'<text class="more" x="{x + 24:g}" y="{y:g}">{escape(text)}</text>')
        x += width_of(text) + 44
    x, y = float(MARGIN), y + LINE + 4
    for kind, text in KINDS:
        parts.append(f'<path class="way {kind}" stroke="{FAINT}" d="M{x:g},{y - 4:g}h26"/>')
        parts.append(f'<text class="more" x="{x + 32:g}" y="{y:g}">{escape(text)}</text>')
        x += width_of(text) + 52
    return "<g>" + "".join(parts) + "</g>"


def _clean(text: str) -> str:
    """Without characters that no XML document may hold, escaped or not."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
