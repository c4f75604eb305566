"""The writer: one worker's journal, from its start to its end.

Called by the tick's group, once a tick; `sync`, `prepare_spare` and `check_disk` may run in a thread beside it. Must
not read what it wrote, and never opens a journal that was there before: each process start makes its own.
"""

import contextlib
import errno
import os
import secrets
import shutil
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import Final

from collector.errors import (
    GroupTooLarge,
    JournalClosed,
    JournalError,
    JournalFailed,
    JournalFull,
    JournalSyncFailed,
)
from collector.journal.cursor import store_cursor
from collector.journal.directory import SPARE_NAME, make_locked, new_path, segment_first, segment_name, sync_directory
from collector.journal.format import (
    FIRST_SEQUENCE,
    FRAME_HEADER,
    PAYLOAD_BYTES_MAX,
    SEGMENT_BYTES,
    SEGMENT_MAGIC,
    STAMP,
    Stamp,
    encode_frame,
    encode_stamp,
    place_of,
    seed_of,
)

JOURNAL_BYTES_MAX: Final = 32 * 1024**3  # an hour and more at 10,000 hits/s of 700 bytes with nobody reading
READY_FILL_MAX: Final = 0.85  # above it readiness fails: the load balancer goes elsewhere while hits still fit
APPEND_FILL_MAX: Final = 0.95  # above it hits get 503: what is left belongs to the ledger and the consumers
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Durability(StrEnum):
    """What an answered hit has survived, named by its promise."""

    PROCESS = "process"  # kill -9 of everything
    DISK = "disk"  # and power loss


class Journal:
    """One worker's journal. Made by `create`; not thread safe but for what says so.

    id: 128 random bits, 32 hex digits; the directory's name and half of every event's id.
    next_sequence: that of the next hit appended; the first is 1.
    fill: 0.0 .. 1.0 and above, as of the last `check_disk`.
    """

    def __init__(self, path: Path, lock: int, durability: Durability, segment_bytes: int, bytes_max: int) -> None:
        self.id = path.name
        self.path = path
        self.durability = durability
        self.next_sequence = FIRST_SEQUENCE
        self.fill = 0.0
        self._lock = lock  # the directory's descriptor, too
        self._salt = secrets.token_bytes(16)
        self._segment_bytes = segment_bytes
        self._bytes_max = bytes_max
        self._frame_bytes_max = min(PAYLOAD_BYTES_MAX + FRAME_HEADER.size, segment_bytes - STAMP.size)
        self._segment = -1
        self._seed = 0
        self._offset = segment_bytes  # of the next frame; full, so that the first rotation is like any other
        self._begun = 0.0  # when the segment was begun, time.monotonic()
        self._spare = -1
        self._spare_failed = False
        self._spare_mutex = threading.Lock()
        self._unsynced = self._directory_unsynced = False
        # Why appending is refused; `_blocked` sums them up, so that the hot path looks at one thing.
        self._blocked = self._torn = self._poisoned = self._closed = False

    @classmethod
    def create(
        cls,
        journals_directory: Path,
        durability: Durability = Durability.PROCESS,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        bytes_max: int = JOURNAL_BYTES_MAX,
    ) -> "Journal":
        """Make a new journal, with its first segment ready, and hold its lock until `close` or death.

        bytes_max: the most that this journal may take on disk while nobody reads it. Raises JournalFull, JournalFailed.
        """
        if segment_bytes <= STAMP.size + FRAME_HEADER.size:
            raise ValueError(f"a segment of {segment_bytes} bytes holds no frame")
        path = journals_directory / secrets.token_hex(16)
        new = new_path(journals_directory, path.name)
        try:
            self = cls(path, make_locked(new), durability, segment_bytes, bytes_max)
            try:
                self.prepare_spare()
                self._rotate()
                store_cursor(new, Stamp(bytes.fromhex(self.id), self._salt, FIRST_SEQUENCE))
                new.rename(path)
                sync_directory(journals_directory)
                self.check_disk()
            except BaseException:
                self.close()
                raise
        except (OSError, JournalError) as error:
            shutil.rmtree(new, ignore_errors=True)
            if isinstance(error, OSError):
                raise _translated("create it", path, error) from error
            raise
        return self

    @property
    def payload_bytes_max(self) -> int:
        """The most bytes of records that one `append` takes."""
        return self._frame_bytes_max - FRAME_HEADER.size

    @property
    def ready(self) -> bool:
        """False from 85 % full on, where the next segment could not be had, or where nothing can be appended."""
        return self.fill < READY_FILL_MAX and not (self._spare_failed or self._torn or self._poisoned or self._closed)

    @property
    def room(self) -> bool:
        """False from 95 % full on: `append` refuses."""
        return self.fill < APPEND_FILL_MAX

    @property
    def wants_spare(self) -> bool:
        """True from half a segment on, and after `prepare_spare` failed, until it has run."""
        return self._spare < 0 and (self._spare_failed or self._offset * 2 > self._segment_bytes) and not self._closed

    def append(self, received_at_us: int, parts: list[bytes], hits: int) -> int:
        """Append one group as one frame by one write(); returns the sequence of its first hit.

        parts: the bytes of `hits` records (format.py), in pieces of any cut. On return the group survives kill -9; for
        `disk`, call `sync` before answering. Raises JournalFull, JournalFailed, JournalSyncFailed, JournalClosed,
        GroupTooLarge: nothing of the group will ever be read then, and every later append is safe.
        """
        if self._blocked:
            self._unblock()
        offset, first_sequence = self._offset, self.next_sequence
        frame = encode_frame(place_of(self._seed, offset), first_sequence, received_at_us, hits, parts)
        frame_bytes = len(frame)
        if offset + frame_bytes > self._segment_bytes or frame_bytes > self._frame_bytes_max or hits < 1:
            self._check_group(frame_bytes, hits)
            self._rotate()
            offset = self._offset
            frame = encode_frame(place_of(self._seed, offset), first_sequence, received_at_us, hits, parts)
        try:
            written = os.pwrite(self._segment, frame, offset)
            while written < frame_bytes:  # a disk that fills up takes a part first and errs on the rest
                written += os.pwrite(self._segment, memoryview(frame)[written:], offset + written)
        except OSError as error:
            self._torn = self._blocked = True
            self._take_back()
            raise _translated("append", self.path, error) from error
        self._offset = offset + frame_bytes
        self.next_sequence = first_sequence + hits
        self._unsynced = True
        return first_sequence

    def ages(self, seconds: float) -> bool:
        """Whether the segment has held records for longer than that, by when it was begun."""
        return self._offset > STAMP.size and time.monotonic() - self._begun > seconds

    def roll(self, seconds: float) -> bool:
        """Go on in the next segment where this one has held records for longer than `seconds`, traffic or none.

        So a segment that its reader is done with is unlinked within minutes on a quiet host too: what was deleted must
        not wait in it (I12). Call it where `append` is called, with `prepare_spare` done; nothing happens while a sync
        is owed. Raises JournalError, and then the next call tries again.
        """
        if not self.ages(seconds) or self._blocked or (self._unsynced and self.durability is Durability.DISK):
            return False
        self._rotate()
        return True

    def sync(self) -> None:
        """Make everything appended so far survive power loss. May run in a thread while nothing is appended.

        Raises JournalSyncFailed, once and for ever: after a failed fdatasync the kernel has dropped the pages it could
        not write and calls them clean, so a second try would succeed and prove nothing.
        """
        if self._poisoned:
            raise JournalSyncFailed(self.path)
        try:
            os.fdatasync(self._segment)
            if self._directory_unsynced:
                os.fsync(self._lock)
        except OSError as error:
            self._poisoned = self._blocked = True
            raise JournalSyncFailed(self.path, error) from error
        self._unsynced = self._directory_unsynced = False

    def prepare_spare(self) -> None:
        """Have the next segment ready, its space taken and its name durable. May run in a thread at any time.

        Raises JournalFull, JournalFailed: the journal is no longer `ready`, and the next rotation tries again.
        """
        with self._spare_mutex:
            if self._spare >= 0 or self._closed:
                return
            spare = -1
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                spare = os.open(SPARE_NAME, flags, 0o600, dir_fd=self._lock)
                os.posix_fallocate(spare, 0, self._segment_bytes)
                os.fsync(spare)
                os.fsync(self._lock)
            except OSError as error:
                self._spare_failed = True
                self._drop_spare(spare)
                raise _translated("prepare its next segment", self.path, error) from error
            self._spare, self._spare_failed = spare, False

    def check_disk(self) -> float:
        """Measure how full the disk, or this journal's share of it, is; call it once a second. Raises OSError.

        Returns the greater of both, 0.0 .. 1.0 and above. May run in a thread.
        """
        disk = os.statvfs(self._lock)
        used = disk.f_blocks - disk.f_bfree  # as `df` counts: of what a process without privileges may use
        segments = sum(name == SPARE_NAME or segment_first(name) is not None for name in os.listdir(self._lock))
        self.fill = max(used / max(used + disk.f_bavail, 1), segments * self._segment_bytes / self._bytes_max)
        if not self.room:  # only ever towards refusing, since this may run in a thread: the next append finds out
            self._blocked = True
        return self.fill

    def close(self) -> None:
        """Give unused space and the lock back: readers may take the journal to its end. A second call does nothing."""
        if self._closed:
            return
        self._closed = self._blocked = True
        with self._spare_mutex:
            self._drop_spare(self._spare)
            self._spare = -1
        if self._segment >= 0:
            with contextlib.suppress(OSError):  # space that is not given back now goes with the directory
                os.ftruncate(self._segment, self._offset)
            os.close(self._segment)
        os.close(self._lock)

    def _rotate(self) -> None:
        """Go on in the next segment. Where that fails nothing has changed, and the next append tries again."""
        if self._unsynced and self.durability is Durability.DISK:
            self.sync()
        self.prepare_spare()
        stamp = Stamp(bytes.fromhex(self.id), self._salt, self.next_sequence)
        with self._spare_mutex:
            try:
                os.pwrite(self._spare, encode_stamp(SEGMENT_MAGIC, stamp), 0)
                name = segment_name(self.next_sequence)
                os.rename(SPARE_NAME, name, src_dir_fd=self._lock, dst_dir_fd=self._lock)
            except OSError as error:
                raise _translated("start its next segment", self.path, error) from error
            filled, self._segment, self._spare = self._segment, self._spare, -1
        self._offset, self._seed, self._begun = STAMP.size, seed_of(stamp), time.monotonic()
        self._directory_unsynced = True
        if filled >= 0:
            os.close(filled)

    def _unblock(self) -> None:
        """Find out whether appending can go on; raises what stands against it."""
        if self._closed:
            raise JournalClosed(f"journal {self.path} is closed")
        if self._poisoned:
            raise JournalSyncFailed(self.path)
        if self._torn:
            self._take_back()
            if self._torn:
                raise JournalFailed("undo a failed append", self.path, OSError(errno.EIO, "see the system's log"))
        if not self.room:
            raise JournalFull(
                f"journal {self.path} is {self.fill:.1%} full, hits get 503 from {APPEND_FILL_MAX:.0%} on; "
                "see `pixelgate journal check` for what its reader still owes, and free space"
            )
        self._blocked = False

    def _take_back(self) -> None:
        """Cut off what a failed append left, so that it is never read and the next frame follows the last good one."""
        try:
            os.ftruncate(self._segment, self._offset)
        except OSError:  # still torn: the caller raises, and each append tries this again before it writes
            return
        self._torn = False
        self._blocked = self._poisoned or self._closed or not self.room
        with contextlib.suppress(OSError):  # where the space cannot be had again, the next write says so
            os.posix_fallocate(self._segment, 0, self._segment_bytes)

    def _check_group(self, frame_bytes: int, hits: int) -> None:
        if hits < 1:
            raise ValueError(f"a group has at least one hit, not {hits}")
        if frame_bytes > self._frame_bytes_max:
            raise GroupTooLarge(frame_bytes - FRAME_HEADER.size, self.payload_bytes_max)

    def _drop_spare(self, spare: int) -> None:
        if spare >= 0:
            os.close(spare)
            with contextlib.suppress(OSError):  # the next spare truncates it, or it goes with the directory
                os.unlink(SPARE_NAME, dir_fd=self._lock)


def _translated(what: str, path: Path, error: OSError) -> JournalError:
    if error.errno in _NO_ROOM:
        return JournalFull(f"journal {path}: no room to {what}: {error.strerror}; hits get 503 until there is")
    return JournalFailed(what, path, error)
