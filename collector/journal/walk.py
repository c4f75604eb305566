"""The walk: through a journal's segments in order of sequence, frame by frame, telling damage from "not yet".

Called by the reader (which follows or drains) and by recovery (which reports). The only place that decides what bytes
that are no frame mean:

- in the segment that is being written: not yet;
- at the end of the last segment of a dead journal: torn, a group nobody was answered for, or a tail that a power loss
  took: forgiven;
- anywhere else: damage. The walk goes on at the next frame that holds and tells which sequences are missing.

Must not raise for anything that a file holds, return a record twice, or write.
"""

import contextlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from collector.journal.cursor import load_cursor
from collector.journal.directory import segment_first
from collector.journal.format import FIRST_SEQUENCE, STAMP, Record
from collector.journal.segment import Frame, Segment, read_stamp


@dataclass(frozen=True, slots=True)
class Corruption:
    """Bytes of a segment that hold no frame though they should."""

    segment: Path
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Left:
    """A segment with nothing more to read: every record in it has a sequence below `end_sequence`."""

    path: Path
    end_sequence: int


class Walk:
    """Where a reading of one journal stands.

    next_sequence: the lowest that may still come. missing: ranges that nothing held, ascending, both ends included.
    left: segments passed. torn_bytes: of the forgiven tail, once the end was reached. Its user may empty both lists.
    """

    def __init__(
        self, directory: Path, *, everything: bool = False, on_corruption: Callable[[Corruption], None] | None = None
    ) -> None:
        """Begin at the cursor, or at the oldest segment where there is no good one or `everything` is asked for.

        What is missing below the cursor is not told: it had been taken over before it was lost.
        """
        cursor = load_cursor(directory)
        self.directory = directory
        self.journal_id = bytes.fromhex(directory.name)
        self.salt = cursor.salt if cursor else b""
        self.cursor_sequence = cursor.sequence if cursor else None
        self.frames = self.records = self.torn_bytes = 0
        self.missing: list[tuple[int, int]] = []
        self.left: list[Left] = []
        self._on_corruption = on_corruption
        self._firsts: dict[str, int] = {}  # by file name, where a sound header told it
        self._visited: set[str] = set()
        self._segment: Segment | None = None
        self._offset = 0
        self._ended = False
        unvisited = self._unvisited(live=False)
        oldest = unvisited[0][0] if unvisited else FIRST_SEQUENCE
        self._floor = cursor.sequence if cursor else oldest
        self.next_sequence = min(oldest, self._floor) if everything else self._floor

    def close(self) -> None:
        if self._segment:
            self._segment.close()
            self._segment = None

    def step(self, *, live: bool) -> Frame | None:
        """The next frame that holds a sequence not seen yet; None: nothing yet if `live`, nothing ever again if not.

        live: the journal has a writer. Pass False once its lock is held, or to take a look at what is there now.
        """
        while not self._ended:
            segment = self._segment or self._enter_next(live=live)
            if segment is None:
                self._ended = not live
                return None
            frame = segment.frame_at(self._offset, self.next_sequence)
            if frame is None:
                last = not self._follows(segment, live=live)
                if last and live:
                    return None
                # What was added to this segment was there before the next one had its name, and before the writer died:
                # so this second look is the last one needed.
                frame = segment.frame_at(self._offset, self.next_sequence)
            if frame is None:
                self._pass_damage(segment, last=last)
                continue
            self._offset = frame.end
            if frame.records is not None:
                return self._take(frame, frame.records)
        return None

    def run(self, bytes_max: int) -> tuple[list[Record], int]:
        """The records of the frames that come next without anything to be decided, and their bytes; both may be none.

        What `step` would give one by one, as far as it was read already.
        """
        if self._segment is None:
            return [], 0
        run = self._segment.run_at(self._offset, self.next_sequence, bytes_max)
        taken_bytes, self._offset = run.end - self._offset, run.end
        self.next_sequence += len(run.records)
        self.frames += run.frames
        self.records += len(run.records)
        return run.records, taken_bytes

    def _take(self, frame: Frame, records: list[Record]) -> Frame:
        self._miss_until(frame.header.first_sequence)
        if frame.header.first_sequence < self.next_sequence:
            records = [record for record in records if record.sequence >= self.next_sequence]
            frame = frame._replace(records=records)
        self.next_sequence = frame.header.last_sequence + 1
        self.frames += 1
        self.records += len(records)
        return frame

    def _miss_until(self, sequence: int) -> None:
        """Everything from where the walk stands up to this sequence is missing, but for what had been taken over."""
        first = max(self.next_sequence, self._floor)
        if first < sequence:
            if self.missing and self.missing[-1][1] == first - 1:
                first = self.missing.pop()[0]
            self.missing.append((first, sequence - 1))
        self.next_sequence = max(self.next_sequence, sequence)

    def _pass_damage(self, segment: Segment, *, last: bool) -> None:
        """Go on behind what is no frame: at the next frame, in the next segment, or at the end."""
        found = segment.find_frame(self._offset)
        used = segment.used_bytes(self._offset) if found is None else found - self._offset
        if last and found is None and not segment.foreign:
            self._ended, self.torn_bytes = True, used
            return
        if used and self._on_corruption:
            self._on_corruption(Corruption(segment.path, self._offset, used))
        if found is not None:
            self._offset = found
            return
        self.left.append(Left(segment.path, self.next_sequence))
        self.close()

    def _enter_next(self, *, live: bool) -> Segment | None:
        """Open the next segment that may hold something new; None where there is none."""
        while unvisited := self._unvisited(live=live):
            first, name = unvisited[0]
            self._visited.add(name)
            if len(unvisited) > 1 and first < unvisited[1][0] <= self.next_sequence:
                self.left.append(Left(self.directory / name, unvisited[1][0]))
                continue
            try:
                self._segment = segment = self._open(name)
            except FileNotFoundError:  # its reader is ahead of this look at a live journal
                cursor = load_cursor(self.directory)
                self._floor = max(self._floor, cursor.sequence if cursor else 0)
                continue
            # A header that is not ours is damage like any other, and what resync finds behind it counts.
            self._offset = STAMP.size if segment.ours else 0
            if not segment.foreign:
                self._miss_until(first)
            return segment
        return None

    def _follows(self, segment: Segment, *, live: bool) -> bool:
        """Tell whether another segment follows, so that nothing is added to this one any more."""
        unvisited = self._unvisited(live=live)
        if live:  # a copy of an older segment under a new name proves nothing about the writer
            return any(first >= self.next_sequence and first > segment.first_sequence for first, _ in unvisited)
        return bool(unvisited)

    def _identify(self, name: str, by_name: int) -> None:
        """Note which sequence a segment begins with, if its header is sound."""
        stamp = read_stamp(self.directory / name)
        if stamp is None or stamp.journal_id != self.journal_id:
            return
        self.salt = self.salt or stamp.salt
        if stamp.sequence == by_name:
            self._firsts[name] = by_name
            return
        with contextlib.suppress(FileNotFoundError), closing(self._open(name)) as segment:
            if segment.ours:
                self._firsts[name] = segment.first_sequence

    def _open(self, name: str) -> Segment:
        return Segment(self.directory / name, self.journal_id, self.salt)

    def _unvisited(self, *, live: bool) -> list[tuple[int, str]]:
        """(first sequence, file name) of each segment not entered yet, in order.

        live: up to the last with a sound header, since the writer gives a segment its header before its name: what
        comes behind that is no sign that the writer has gone on.
        """
        found = []
        with os.scandir(self.directory) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
        for name in names:
            by_name = segment_first(name)
            if by_name is None or name in self._visited:
                continue
            if name not in self._firsts:
                self._identify(name, by_name)
            found.append((self._firsts.get(name, by_name), name))
        found.sort()
        while live and found and found[-1][1] not in self._firsts:
            found.pop()
        return found
