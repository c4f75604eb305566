"""Source: where events come from, batch by batch, with the positions that make them exactly once.

Called by the loop alone. A source reads and, once told, forgets; it never judges an event and never writes to a
warehouse. `JournalSource` is the embedded form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from collector.event import Event

BATCH_EVENTS_MAX: Final = 10_000
"""A warehouse takes rows best by the ten thousand. Twice as many cost no less CPU each and 130 MB more at the peak."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Hits of one journal that were answered and cannot be read any more: `first`..`last`, both included."""

    journal: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Part:
    """Events of one stream in ascending order of sequence; the sequences stand beside them.

    stream: within it sequences never come twice but by repetition (a journal's id; in Kafka a partition's journal).
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

    token: the source's own note of where it stands after this batch; opaque to everyone else.
    """

    parts: tuple[Part, ...] = ()
    missing: tuple[Missing, ...] = ()
    token: Any = None

    @property
    def events(self) -> int:
        """How many events the parts hold together."""
        return sum(len(part.events) for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts or self.missing)


@dataclass(slots=True)
class SourceStatus:
    """What a source tells of itself; plain values, JSON-able."""

    kind: str
    streams: int = 0
    lag_bytes: int | None = None
    faults: list[str] = field(default_factory=list)


class Source(Protocol):
    """At least once: what was polled and not committed comes again after a restart, in the same order.

    One loop drives it: poll, then commit of that very batch, then poll again. Raises SourceFailed for what may pass.
    """

    async def poll(self, wait_seconds: float) -> Batch:
        """Return the next events, waiting up to `wait_seconds` for the first one; an empty batch after that."""

    async def commit(self, batch: Batch) -> None:
        """The batch is in the warehouse: it need never come again, and what held it may be deleted."""

    async def ends(self) -> Mapping[str, int]:
        """Return, for each stream, the highest sequence it holds now: every hit answered before the call is at or
        below it. Streams without any event may be absent."""

    async def rewind(self) -> None:
        """Forget what was polled and not committed: the next poll gives it again."""

    def status(self) -> SourceStatus:
        """Tell the state as of the last poll."""

    async def close(self) -> None:
        """Let go of files and connections; commits nothing."""
