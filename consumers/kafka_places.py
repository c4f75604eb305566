"""Places: where reading goes on in each partition, by what the warehouse says. Pure; called by `kafka_source.py`.

The warehouse's `streams` hold two kinds of names of ours:

    pixel.events/0/<journal>    the highest sequence of this journal taken from this partition: at or below it repeats
    pixel.events/0@<topic id>   the partition's next offset (as Kafka's own groups keep it), written with the events

A topic that was deleted and made anew has another id, so its offsets begin anew and never mix with the old ones; its
journals go on where they were, so nothing is doubled. A log that lost its end keeps its id: then `.1`, `.2` ... count
how often reading began anew, since a position is never moved back.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on in a partition. stream: under which name its next offset is stored.

    lost: records that were removed before this warehouse had read them. anew: the log ends before the place that was
    stored, so it lost its end or was filled anew, and is read from its start.
    """

    stream: str
    offset: int
    lost: int = 0
    anew: bool = False


def journal_stream(topic: str, partition: int, journal: str) -> str:
    """The stream of one journal's events in one partition."""
    return f"{topic}/{partition}/{journal}"


def place_stream(streams: Mapping[str, int], topic: str, partition: int, topic_id: str) -> str:
    """The name under which the partition's next offset is stored now."""
    return _numbered(streams, f"{topic}/{partition}@{topic_id}")[0]


def place(streams: Mapping[str, int], topic: str, partition: int, topic_id: str, beginning: int, end: int) -> Place:
    """Decide where to go on. streams: as the warehouse has them. beginning, end: of the log now."""
    base = f"{topic}/{partition}@{topic_id}"
    name, number = _numbered(streams, base)
    stored = streams.get(name, 0)
    if stored > end:
        return Place(f"{base}.{number + 1}", beginning, lost=beginning, anew=True)
    return Place(name, max(stored, beginning), lost=max(0, beginning - stored))


def _numbered(streams: Mapping[str, int], base: str) -> tuple[str, int]:
    number = 0
    while f"{base}.{number + 1}" in streams:
        number += 1
    return (f"{base}.{number}" if number else base), number
