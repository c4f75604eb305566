"""JournalSource: the embedded source, one data directory's journals, live ones followed and dead ones drained.

One consumer a data directory (its role lock is the caller's). Journals are met oldest first and then read in turn, so
that a dead worker's long backlog does not hold up what comes in now. A journal goes once its end is in the warehouse.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.addresses import Addresses
from collector.errors import JournalError
from collector.event import Event
from collector.journal import BATCH_BYTES, JournalReader, sweep
from collector.journal.cursor import load_cursor
from collector.journal.directory import is_journal, segment_first
from collector.journal.format import STAMP
from collector.journal.segment import Segment
from collector.refine import event_of
from consumers.errors import SourceFailed
from consumers.source import BATCH_EVENTS_MAX, Batch, Missing, Part, SourceStatus

IDLE_SECONDS: Final = 0.05
"""Between two looks at journals that held nothing: 20 small reads a second each; no hit waits for longer than that."""

DISCOVER_SECONDS: Final = 0.25
FAULTS_MAX: Final = 100
LOG: Final = logging.getLogger("pixelgate.consumers")
_BEYOND: Final = 2**63  # above every sequence: frames are passed by their headers


ASIDE_SECONDS: Final = 10.0
"""How long a journal that cannot be read (a disk's error, a wrong owner) is left alone; the others go on."""


@dataclass(slots=True)
class Position:
    """A batch's token: how far each journal was read, which ones ended, and which could not be read on."""

    next_sequences: dict[str, int] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.next_sequences or self.ended or self.unreadable)


class JournalSource:
    """The `Source` protocol over a directory of journals."""

    unit = "journals"

    def __init__(self, journals: Path, quarantine: Path, addresses: Addresses) -> None:
        self._journals = journals
        self._quarantine = quarantine
        self._addresses = addresses
        self._readers: dict[str, JournalReader] = {}
        self._aside: dict[str, float] = {}  # until when a journal is left alone
        self._turn = 0
        self._discovered_at = float("-inf")
        self._faults: list[str] = []

    async def poll(self, wait_seconds: float) -> Batch:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                batch = await asyncio.to_thread(self._read)
            except (OSError, JournalError) as error:
                raise SourceFailed("following the journals", error) from error
            if batch or batch.token is not None or time.monotonic() >= deadline:
                return batch
            await asyncio.sleep(IDLE_SECONDS)

    async def commit(self, batch: Batch) -> None:
        try:
            await asyncio.to_thread(self._commit, batch.token)
        except (OSError, JournalError) as error:
            raise SourceFailed("moving a journal's cursor", error) from error

    async def ends(self, seconds: float) -> Mapping[str, int]:  # noqa: ARG002  nobody is asked
        return await asyncio.to_thread(journal_ends, self._journals)

    async def rewind(self) -> None:
        """Begin anew at every journal's cursor."""
        await asyncio.to_thread(self._close)

    def status(self) -> SourceStatus:
        return SourceStatus("journal", streams=len(self._readers), faults=list(self._faults))

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._discovered_at = float("-inf")

    def _discover(self) -> None:
        """Open readers for journals that are new; where nothing is known yet, tidy up first."""
        if time.monotonic() - self._discovered_at < DISCOVER_SECONDS:
            return
        if not self._readers:
            sweep(self._journals)
        self._discovered_at = now = time.monotonic()
        new = [path for path in self._journals.iterdir() if path.name not in self._readers and is_journal(path)]
        for path in sorted(new, key=_last_written):
            if self._aside.get(path.name, now) <= now:
                try:
                    self._readers[path.name] = JournalReader(path, self._quarantine)
                except (OSError, JournalError) as error:
                    self._set_aside(path.name, error)

    def _set_aside(self, journal: str, error: Exception) -> None:
        self._aside[journal] = time.monotonic() + ASIDE_SECONDS
        self._fault(f"journal {journal} cannot be read now: {error}; its hits wait in it")

    def _read(self) -> Batch:
        """One batch of what lies there: each journal in turn gives a share, until it is full or all are empty."""
        self._discover()
        position = Position()
        gathered: dict[str, list[Event]] = {}
        missing: list[Missing] = []
        events = 0
        waiting = self._in_turn()
        while waiting and events < BATCH_EVENTS_MAX:
            reader = waiting.pop(0)
            try:
                read = reader.read(BATCH_BYTES)
            except OSError as error:  # where it stands now is unsure: it begins anew at its cursor, later
                self._set_aside(reader.id, error)
                position.unreadable.append(reader.id)
                continue
            if read.records or read.missing:
                gathered.setdefault(reader.id, []).extend(
                    event_of(record, reader.id, self._addresses) for record in read.records
                )
                missing += [Missing(reader.id, first, last) for first, last in read.missing]
                position.next_sequences[reader.id] = read.next_sequence
                events += len(read.records)
                waiting.append(reader)
            elif read.ended:
                position.ended.append(reader.id)
        self._note(missing)
        parts = tuple(_part(stream, found, position.next_sequences[stream]) for stream, found in gathered.items())
        return Batch(parts, tuple(missing), token=position or None)

    def _in_turn(self) -> list[JournalReader]:
        readers = list(self._readers.values())
        self._turn = (self._turn + 1) % max(1, len(readers))
        return readers[self._turn :] + readers[: self._turn]

    def _note(self, missing: Sequence[Missing]) -> None:
        for gap in missing:
            self._fault(
                f"journal {gap.journal} is corrupt: hits {gap.first} to {gap.last} are missing; "
                f"the damaged segment is kept in {self._quarantine}"
            )

    def _fault(self, text: str) -> None:
        if text not in self._faults and len(self._faults) < FAULTS_MAX:
            self._faults.append(text)
            LOG.warning(text)

    def _commit(self, position: Position) -> None:
        for journal, next_sequence in position.next_sequences.items():
            self._readers[journal].commit(next_sequence)
        for journal in position.ended:
            reader = self._readers[journal]
            reader.commit(reader.next_sequence)
            reader.remove()
            del self._readers[journal]
        for journal in position.unreadable:
            self._readers.pop(journal).close()


def _part(stream: str, events: list[Event], next_sequence: int) -> Part:
    return Part(stream, next_sequence - 1, events, [int(event.id[33:]) for event in events])


def _last_written(path: Path) -> int:
    """When a journal was last written to, in nanoseconds; a journal that goes just now is the oldest."""
    try:
        return max((entry.stat().st_mtime_ns for entry in os.scandir(path) if segment_first(entry.name)), default=0)
    except FileNotFoundError:
        return 0


def journal_ends(journals: Path) -> dict[str, int]:
    """Return each journal's highest sequence now, live or dead; never writes and takes no lock.

    Every hit answered before the call is at or below it. Costs a look at each frame's header in the newest segment.
    """
    ends = {}
    for path in journals.iterdir():
        if is_journal(path):
            end = journal_end(path)
            if end is not None:
                ends[path.name] = end
    return ends


def journal_end(path: Path) -> int | None:
    """Return the highest sequence of one journal; None where it is gone or holds no segment."""
    try:
        cursor = load_cursor(path)
        names = sorted(name for name in os.listdir(path) if segment_first(name))
        if not names:
            return None
        segment = Segment(path / names[-1], bytes.fromhex(path.name), cursor.salt if cursor else b"")
    except FileNotFoundError:
        return None
    try:
        end, offset = segment.first_sequence - 1, STAMP.size
        while frame := segment.frame_at(offset, _BEYOND):
            end, offset = frame.header.last_sequence, frame.end
        return end
    finally:
        segment.close()
