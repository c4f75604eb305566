"""Lines: a batch's events as the lines of JSON that engines read by themselves.

Called by both forms of the warehouse. Pure. An event that its source handed over as a line is passed on as it is: no
decoding stands between Kafka and the engine. Must not judge a line: the engine refuses what it cannot read.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from collector.event import Event
from consumers.source import Part

ID_START: Final = len(b'{"id":"')
"""`Event.encode` writes the id first, and an id holds nothing that JSON would escape."""


def lines_of(events: Iterable[Event | bytes]) -> list[bytes]:
    """Return each event's line. Raises ValueError or TypeError for an event that JSON cannot say."""
    return [event if type(event) is bytes else event.encode() for event in events]  # type: ignore[union-attr]


def part_lines(parts: Sequence[Part]) -> list[bytes]:
    """Return the lines of all parts."""
    return lines_of(event for part in parts for event in part.events)


def again_lines(again: Sequence[Event | bytes], lines: Sequence[bytes]) -> list[bytes]:
    """Return the lines of `again`, each id once and none that `lines` hold already."""
    if not again:
        return []
    found = {id_of(line): line for line in reversed(lines_of(again))}  # the first of an id is the one that stays
    for line in lines:
        found.pop(id_of(line), None)
    return list(found.values())


def id_of(line: bytes) -> bytes:
    """Return the id that the line begins with. Raises ValueError where it begins otherwise."""
    return line[ID_START : line.index(b'"', ID_START)]
