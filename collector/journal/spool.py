"""Spool: every journal of a directory, live ones followed and dead ones drained, each read on from its own cursor.

Called by the one reader a data directory has: the embedded consumer's source, or the publisher. Journals are met oldest
first and then read in turn, so that a dead worker's long backlog does not hold up what comes in now. Reading may run
ahead of the cursors as far as the caller cares to remember; each journal is committed by itself. What cannot be read is
set aside for a while and the others go on. Not thread safe: one call at a time.
"""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from collector.errors import JournalError
from collector.journal.cursor import load_cursor
from collector.journal.directory import is_journal, segment_first, sweep
from collector.journal.format import STAMP
from collector.journal.reader import BATCH_BYTES, Batch, JournalReader
from collector.journal.segment import Segment

DISCOVER_SECONDS: Final = 0.25
"""Between two looks for new journals; no hit of a new worker waits for longer than that to be seen."""

ASIDE_SECONDS: Final = 10.0
"""How long a journal that cannot be read (a disk's error, a wrong owner) is left alone; the others go on."""

FAULTS_MAX: Final = 100
LOG: Final = logging.getLogger("pixelgate.journal")
_BEYOND: Final = 2**63  # above every sequence: frames are passed by their headers


class Spool:
    """The journals below one directory. faults: what an operator should know, each told once, FAULTS_MAX at most."""

    def __init__(self, journals: Path, quarantine: Path) -> None:
        """quarantine: a directory for copies of damaged segments."""
        self.journals = journals
        self.faults: list[str] = []
        self._quarantine = quarantine
        self._readers: dict[str, JournalReader] = {}
        self._aside: dict[str, float] = {}  # until when a journal is left alone
        self._turn = 0
        self._discovered_at = float("-inf")

    def __len__(self) -> int:
        """How many journals are open."""
        return len(self._readers)

    def __contains__(self, journal: str) -> bool:
        return journal in self._readers

    def discover(self) -> None:
        """Open readers for journals that are new; where nothing is known yet, tidy up first. Raises OSError."""
        if time.monotonic() - self._discovered_at < DISCOVER_SECONDS:
            return
        if not self._readers:
            sweep(self.journals)
        self._discovered_at = now = time.monotonic()
        new = [path for path in self.journals.iterdir() if path.name not in self._readers and is_journal(path)]
        for path in sorted(new, key=_last_written):
            if self._aside.get(path.name, now) <= now:
                try:
                    self._readers[path.name] = JournalReader(path, self._quarantine)
                except (OSError, JournalError) as error:
                    self._set_aside(path.name, error)

    def in_turn(self) -> list[str]:
        """Return the open journals; each call begins with another one."""
        journals = list(self._readers)
        self._turn = (self._turn + 1) % max(1, len(journals))
        return journals[self._turn :] + journals[: self._turn]

    def read(self, journal: str, bytes_max: int = BATCH_BYTES) -> Batch | None:
        """Read a journal's next records as `JournalReader.read` does; None where it cannot be read now.

        Where it then stands is unsure: its reader must be given up (`drop`) once what it gave before is committed, and
        it begins anew at its cursor after ASIDE_SECONDS.
        """
        try:
            batch = self._readers[journal].read(bytes_max)
        except OSError as error:
            self._set_aside(journal, error)
            return None
        self._note(journal, batch.missing)
        return batch

    def next_sequence(self, journal: str) -> int:
        """The next sequence that a read of this journal gives."""
        return self._readers[journal].next_sequence

    def commit(self, journal: str, next_sequence: int) -> None:
        """Everything of the journal below `next_sequence` is safe elsewhere. Raises JournalFailed."""
        self._readers[journal].commit(next_sequence)

    def tidy(self) -> None:
        """Unlink every segment that is done with, though nothing came since to be committed. Raises JournalFailed."""
        for reader in list(self._readers.values()):
            reader.tidy()

    def remove(self, journal: str) -> None:
        """Commit a journal that ended to its end, and remove it. Raises JournalFailed, JournalLive."""
        reader = self._readers[journal]
        reader.commit(reader.next_sequence)
        reader.remove()
        del self._readers[journal]

    def drop(self, journal: str) -> None:
        """Give a journal's reader up; it begins anew at its cursor."""
        self._readers.pop(journal).close()

    def rewind(self) -> None:
        """Begin anew at every journal's cursor; also the way to let go of all files."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._discovered_at = float("-inf")

    def _set_aside(self, journal: str, error: Exception) -> None:
        self._aside[journal] = time.monotonic() + ASIDE_SECONDS
        self._fault(f"journal {journal} cannot be read now: {error}; its hits wait in it")

    def _note(self, journal: str, missing: Sequence[tuple[int, int]]) -> None:
        for first, last in missing:
            self._fault(
                f"journal {journal} is corrupt: hits {first} to {last} are missing; "
                f"the damaged segment is kept in {self._quarantine}"
            )

    def _fault(self, text: str) -> None:
        if text not in self.faults and len(self.faults) < FAULTS_MAX:
            self.faults.append(text)
            LOG.warning(text)


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


def _last_written(path: Path) -> int:
    """When a journal was last written to, in nanoseconds; a journal that goes just now is the oldest."""
    try:
        return max((entry.stat().st_mtime_ns for entry in os.scandir(path) if segment_first(entry.name)), default=0)
    except FileNotFoundError:
        return 0
