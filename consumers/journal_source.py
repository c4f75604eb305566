"""JournalSource: the embedded source, one data directory's journals, live ones followed and dead ones drained.

One consumer a data directory (its role lock is the caller's). The spool reads the journals in turn; a journal goes once
its end is in the warehouse.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.addresses import Addresses
from collector.errors import JournalError
from collector.journal.format import Record
from collector.journal.spool import Spool, journal_end, journal_ends
from collector.publisher.messages import Refinery
from collector.publisher.record import Message
from consumers.errors import SourceFailed
from consumers.source import BATCH_EVENTS_MAX, Batch, Missing, Part, SourceStatus

__all__ = ["JournalSource", "Position", "journal_end", "journal_ends"]

IDLE_SECONDS: Final = 0.05
"""Between two looks at journals that held nothing: 20 small reads a second each; no hit waits for longer than that."""


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
    settles = True  # a journal's reader is alone with its warehouse

    def __init__(self, journals: Path, quarantine: Path, addresses: Addresses) -> None:
        self._spool = Spool(journals, quarantine)
        self._refinery = Refinery(addresses)

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
        return await asyncio.to_thread(journal_ends, self._spool.journals)

    async def rewind(self) -> None:
        """Begin anew at every journal's cursor."""
        await asyncio.to_thread(self._spool.rewind)

    def status(self) -> SourceStatus:
        return SourceStatus("journal", streams=len(self._spool), faults=list(self._spool.faults))

    async def close(self) -> None:
        await asyncio.to_thread(self._spool.rewind)

    def _read(self) -> Batch:
        """One batch of what lies there: each journal in turn gives a share, until it is full or all are empty."""
        self._spool.discover()
        position = Position()
        gathered: dict[str, list[Message]] = {}
        missing: list[Missing] = []
        events = 0
        waiting = self._spool.in_turn()
        while waiting and events < BATCH_EVENTS_MAX:
            journal = waiting.pop(0)
            read = self._spool.read(journal)
            if read is None:
                position.unreadable.append(journal)
            elif read.records or read.missing:
                gathered.setdefault(journal, []).extend(self._messages(read.records, journal))
                missing += [Missing(journal, first, last) for first, last in read.missing]
                position.next_sequences[journal] = read.next_sequence
                events += len(read.records)
                waiting.append(journal)
            elif read.ended:
                position.ended.append(journal)
        if not events and not position:
            self._spool.tidy()
        parts = tuple(_part(stream, found, position.next_sequences[stream]) for stream, found in gathered.items())
        return Batch(parts, tuple(missing), token=position or None)

    def _messages(self, records: Sequence[Record], journal: str) -> list[Message]:
        """The records' messages in order of sequence, whichever topic they would go to."""
        events, hidden = self._refinery.share(records, journal)
        return sorted(events + hidden) if events and hidden else events or hidden

    def _commit(self, position: Position) -> None:
        for journal, next_sequence in position.next_sequences.items():
            self._spool.commit(journal, next_sequence)
        for journal in position.ended:
            self._spool.remove(journal)
        for journal in position.unreadable:
            self._spool.drop(journal)


def _part(stream: str, messages: Sequence[Message], next_sequence: int) -> Part:
    return Part(stream, next_sequence - 1, [message[3] for message in messages], [message[0] for message in messages])
