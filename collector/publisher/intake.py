"""Intake: journals into lanes, cursors after what is acknowledged. The half of the pump that never waits for Kafka.

Called by the pump alone, one call at a time. What waits in the lanes is bounded in bytes; a journal is not read on
while it holds more of that room than is still free, so that one whose partitions are slow leaves room to the others
(the dynamic threshold of shared-memory switches: one hog is held to half, two to a third each). The book is written
before a cursor moves, and a journal goes only once both are on disk.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from collector.addresses import Addresses
from collector.journal.reader import BATCH_BYTES
from collector.journal.spool import Spool, journal_ends
from collector.publisher.book import Account, read_book, write_book
from collector.publisher.dead_letters import DIRECTORY, DeadLetters, Letter
from collector.publisher.lanes import BATCH_BYTES_MAX, Batch, Lane
from collector.publisher.messages import Refinery
from collector.publisher.partitions import partitions_of
from collector.publisher.progress import Progress
from collector.publisher.record import Message
from collector.publisher.record_batch import BESIDE_BYTES_MAX, HEADER_BYTES, Compression
from collector.publisher.topics import Topics
from collector.publishers import Place
from gating.datadir import DataDirectory

LOG: Final = logging.getLogger("pixelgate.publisher")
ENOUGH_RECORDS: Final = 256
"""A look that found fewer waits for more: small batches cost ten times as much an event."""

KEY_BYTES_MAX: Final = 1024
"""Room for a key and headers beside a value, where a record is weighed against what the broker takes."""


class Intake:
    """The journals of one data directory and the lanes they are read into."""

    def __init__(self, data: DataDirectory, topics: Topics, addresses: Addresses, compression: Compression) -> None:
        """Raises BookDamaged, OSError."""
        self.dead = 0  # letters written since the start
        self.lanes: dict[Place, Lane] = {}
        self.partitions: dict[str, int] = {}
        self.spool = Spool(data.journals, data.quarantine)
        self._data, self._topics, self._compression = data, topics, compression
        self._refinery = Refinery(addresses)
        self._book = read_book(data.root)
        self._letters = DeadLetters(data.root / DIRECTORY)
        self._progress: dict[str, Progress] = {}
        self._round: list[str] = []
        self._value_bytes_max = 0
        self._refused: dict[tuple[str, int], str] = {}  # single records that the broker does not take, and why
        self._buried: set[tuple[str, int]] = set()  # dead letters not yet behind a cursor: written once
        self._timeless: set[str] = set()

    @property
    def empty(self) -> bool:
        """Whether all that was read is acknowledged."""
        return all(lane.empty for lane in self.lanes.values())

    @property
    def waiting_bytes(self) -> int:
        """Memory that batches hold."""
        return sum(lane.waiting_bytes for lane in self.lanes.values())

    @property
    def oldest_us(self) -> int | None:
        """When the oldest hit was received that was read and is not acknowledged; None where there is none."""
        return min((batch.oldest_us for batch in self.batches()), default=None)

    @property
    def offsets(self) -> Mapping[Place, int]:
        """Of each partition the highest offset that was this publisher's, as the book knows it."""
        return self._book.offsets

    def batches(self) -> Iterable[Batch]:
        """Every batch that is not acknowledged."""
        return (batch for lane in self.lanes.values() for batch in lane.batches())

    def through(self, journal: str) -> int:
        """Up to which sequence everything of a journal is acknowledged, a dead letter, or known to be missing."""
        progress = self._progress.get(journal)
        if progress is None:
            return self._book.journals.get(journal, Account()).last
        return self._firsts().get(journal, progress.next_sequence) - 1

    def owed(self) -> int:
        """How many journalled hits Kafka has not acknowledged. Any thread may ask. Raises OSError."""
        accounts = dict(self._book.journals)
        ends = journal_ends(self._data.journals)
        return sum(max(0, end - accounts.get(journal, Account()).last) for journal, end in ends.items())

    async def adopt(self, partitions: Mapping[str, int], batch_bytes_max: int) -> None:
        """Use these numbers of partitions from now on; nothing is in the lanes. Raises OSError.

        Whatever lies in a journal now and is not behind its cursor may have gone to another partition, by this process
        or by one before it: it is marked `again`, and that is on disk before the first of it is sent.
        """
        if partitions != self._book.partitions:
            if self._book.partitions:
                LOG.info("the topics' partitions are %s now, they were %s", dict(partitions), self._book.partitions)
                for journal, end in (await asyncio.to_thread(journal_ends, self._data.journals)).items():
                    self._book.again[journal] = max(self._book.again.get(journal, 0), end)
            self._book.partitions = dict(partitions)
            await asyncio.to_thread(write_book, self._data.root, self._book)
        self.partitions = dict(partitions)
        self._value_bytes_max = batch_bytes_max - HEADER_BYTES - BESIDE_BYTES_MAX - KEY_BYTES_MAX
        for topic in self._topics.of_events:
            for number in range(partitions[topic]):
                lane = self.lanes.setdefault((topic, number), Lane((topic, number), self._compression))
                lane.bytes_max = min(BATCH_BYTES_MAX, batch_bytes_max - HEADER_BYTES)
                lane.timestamps = topic not in self._timeless
        for place in [place for place in self.lanes if place[1] >= partitions[place[0]]]:
            del self.lanes[place]

    def fill(self, waiting_bytes_max: int) -> int:
        """Read a share of the next journal, or of several where that is little; returns how many records.

        Raises OSError where dead letters cannot be written; what was read is then not to be trusted: `forget` it.
        """
        self.spool.discover()
        if not self._round:
            self._round = self.spool.in_turn()
        free = waiting_bytes_max - self.waiting_bytes
        held = self._held() if free < waiting_bytes_max // 2 else {}
        read = 0
        while self._round and read < ENOUGH_RECORDS:
            journal = self._round.pop(0)
            if journal not in self._progress:
                begin = self.spool.next_sequence(journal)
                self._progress[journal] = Progress(begin, begin)
            progress = self._progress[journal]
            if progress.open and free > held.get(journal, 0):
                read += self._read(journal, progress)
        return read

    def refuse(self, batch: Batch, reason: str) -> None:
        """The broker does not take this record, alone in its batch: read again, it becomes a dead letter."""
        ((journal, sequence),) = batch.firsts.items()
        self._refused[journal, sequence] = reason

    def without_timestamps(self, topic: str) -> bool:
        """Let a topic's records carry no timestamp; False where they carry none already."""
        new = topic not in self._timeless
        self._timeless.add(topic)
        return new

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        """Write the book, move the cursors, remove journals that are done with. Raises JournalError, OSError."""
        firsts = self._firsts()
        moved: dict[str, int] = {}
        done: list[str] = []
        dropped: list[str] = []
        for journal, progress in self._progress.items():
            next_sequence = firsts.get(journal, progress.next_sequence)
            if next_sequence > progress.committed or not progress.open:
                account = self._book.account(journal)
                progress.settle(account, next_sequence - 1)
                moved[journal] = next_sequence
                if next_sequence == progress.next_sequence and not progress.open:
                    account.ended = progress.ended
                    (done if progress.ended else dropped).append(journal)
        if not moved:
            await asyncio.to_thread(self.spool.tidy)
            return
        self._book.offsets = dict(offsets)
        self._forget_behind(moved)
        self._book.fold()
        await asyncio.to_thread(self._store, moved, done)
        for journal, next_sequence in moved.items():
            self._progress[journal].committed = next_sequence
        for journal in dropped:
            self.spool.drop(journal)
        for journal in (*done, *dropped):
            del self._progress[journal]

    def forget(self) -> None:
        """Empty the lanes and begin anew at the cursors."""
        for lane in self.lanes.values():
            lane.clear()
        self._progress.clear()
        self._round.clear()
        self.spool.rewind()

    def close(self) -> None:
        """Let go of every file."""
        self.forget()
        self._letters.close()

    def _firsts(self) -> dict[str, int]:
        """Of each journal the first sequence that is not acknowledged; absent where all that was read is."""
        firsts: dict[str, int] = {}
        for batch in self.batches():
            for journal, first in batch.firsts.items():
                if first < firsts.get(journal, first + 1):
                    firsts[journal] = first
        return firsts

    def _held(self) -> dict[str, int]:
        """How many bytes of what waits belong to each journal, told by how many of its events do."""
        firsts = self._firsts()
        events = {
            journal: progress.next_sequence - firsts.get(journal, progress.next_sequence)
            for journal, progress in self._progress.items()
        }
        total, waiting = max(1, sum(events.values())), self.waiting_bytes
        return {journal: waiting * count // total for journal, count in events.items()}

    def _read(self, journal: str, progress: Progress) -> int:
        batch = self.spool.read(journal, BATCH_BYTES)
        if batch is None:
            progress.unreadable = True
            return 0
        if batch.records:
            again = self._book.again.get(journal, 0)
            share = self._refinery.share(batch.records, journal, again)
            now = time.monotonic()
            self._route(journal, progress, self._topics.events, share.events, now)
            self._route(journal, progress, self._topics.hidden, share.hidden, now)
        progress.missing += batch.missing
        progress.next_sequence = batch.next_sequence
        progress.ended = batch.ended
        return len(batch.records) or len(batch.missing)

    def _route(self, journal: str, progress: Progress, topic: str, messages: list[Message], now: float) -> None:
        """Give messages to the lanes of their partitions; what cannot be sent at all becomes a dead letter."""
        if not messages:
            return
        if self._refused or max([len(message[3]) for message in messages]) > self._value_bytes_max:
            messages = self._bury(journal, progress, topic, messages)
        places: list[list[Message]] = [[] for _ in range(self.partitions[topic])]
        numbers = partitions_of([message[2] for message in messages], len(places))
        for message, number in zip(messages, numbers, strict=True):
            places[number].append(message)
        for number, part in enumerate(places):
            if part:
                self.lanes[topic, number].extend(journal, part, now)

    def _bury(self, journal: str, progress: Progress, topic: str, messages: list[Message]) -> list[Message]:
        """Write to the dead letters what the broker does not take; returns the rest. Raises OSError."""
        kept, letters = [], []
        for message in messages:
            sequence, value = message[0], message[3]
            reason = self._refused.get((journal, sequence))
            if reason is None and len(value) > self._value_bytes_max:
                reason = f"{len(value)} bytes, the topic takes {self._value_bytes_max}"
            if reason is None:
                kept.append(message)
                continue
            progress.dead.add(sequence)
            if (journal, sequence) not in self._buried:
                letters.append(Letter(journal, sequence, topic, reason, time.time_ns() // 1000, value))
        if letters:
            self._letters.append(letters)
            self._buried.update((letter.journal, letter.sequence) for letter in letters)
            self.dead += len(letters)
            told = "%d events are dead letters now, see `pixelgate journal dead-letters`: %s"
            LOG.warning(told, len(letters), letters[0].reason)
        return kept

    def _store(self, moved: Mapping[str, int], done: Sequence[str]) -> None:
        """The disk's part of a commit, in its order: of every journal that is gone the book speaks the truth."""
        write_book(self._data.root, self._book)
        for journal, next_sequence in moved.items():
            if journal not in self.spool:  # an earlier attempt came as far as this one
                continue
            if journal in done:
                self.spool.remove(journal)
            else:
                self.spool.commit(journal, next_sequence)

    def _forget_behind(self, moved: Mapping[str, int]) -> None:
        """Drop notes about what is behind the cursors now."""

        def behind(journal: str, sequence: int) -> bool:
            return sequence < moved.get(journal, 0)

        self._refused = {at: reason for at, reason in self._refused.items() if not behind(*at)}
        self._buried = {at for at in self._buried if not behind(*at)}
        self._book.again = {journal: last for journal, last in self._book.again.items() if not behind(journal, last)}
