"""Source: where events come from, batch by batch, with the positions that make them exactly once.

Called by the loop alone. A source reads and, once told, forgets; it never judges an event and never writes to a
warehouse. `JournalSource` is the embedded form, `KafkaSource` the scale-out form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from collector.event import Event

BATCH_EVENTS_MAX: Final = 25_000
"""A warehouse takes rows best by the ten thousand. CPU an event from Kafka at 10,000 and 25,000: DuckDB 9.5 and 8.9
us, ClickHouse 14.5 and 9.8 (its every insert is a part, which merges write anew); Xeon, one core, 35 MB more at the
peak."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Hits of one journal that were answered and cannot be read any more: `first`..`last`, both included."""

    journal: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one stream in ascending order of sequence; the sequences stand beside them.

    stream: within it sequences never come twice but by repetition: a journal's id, or in Kafka a partition's journal
    (`pixel.events/0/<journal>`). A part without events may hold a position of the source's own (`kafka_places.py`).
    highest: up to here (included) the stream is covered by this part and those before it, gaps too.
    events: each as an Event, or as the very line that `Event.encode` wrote: the warehouse's engine reads such lines
    itself, which spares decoding them here. A line that no engine can read fails the whole batch (WarehouseFailed), so
    after a `rewind` a source of lines decodes each one itself and sets aside what is none.
    """

    stream: str
    highest: int
    events: Sequence[Event | bytes]
    sequences: Sequence[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll gave: at most BATCH_EVENTS_MAX events, give or take a frame; may hold none.

    again: events whose id may have come before, in whatever stream: they are looked up by it, not by their sequence.
    token: the source's own note of where it stands after this batch; opaque to everyone else.
    """

    parts: tuple[Part, ...] = ()
    missing: tuple[Missing, ...] = ()
    again: Sequence[Event] = ()
    token: Any = None

    @property
    def events(self) -> int:
        """How many events it holds."""
        return sum(len(part.events) for part in self.parts) + len(self.again)

    def __bool__(self) -> bool:
        return bool(self.parts or self.missing or self.again)


@dataclass(slots=True)
class SourceStatus:
    """What a source tells of itself; plain values, JSON-able.

    trouble: why it gives nothing at present; empty when nothing hinders it. lag: events it has not given yet, by
    partition. poison: records that were no events and are kept as dead letters. again: events looked up by id.
    lost: records that were removed before they were read.
    """

    kind: str
    streams: int = 0
    trouble: str = ""
    lag: dict[str, int] = field(default_factory=dict)
    poison: int = 0
    again: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)


class Source(Protocol):
    """At least once: what was polled and not committed comes again after a restart, in the same order.

    One loop drives it: poll, then commit of that very batch, then poll again. Raises SourceFailed for what may pass.
    unit: what its ends are called where people read of them. settles: whether this process, of all that read into the
    same warehouse, is the one that settles there now.
    """

    unit: str

    @property
    def settles(self) -> bool: ...

    async def poll(self, wait_seconds: float) -> Batch:
        """Return the next events, waiting up to `wait_seconds` for the first one; an empty batch after that."""

    async def commit(self, batch: Batch) -> None:
        """The batch is in the warehouse: it need never come again, and what held it may be deleted."""

    async def ends(self, seconds: float) -> Mapping[str, int]:
        """Return, for each stream, how far it must be read: every hit answered before the call is at or below that.
        Streams without any event may be absent. Who must be asked is waited for: raises NotSettledInTime, which names
        who has not answered after `seconds`, and Unreachable."""

    async def rewind(self) -> None:
        """Forget what was polled and not committed: the next poll gives it again."""

    def status(self) -> SourceStatus:
        """Tell the state as of the last poll."""

    async def close(self) -> None:
        """Let go of files and connections; commits nothing."""
