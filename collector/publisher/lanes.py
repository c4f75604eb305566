"""Lanes: what waits for one partition, in batches, and the one that is on its way.

Called by the pump. One batch a partition is on its way at a time and none follows a failed one, so that the sequences
of a journal ascend within a partition. What waits is compressed as soon as a batch is full: a partition whose leader is
slow or gone holds up the others only once the pump's bound is full of compressed batches, about ten times as many
events as it would hold plain. Pure: knows neither Kafka nor a clock.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from collector.publisher.record import Message
from collector.publisher.record_batch import Compression, RecordBatch
from collector.publishers import Place

BATCH_BYTES_MAX: Final = 512 * 1024
"""A batch is closed here, uncompressed: below Kafka's own `message.max.bytes` of 1 MiB, so that it fits as it is, too.
Twice as much compressed no better and held half a megabyte more a partition."""

BATCH_RECORDS_MAX: Final = 4096
"""What a lane forgets and reads again, at most, when a batch fails."""


class Batch:
    """A record batch and which of each journal's sequences are in it: the first and the last."""

    __slots__ = ("firsts", "lasts", "oldest_us", "payload_bytes", "records", "started")

    def __init__(self, compression: Compression, now: float) -> None:
        self.records = RecordBatch(compression)
        self.firsts: dict[str, int] = {}
        self.lasts: dict[str, int] = {}
        self.oldest_us = 0
        self.payload_bytes = 0  # uncompressed
        self.started = now  # when it was begun; once it is on its way, since when

    def __len__(self) -> int:
        return self.records.record_count()


class Lane:
    """One partition. bytes_max: of a batch, uncompressed. timestamps: whether records carry them.

    records_max: of a batch; halved while one that the broker refuses is narrowed down to one record.
    """

    def __init__(self, place: Place, compression: Compression) -> None:
        self.place = place
        self.bytes_max = BATCH_BYTES_MAX
        self.timestamps = True
        self.records_max = BATCH_RECORDS_MAX
        self.narrowed: dict[str, int] = {}  # until these sequences are acknowledged or set aside
        self.in_flight: Batch | None = None
        self._compression = compression
        self._full: deque[Batch] = deque()
        self._open: Batch | None = None

    def extend(self, journal: str, messages: Sequence[Message], now: float) -> None:
        """Add messages of one journal, in order of sequence. now: monotonic, in seconds."""
        at = 0
        while at < len(messages):
            batch = self._open or self._begin(now)
            end = batch.records.extend(
                messages, at, bytes_max=self.bytes_max, records_max=self.records_max, timestamps=self.timestamps
            )
            if end > at:
                batch.firsts.setdefault(journal, messages[at][0])
                batch.lasts[journal] = messages[end - 1][0]
                batch.oldest_us = batch.oldest_us or messages[at][1] * 1000
            if end < len(messages):  # it takes no more; a fresh batch takes one message of any size
                self._close()
            at = end
        if self._open and len(self._open) >= self.records_max:
            self._close()

    def take(self, now: float, linger_seconds: float) -> Batch | None:
        """The next batch to send, `in_flight` from now on; None where one is on its way or nothing is due.

        A batch that is not full is due once it is `linger_seconds` old. now: monotonic, in seconds.
        """
        if self.in_flight is not None:
            return None
        if not self._full and self._open and now - self._open.started >= linger_seconds:
            self._close()
        if self._full:
            self.in_flight = self._full.popleft()
            self.in_flight.started = now
        return self.in_flight

    def acknowledged(self) -> Batch:
        """What was on its way has arrived."""
        batch, self.in_flight = self.in_flight, None
        if batch is None:
            raise ValueError("nothing was on its way")
        if self.narrowed:
            self.narrowed = {
                journal: last for journal, last in self.narrowed.items() if batch.lasts.get(journal, 0) < last
            }
            if not self.narrowed:
                self.records_max = BATCH_RECORDS_MAX
        return batch

    def narrow(self, batch: Batch) -> None:
        """The broker refuses this batch: from now on, until past it, batches are at most half as long."""
        self.records_max = max(1, len(batch) // 2)
        self.narrowed = {**self.narrowed, **batch.lasts}

    def batches(self) -> Iterator[Batch]:
        """Everything not acknowledged, the oldest first."""
        if self.in_flight is not None:
            yield self.in_flight
        yield from self._full
        if self._open is not None:
            yield self._open

    @property
    def waiting_bytes(self) -> int:
        """Memory held: compressed where closed."""
        return sum(batch.records.size() for batch in self.batches())

    @property
    def empty(self) -> bool:
        return self.in_flight is None and not self._full and self._open is None

    def clear(self) -> None:
        """Forget everything: it will be read again."""
        self.in_flight = self._open = None
        self._full.clear()

    def _begin(self, now: float) -> Batch:
        self._open = Batch(self._compression, now)
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.payload_bytes = self._open.records.size()
            self._open.records.close()
            self._full.append(self._open)
            self._open = None
