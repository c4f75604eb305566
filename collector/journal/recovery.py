"""Recovery: what a whole journal holds, and what it has lost.

Called by the command line and by whoever takes a dead journal over and wants to know before reading. Must not change
the journal: a recovered segment is never appended to, nothing in it is repaired; its reader drains it as it is.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collector.errors import JournalFailed, JournalLive, JournalUnknown
from collector.journal.directory import is_journal, take_lock
from collector.journal.format import Record
from collector.journal.quarantine import Quarantine
from collector.journal.walk import Corruption, Walk


@dataclass(frozen=True, slots=True)
class Recovery:
    """The state of a journal's files, those below its cursor included that still lie there.

    missing: ranges of sequences (both ends included) that nothing holds, that were not committed, and that something
    after them proves to have existed. torn_bytes: the forgiven end. corruptions: where bytes hold no frame though they
    should. cursor: None where it is missing or damaged. next_sequence: one above the last sequence; below the cursor
    where a power loss took a tail that had been committed. kept: the copies.
    """

    frames: int
    records: int
    torn_bytes: int
    missing: tuple[tuple[int, int], ...]
    corruptions: tuple[Corruption, ...]
    cursor: int | None
    next_sequence: int
    kept: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, object]:
        """As `pixelgate journal check --json` prints it."""
        missing = [list(span) for span in self.missing]
        return {"frames": self.frames, "records": self.records, "torn_bytes": self.torn_bytes, "missing": missing}


def check(path: Path) -> Recovery:
    """Read a journal from its first byte to its last and tell what it holds; never writes, needs no lock.

    Of a live journal it tells the state of a moment: a group being written counts as torn. Raises JournalUnknown.
    """
    return _look(path, None)


def show(path: Path, sequence: int | None = None) -> Iterator[Record]:
    """The records that lie there, or the one with this sequence; never writes. Raises JournalUnknown."""
    walk = Walk(_known(path), everything=True)
    try:
        while frame := walk.step(live=False):
            for record in frame.records or ():
                if sequence in {None, record.sequence}:
                    yield record
    finally:
        walk.close()


def recover(path: Path, quarantine: Path) -> Recovery:
    """Adopt a dead journal for a moment, tell what it holds, and keep a copy of each damaged segment.

    Raises JournalUnknown; JournalLive where another process holds it; JournalFailed where no copy can be made. Nothing
    that the files hold makes it raise.
    """
    lock = take_lock(_known(path))
    if lock is None:
        raise JournalLive(f"journal {path} has a live writer or reader: only a dead one can be recovered")
    try:
        return _look(path, Quarantine(quarantine))
    except OSError as error:
        raise JournalFailed("recover it", path, error) from error
    finally:
        os.close(lock)


def _known(path: Path) -> Path:
    if not is_journal(path):
        raise JournalUnknown(f"there is no journal at {path}; its directory is named by 32 hex digits")
    return path


def _look(path: Path, quarantine: Quarantine | None) -> Recovery:
    found: list[Corruption] = []
    walk = Walk(_known(path), everything=True, on_corruption=found.append)
    try:
        while walk.step(live=False):
            pass
    finally:
        walk.close()
    if quarantine:
        for corruption in found:
            quarantine.note(corruption)
        quarantine.keep()
    return Recovery(
        walk.frames,
        walk.records,
        walk.torn_bytes,
        tuple(walk.missing),
        tuple(found),
        walk.cursor_sequence,
        walk.next_sequence,
        tuple(quarantine.kept) if quarantine else (),
    )
