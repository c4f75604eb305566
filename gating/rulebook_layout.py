"""Where everything of a rulebook's picture stands: boxes, the tracks beside them, and the ports where both meet.

Made for `rulebook_svg.py`, which writes it down; pure, and the same rulebook always gives the same places. Lengths are
pixels, y grows downwards.

Statuses stand one below the other. What leads down leaves and enters on the right, what leads up on the left. Beside
each way's beginning stands what it is called; beyond the labels run the tracks, one a target, that carry all its ways:

       tracks   labels          boxes            labels    tracks
        ,----- reactivate [ CANCELED         ]
        |                 [                  ]   pause -----.
        `---------------->[ PAUSED           ]<-------------'

No two labels can meet, since each has a height of its own, and no track comes where labels are.
"""

from dataclasses import dataclass, field
from typing import Final

from gating.rulebook import Policy, StatusRule
from gating.rulebook_ways import Kind, layers, moment_text, staying, ways_of
from gating.status import Status

LETTER: Final = 6.7
"""The width of one letter of a label: monospaced, 11 px, and a little more than fonts need."""

LINE: Final = 16
PORT: Final = 20
"""Between two ways on one side of a box: a label and its line."""

TRACK: Final = 15
GAP: Final = 30
MARGIN: Final = 24
HEAD: Final = MARGIN + 3 * LINE
LABEL_INDENT: Final = 8
LABEL_ROOM: Final = 26
"""Beside the longest label: its indent, and free space before the first track."""

LEFT, RIGHT = 0, 1


@dataclass(slots=True)
class Track:
    """A vertical line on one side that ways join at their beginnings (`begins`: label by row) and leave at `ends`.

    target: of the first way that joined; place: 0 for the innermost.
    """

    kind: Kind
    target: Status
    begins: dict[int, str] = field(default_factory=dict)
    ends: set[int] = field(default_factory=set)
    place: int = 0

    @property
    def rows(self) -> tuple[int, int]:
        """The uppermost and the lowest box it touches."""
        touched = [*self.begins, *self.ends]
        return min(touched), max(touched)


@dataclass(slots=True)
class Port:
    """Where a track meets a box: `label` is what begins there, None where it ends."""

    track: Track
    label: str | None
    y: float = 0.0


@dataclass(slots=True)
class Box:
    """A status. lines: below its name. ports: of its left and its right side, from above."""

    rule: StatusRule
    lines: list[str]
    ports: tuple[list[Port], list[Port]] = field(default_factory=lambda: ([], []))
    y: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole picture. edges: x of the boxes' left and right; reach: x of where each side's tracks begin."""

    boxes: list[Box]
    sides: tuple[list[Track], list[Track]]
    edges: tuple[float, float]
    reach: tuple[float, float]
    width: float
    bottom: float

    def x_of(self, track: Track, side: int) -> float:
        """Where a track runs."""
        return self.reach[side] + outward(side) * TRACK * (track.place + 0.5)


def layout_of(policy: Policy) -> Layout:
    """The picture of a rulebook."""
    order = layers(policy)
    boxes = [Box(policy.statuses[status], _lines(policy, policy.statuses[status])) for status in order]
    sides = _tracks(policy, order)
    for side in (LEFT, RIGHT):
        _place(sides[side])
        for row, box in enumerate(boxes):
            box.ports[side].extend(_ports(sides[side], row, side))
    bottom = _stack(boxes)
    labels = [max((width_of(p.label) for box in boxes for p in box.ports[side]), default=0.0) for side in (LEFT, RIGHT)]
    room = [TRACK * (1 + max((track.place for track in side), default=0)) for side in sides]
    left = MARGIN + room[LEFT] + labels[LEFT] + LABEL_ROOM
    right = left + max(width_of(text) for box in boxes for text in (*box.lines, f"{box.rule.status}  ")) + 24
    reach = (left - labels[LEFT] - LABEL_ROOM, right + labels[RIGHT] + LABEL_ROOM)
    return Layout(boxes, sides, (left, right), reach, reach[RIGHT] + room[RIGHT] + MARGIN, bottom)


def outward(side: int) -> int:
    """The sign of a step away from the boxes."""
    return 1 if side == RIGHT else -1


def width_of(text: str | None) -> float:
    """How wide a text is at most."""
    return LETTER * len(text or "")


def _lines(policy: Policy, rule: StatusRule) -> list[str]:
    """What stands in a box below its name."""
    lines = ["as what lies beneath" if rule.inherits else f"{rule.verdict.name}, access {rule.access}"]
    if rule.deadline is not None:
        plans = f" ({' or '.join(rule.deadline.plans)})" if rule.deadline.plans else ""
        lines.append(f"{moment_text(rule.deadline.when)} \N{RIGHTWARDS DOUBLE ARROW} {rule.deadline.then}{plans}")
    elif rule.status is Status.DELETED:
        lines.append("final")
    elif not rule.inherits:
        lines.append("no deadline")
    if rule.due_workdays is not None:
        lines.append(f"an answer is due in {rule.due_workdays}bd")
    if rule.stops_clock:
        lines.append("clocks beneath stand still")
    stays = staying(policy, rule.status)
    lines += [f"stays: {', '.join(pair)}" for pair in (stays[at : at + 2] for at in range(0, len(stays), 2))]
    return lines


def _tracks(policy: Policy, order: list[Status]) -> tuple[list[Track], list[Track]]:
    """Of the left and the right side: one a target and kind; what leads to `previous` has one a source."""
    rows = {status: row for row, status in enumerate(order)}
    found: tuple[dict[tuple[Kind, Status], Track], dict[tuple[Kind, Status], Track]] = ({}, {})
    for way in ways_of(policy):
        source = rows[way.source]
        for side in (LEFT, RIGHT):
            targets = [rows[target] for target in way.targets if (rows[target] > source) == (side == RIGHT)]
            targets = [target for target in targets if target != source]
            if not targets:
                continue
            key = (way.kind, way.source if way.kind is Kind.PREVIOUS else way.targets[0])
            track = found[side].setdefault(key, Track(way.kind, way.targets[0]))
            track.begins[source] = ", ".join(way.labels)
            track.ends.update(targets)
    return list(found[LEFT].values()), list(found[RIGHT].values())


def _place(tracks: list[Track]) -> None:
    """Give each track the innermost place that no other one takes at any of its rows: short ones run inside."""
    taken: list[list[tuple[int, int]]] = []
    for track in sorted(tracks, key=lambda track: (track.rows[1] - track.rows[0], track.rows, track.kind)):
        first, last = track.rows
        free = (place for place, spans in enumerate(taken) if all(last < a or b < first for a, b in spans))
        track.place = next(free, len(taken))
        if track.place == len(taken):
            taken.append([])
        taken[track.place].append((first, last))


def _ports(tracks: list[Track], row: int, side: int) -> list[Port]:
    """A box's ports on one side, from above, so that as few lines as can be cross: what comes from above and goes there
    first, inner tracks above outer ones; then what goes down and comes from below, outer ones first."""
    upper: list[Port] = []
    lower: list[Port] = []
    for track in tracks:
        if row in track.begins:
            (lower if side == RIGHT else upper).append(Port(track, track.begins[row]))
        if row in track.ends:
            (upper if side == RIGHT else lower).append(Port(track, None))
    upper.sort(key=lambda port: port.track.place)
    lower.sort(key=lambda port: -port.track.place)
    return upper + lower


def _stack(boxes: list[Box]) -> float:
    """Give each box its height and each port its own; returns where the lowest box ends."""
    y = float(HEAD)
    for box in boxes:
        ports = max(len(side) for side in box.ports)
        box.height = max(LINE * (len(box.lines) + 1) + 14, PORT * ports + 10)
        box.y = y
        for side in box.ports:
            first = y + (box.height - PORT * (len(side) - 1)) / 2 + 3
            for place, port in enumerate(side):
                port.y = first + PORT * place
        y += box.height + GAP
    return y - GAP
