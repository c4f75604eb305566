"""The reader: takes a journal's records over, batch by batch, from a live worker or from what a dead one left.

Called by whoever owns the data directory's consumer role, one reader a journal. A live journal is followed; once its
writer is dead the reader adopts it, by its lock, and drains it. Must not write but for the cursor, and removes only
what the cursor has passed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.errors import JournalFailed, JournalLive, JournalUnknown
from collector.journal.cursor import store_cursor
from collector.journal.directory import is_journal, remove, sync_directory, take_lock
from collector.journal.format import Record, Stamp
from collector.journal.quarantine import Quarantine
from collector.journal.walk import Left, Walk

BATCH_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Batch:
    """What one `read` found.

    records: whole frames, in order of sequence. next_sequence: to commit once the records are safe elsewhere.
    missing: ranges (both ends included) that were damaged, told once. ended: nothing will ever follow; an empty batch
    that is not ended means "not yet".
    """

    records: list[Record]
    next_sequence: int
    missing: list[tuple[int, int]]
    ended: bool


class JournalReader:
    """Reads one journal from its cursor on. Not thread safe."""

    def __init__(self, path: Path, quarantine: Path) -> None:
        """Open a journal, live or dead. Raises JournalUnknown.

        quarantine: a directory for copies of damaged segments, `<journal id>-<segment>`, best on the same file system.
        """
        if not is_journal(path):
            raise JournalUnknown(f"there is no journal at {path}; its directory is named by 32 hex digits")
        self.id = path.name
        self.path = path
        self.corrupt_bytes = 0
        self._quarantine = Quarantine(quarantine)
        self._walk = Walk(path, on_corruption=self._quarantine.note)
        self._left: list[Left] = []
        self._committed = self._walk.next_sequence
        self._lock: int | None = None
        self._ended = False

    @property
    def live(self) -> bool:
        """False once the writer is dead and this reader has adopted the journal."""
        return self._lock is None

    @property
    def next_sequence(self) -> int:
        """The next sequence to be read; everything below was handed out, or told missing."""
        return self._walk.next_sequence

    @property
    def torn_bytes(self) -> int:
        """Bytes of the last group, cut off by the writer's death and forgiven; known once the journal ended."""
        return self._walk.torn_bytes

    def read(self, bytes_max: int = BATCH_BYTES) -> Batch:
        """The next records: whole frames up to `bytes_max`, at least one if there is one. Waits for nothing."""
        records = self._read(bytes_max)
        if not records and self.live and self._adopt():
            records = self._read(bytes_max)  # what was written between the last look and the writer's death
        missing, self._walk.missing = self._walk.missing, []
        self.corrupt_bytes = self._quarantine.corrupt_bytes
        self._ended = not records and not self.live
        return Batch(records, self._walk.next_sequence, missing, self._ended)

    def commit(self, next_sequence: int) -> None:
        """Everything below `next_sequence` is safe elsewhere: move the cursor, durably, then unlink what it passed.

        Raises JournalFailed where the disk refuses; the journal then still holds everything, and committing again is
        safe. Raises ValueError for a sequence that was not handed out yet.
        """
        if next_sequence > self._walk.next_sequence:
            raise ValueError(f"sequence {next_sequence - 1} of journal {self.id} was not read yet")
        self._left += self._walk.left
        self._walk.left.clear()
        next_sequence = max(next_sequence, self._committed)
        passed = [left for left in self._left if left.end_sequence <= next_sequence]
        if next_sequence == self._committed and not passed:
            return
        try:
            self._quarantine.keep()
            store_cursor(self.path, Stamp(self._walk.journal_id, self._walk.salt, next_sequence))
            self._committed = next_sequence
            for left in passed:
                left.path.unlink(missing_ok=True)
            if passed:
                sync_directory(self.path)
        except OSError as error:
            raise JournalFailed("commit", self.path, error) from error
        self._left = [left for left in self._left if left.end_sequence > next_sequence]

    def tidy(self) -> None:
        """Unlink segments that were read to their end and committed before it was known that they end there.

        Raises JournalFailed.
        """
        if self._walk.left or self._left:
            self.commit(self._committed)

    def remove(self) -> None:
        """Remove a journal that ended and is committed to its end; the reader is closed then.

        The caller has noted what it must know of it, such as its last sequence. Raises JournalLive before the end,
        JournalFailed where the disk refuses.
        """
        if not self._ended or self._committed < self._walk.next_sequence:
            raise JournalLive(f"journal {self.path} has not been read and committed to its end: it stays")
        try:
            self._quarantine.keep()
            remove(self.path)
        except OSError as error:
            raise JournalFailed("remove it", self.path, error) from error
        self.close()

    def close(self) -> None:
        """Give the journal up; another reader may go on from the cursor. A second call does nothing."""
        self._walk.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _read(self, bytes_max: int) -> list[Record]:
        records: list[Record] = []
        taken_bytes = 0
        while taken_bytes < bytes_max and (frame := self._walk.step(live=self.live)):
            records += frame.records or ()
            more, more_bytes = self._walk.run(bytes_max - taken_bytes - frame.header.frame_bytes)
            records += more
            taken_bytes += frame.header.frame_bytes + more_bytes
        return records

    def _adopt(self) -> bool:
        self._lock = take_lock(self.path)
        return self._lock is not None
