"""Records: what came from Kafka, sorted into events by journal, events that may come twice, and what is no event.

Called by `kafka_source.py`, on a thread that is not the event loop's. Pure: it keeps what it is given until the batch
is made, and asks nobody. What it refuses (poison) is told with its reason; the rest of the partition flows on.

A line that begins and ends as `Event.encode` writes it goes to the warehouse as it is, where the engine reads it: that
look costs 0.6 us an event, where `orjson.loads` costs 4.8 and `Event.decode` 8.4 (700 bytes, 2 shared cores). A line in
between which is no JSON fails its batch; the next reading is careful: it decodes every event, and finds which it was.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from collector.event import SCHEMA_VERSION, Event
from consumers.kafka_places import journal_stream
from consumers.source import Part
from gating.status import Verdict

AGAIN: Final = "again"
SCHEMA: Final = "schema"
SCHEMA_VALUE: Final = str(SCHEMA_VERSION).encode()
_SCHEMA_HEADER: Final = (SCHEMA, SCHEMA_VALUE)
HEADERS: Final = 2
"""`schema` and `verdict`; a third is `again`."""

DEPTH_BRACKETS_MAX: Final = 200
"""Brackets in a value up to which it cannot be nested too deeply to be written again (orjson: 254 levels)."""

SHALLOW_BYTES_MAX: Final = 800
"""An event's own keys are 330 bytes, so this short a value has no room for so many; counting takes 1 us."""

NUMBER_MAX: Final = 10**18 - 1
_ID = re.compile(r"[0-9a-f]{32}-[1-9][0-9]{0,17}", re.ASCII)
_JOURNAL = re.compile(rb'\{"id":"[0-9a-f]{32}-[1-9]')
_ID_START: Final = len(b'{"id":"')
_ID_END: Final = _ID_START + 33
_AFTER_ID: Final = b'","received_at":"'
_END: Final = b'"revealed_at":null}'

_Stream = tuple[list[int], list[Event | bytes]]
"""Sequences, and their events beside them."""


class Record(Protocol):
    """What is looked at of aiokafka's ConsumerRecord."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that is no event, and why; all of it, so that it can be looked at and sent again."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(slots=True)
class Gathered:
    """One batch in the making.

    careful: decode every event, however it looks. repeated: records that came again within a partition and are left out
    here. next_offsets: by topic and partition.
    """

    careful: bool = False
    again: list[Event] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    records: int = 0
    value_bytes: int = 0
    repeated: int = 0
    _parts: dict[str, _Stream] = field(default_factory=dict)

    def add(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Take in what came from one partition, in its order."""
        streams: dict[bytes, _Stream] = {}  # by `{"id":"<journal>-`, so that one look-up checks all of that
        for record in records:
            value, headers = record.value, record.headers
            if (
                self.careful
                or value is None
                or len(headers) != HEADERS
                or headers[0] != _SCHEMA_HEADER
                or not (stream := streams.get(value[:_ID_END]) or self._first_of(streams, topic, partition, value))
                or not (digits := value[_ID_END : value.find(b'"', _ID_END)]).isdigit()
                or not value.startswith(_AFTER_ID, _ID_END + len(digits))
                or not value.endswith(_END)
                or (len(value) > SHALLOW_BYTES_MAX and _may_be_deep(value))
            ):
                self._add_slowly(topic, partition, record)
                continue
            sequence = int(digits)
            sequences, events = stream
            if sequences and sequence <= sequences[-1]:
                self.repeated += 1  # within a partition a journal's sequences ascend: what does not is a repetition
            else:
                sequences.append(sequence)
                events.append(value)
            self.value_bytes += len(value)
        if records:
            self.records += len(records)
            self.next_offsets[topic, partition] = records[-1].offset + 1

    def _first_of(self, streams: dict[bytes, _Stream], topic: str, partition: int, value: bytes) -> _Stream | None:
        """The stream of a journal that this partition did not have yet; None where no journal's id stands there."""
        if not _JOURNAL.match(value):
            return None
        stream = self._stream(topic, partition, value[_ID_START : _ID_END - 1].decode())
        return streams.setdefault(value[:_ID_END], stream)

    def _add_slowly(self, topic: str, partition: int, record: Record) -> None:
        try:
            event, again = event_of(record)
        except ValueError as error:
            self._refuse(topic, partition, record, str(error))
            return
        self.value_bytes += len(record.value or b"")
        if again:
            self.again.append(event)
            return
        sequence = int(event.id[33:])
        sequences, events = self._stream(topic, partition, event.id[:32])
        if sequences and sequence <= sequences[-1]:
            self.repeated += 1
        else:
            sequences.append(sequence)
            events.append(event)

    def _stream(self, topic: str, partition: int, journal: str) -> _Stream:
        return self._parts.setdefault(journal_stream(topic, partition, journal), ([], []))

    def _refuse(self, topic: str, partition: int, record: Record, reason: str) -> None:
        self.value_bytes += len(record.value or b"") + len(record.key or b"")
        self.poison.append(
            Poison(
                topic,
                partition,
                record.offset,
                record.timestamp,
                reason,
                record.key,
                record.value,
                tuple(record.headers),
            )
        )

    def parts(self, place_streams: Mapping[tuple[str, int], str]) -> tuple[Part, ...]:
        """The events by stream, then the partitions' next offsets as parts without events."""
        streams = self._parts.items()
        parts = [Part(stream, sequences[-1], events, sequences) for stream, (sequences, events) in streams if sequences]
        parts += [Part(place_streams[place], offset, (), ()) for place, offset in self.next_offsets.items()]
        return tuple(parts)


def event_of(record: Record) -> tuple[Event, bool]:
    """Return a record's event and whether its id may have come before. Raises ValueError that says why it is none."""
    if record.value is None:
        raise ValueError("not an event: no value")
    again = _checked(record.headers)
    event = Event.decode(record.value)
    if _ID.fullmatch(event.id) is None:
        raise ValueError("not an event: id is no journal and sequence")
    if event.verdict is Verdict.DROP:
        raise ValueError("not an event: a dropped hit is never kept")
    if not 0 <= event.version <= NUMBER_MAX:
        raise ValueError("not an event: version is no number of a change")
    if len(record.value) > SHALLOW_BYTES_MAX and _may_be_deep(record.value):
        try:
            event.encode()
        except TypeError as error:
            raise ValueError("not an event: params are nested too deeply") from error
    return event, again


def _may_be_deep(value: bytes) -> bool:
    """Whether it holds brackets enough to be nested too deeply, those in texts included."""
    return value.count(b"{") + value.count(b"[") > DEPTH_BRACKETS_MAX


def _checked(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Whether the headers say `again`. Raises ValueError for another schema than this release reads."""
    schema, again = None, False
    for name, value in headers:
        if name == SCHEMA:
            schema = value
        elif name == AGAIN:
            again = True
    if schema != SCHEMA_VALUE:
        told = "none" if schema is None else repr(schema[:20].decode("utf-8", "replace"))
        raise ValueError(f"schema is {told}, this release reads {SCHEMA_VERSION}")
    return again
