"""One segment file, read: the frame at an offset, the next frame after damage, the last byte in use.

Called by the walk. Must not judge: whether bytes that are no frame are damage or not written yet is told by what lies
around the segment. It reads by pread, never by mmap: a writer that takes a failed append back shortens the file, and a
map would answer that with SIGBUS.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from collector.errors import FrameInvalid
from collector.journal.directory import segment_first
from collector.journal.format import (
    FIRST_SEQUENCE,
    FRAME_HEADER,
    MARKER,
    SEGMENT_MAGIC,
    STAMP,
    FrameHeader,
    Record,
    Stamp,
    decode_frame,
    decode_frame_header,
    decode_stamp,
    place_of,
    seed_of,
)

BLOCK_BYTES: Final = 4096  # what is given up around an unreadable byte
WINDOW_BYTES: Final = 256 * 1024  # at a live journal's end most of it is read for nothing; larger ones were no faster


class Frame(NamedTuple):
    """A frame that holds: every checksum right and every record whole. `records` is None where it was only passed."""

    header: FrameHeader
    end: int  # the offset right after it
    records: list[Record] | None


def read_stamp(path: Path) -> Stamp | None:
    """A segment's header; None where it is short, damaged or the file is gone."""
    try:
        with path.open("rb", buffering=0) as file:
            return decode_stamp(SEGMENT_MAGIC, file.read(STAMP.size))
    except OSError:
        return None


class Run(NamedTuple):
    """Frames that follow each other without a gap, all of which hold. end: the offset right after the last."""

    records: list[Record]
    frames: int
    end: int


class Segment:
    """An open segment. Where its header is damaged, its name and the journal's salt stand in for it.

    ours: the header is sound and this segment's. foreign: it is another journal's. first_sequence: as the header says,
    or the name; where they disagree (a segment renamed, or a stale header), as its frames bear out.
    """

    def __init__(self, path: Path, journal_id: bytes, salt: bytes) -> None:
        """Raises OSError where the file cannot be opened."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._window, self._window_at = b"", 0
        stamp = read_stamp(path)
        named = Stamp(journal_id, salt, segment_first(path.name) or FIRST_SEQUENCE)
        self.foreign = stamp is not None and stamp.journal_id != journal_id
        if stamp is None or self.foreign:
            self.ours = False
            self.first_sequence, self._seed = named.sequence, seed_of(named)
        else:
            named = replace(named, salt=stamp.salt)
            self.ours = named == stamp or (not self._borne_out(named) and self._borne_out(stamp))
            chosen = stamp if self.ours else named
            self.first_sequence, self._seed = chosen.sequence, seed_of(chosen)

    def close(self) -> None:
        os.close(self._descriptor)

    def frame_at(self, offset: int, from_sequence: int = 0) -> Frame | None:
        """The frame that begins at `offset`, as the file is now; None where none does.

        A frame that ends before `from_sequence` is passed by its header: neither read nor proved.
        """
        return self._frame_in_window(offset, from_sequence) or self._frame_read_anew(offset, from_sequence)

    def run_at(self, offset: int, from_sequence: int, bytes_max: int) -> Run:
        """Frames from `offset` on that lie in memory, the first with exactly this sequence, up to `bytes_max`.

        The short way of `frame_at`, since small frames are many: it ends, with nothing at the worst, at whatever would
        have to be read, thought about or doubted. The frame that passes `bytes_max` is the last one.
        """
        records: list[Record] = []
        window, window_at, seed = self._window, self._window_at, self._seed
        frames, at, next_sequence = 0, offset - window_at, from_sequence
        stop = at + bytes_max
        while 0 <= at < stop:
            header = decode_frame_header(place_of(seed, window_at + at), window, at)
            if header is None or header.first_sequence != next_sequence:
                break
            end = at + FRAME_HEADER.size + header.payload_bytes
            try:
                records += decode_frame(header, window[at + FRAME_HEADER.size : end])
            except FrameInvalid:  # damaged, or not all of it lies in memory
                break
            frames, at, next_sequence = frames + 1, end, next_sequence + header.hits
        return Run(records, frames, window_at + at)

    def find_frame(self, offset: int) -> int | None:
        """Resync: where the first frame from `offset` on begins; None where there is none.

        A marker inside a damaged payload costs one small read: only a header whose checksum holds leads further.
        """
        while chunk := self._pread(WINDOW_BYTES, offset):
            at = chunk.find(MARKER)
            while at >= 0:
                if self._frame_read_anew(offset + at, 0):
                    return offset + at
                at = chunk.find(MARKER, at + 1)
            if len(chunk) < len(MARKER):
                return None
            offset += len(chunk) - len(MARKER) + 1  # a marker may lie across two chunks
        return None

    def used_bytes(self, offset: int) -> int:
        """How many bytes from `offset` on hold anything: up to the last one that is not zero."""
        used, at = 0, offset
        while chunk := self._pread(WINDOW_BYTES, at):
            if kept := len(chunk.rstrip(b"\0")):
                used = at + kept - offset
            at += len(chunk)
        return used

    def _borne_out(self, stamp: Stamp) -> bool:
        """Tell whether the segment holds a frame that was written under this stamp."""
        self._seed = seed_of(stamp)
        return self.find_frame(STAMP.size) is not None

    def _pread(self, length: int, offset: int) -> bytes:
        """Read; blocks that the disk cannot give any more read as zeros, so that they are damage like any other."""
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError:
            length = min(length, os.fstat(self._descriptor).st_size - offset)
        if length <= BLOCK_BYTES:
            return bytes(max(length, 0))
        cuts = range(offset, offset + length, BLOCK_BYTES)
        return b"".join(self._pread(min(BLOCK_BYTES, offset + length - cut), cut) for cut in cuts)

    def _frame_read_anew(self, offset: int, from_sequence: int) -> Frame | None:
        # The header alone first: at a live journal's end there is nothing behind it but space.
        place = place_of(self._seed, offset)
        header = decode_frame_header(place, self._pread(FRAME_HEADER.size, offset))
        if header is None:
            return None
        self._window_at = offset
        self._window = self._pread(max(WINDOW_BYTES, header.frame_bytes), offset)
        return self._frame_in_window(offset, from_sequence)

    def _frame_in_window(self, offset: int, from_sequence: int) -> Frame | None:
        at = offset - self._window_at
        if at < 0:
            return None
        header = decode_frame_header(place_of(self._seed, offset), self._window, at)
        if header is None:
            return None
        end = offset + header.frame_bytes
        if header.last_sequence < from_sequence:
            return Frame(header, end, None)
        try:
            payload = self._window[at + FRAME_HEADER.size : at + header.frame_bytes]
            return Frame(header, end, decode_frame(header, payload))
        except FrameInvalid:
            return None
