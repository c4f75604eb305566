"""SavedMap: a worker's map of accounts on its disk, for a start at which nothing else can be asked.

Written by a feed as it loads and follows (`begin`, `page`, `stand`, `change`), read once at a start (`load`). It is a
cache that may be lost at any time: the map it gives is one that did hold, an older one, and a worker believes no map
without a lease. So nothing here waits for a disk: no fsync on the worker's loop. After a power loss the file may end
early or be gone; the checksums find where, and what is before it counts (`map_file.py` has the layout).

Writing never hurts the worker: an error is logged once and counted, and saving stops until the next `begin`, which
`wants_compaction` asks for. A file is replaced only once the new one stands.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from gating.clock import boot_ns
from gating.feed import Follower
from gating.map_file import BEGIN, CHANGE, PAGE, PAGE_BYTES, STAND, VERSION, Standing, encode, frames, pages

COMPACT_BYTES_MIN: Final = 8 * 1024**2
"""Some 40,000 changes: below that a new base costs more than it saves."""
RETRY_NS: Final = 60_000_000_000
"""After an error a new base is asked for once a minute has passed: it costs a reading of the whole state."""
CHECK_BYTES: Final = 1024**2
"""Checked in one go while a map is looked through: half a millisecond."""
CHANGES_MAX: Final = 200
"""Single changes taken over in one go while a map is loaded."""

_log = logging.getLogger("pixelgate.gating")


class SavedMap:
    """One worker slot's file. One process at a time writes it; two that do replace each other's, never mix them.

    failures: how often saving has stopped because of an error.
    """

    def __init__(self, path: Path, *, boot_ns: Callable[[], int] = boot_ns) -> None:
        self._path = path
        self._boot_ns = boot_ns
        self._temporary = path.with_name(f"{path.name}.new-{os.getpid()}")
        self._file: int | None = None
        self._is_base = False  # the open file is still under its temporary name
        self._size = 0
        self._base_size = 0
        self._loaded: Standing | None = None  # what was loaded and can be gone on with
        self._failed_ns: int | None = None
        self._told = False
        self.failures = 0

    # ---- at a start -------------------------------------------------------------------------------------------------

    async def load(self, follower: Follower) -> bool:
        """Move the follower to the saved map: its epoch, its entries, where it stood. False where there is none.

        Holds the loop for about 1 ms at a time. A follower is touched only where a map that stands was found; changes
        that come next may be added to the file. Never raises for what the file holds or for what the disk says.
        """
        try:
            with self._path.open("rb", buffering=CHECK_BYTES) as file:
                standing = Standing()
                for _ in _checked(file, standing):
                    await asyncio.sleep(0)
                if not standing.end:
                    return False
                file.seek(0)
                for _ in _replayed(file, standing.end, follower):
                    await asyncio.sleep(0)
        except FileNotFoundError:
            return False
        except (OSError, ValueError) as error:  # unreadable now, or from a release whose changes read otherwise
            _log.warning("the saved map %s cannot be used: %s", self._path, error)
            follower.restart("")
            return False
        self._loaded = standing
        return True

    # ---- while the feed follows -------------------------------------------------------------------------------------

    def begin(self, epoch: str) -> None:
        """Begin a new map, beside the one there is; `stand` puts it in that one's place."""
        self._drop()
        self._loaded = None
        try:
            for left in self._path.parent.glob(f"{self._path.name}.new-*"):
                left.unlink(missing_ok=True)  # of a process that died while it paged
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._temporary, flags, 0o600)
            self._is_base, self._size, self._base_size, self._failed_ns = True, 0, 0, None
        except OSError as error:
            self._fail(error)
            return
        self._append(BEGIN, epoch.encode())

    def page(self, changes: Sequence[bytes]) -> None:
        """Add changes, encoded, that are part of a map which does not stand (any more) until the next `stand`.

        A feed that has missed changes says so by this, be it with no change at all, before it goes on with `change`.
        """
        self._resume()
        try:
            for payload in pages(changes):
                self._append(PAGE, payload)
        except ValueError as error:
            self._fail(error)

    def stand(self, version: int) -> None:
        """Everything up to `version` has been said: from here on a start can use this map."""
        self._resume()
        self._append(STAND, VERSION.pack(version))
        if self._is_base and self._file is not None:
            try:
                self._temporary.rename(self._path)
            except OSError as error:
                self._fail(error)
                return
            self._is_base, self._base_size, self._told = False, self._size, False

    def change(self, change: bytes, version: int) -> None:
        """Add one change, encoded, which moves the map to `version`."""
        self._resume()
        self._append(CHANGE, VERSION.pack(version) + change)

    def close(self) -> None:
        """Stop writing; what stands stays."""
        self._drop()
        self._loaded = None

    @property
    def wants_compaction(self) -> bool:
        """Tell whether the feed should page the state anew (`begin`, `page`, `stand`), while it goes on following.

        So the file stays within twice its base, or its base and COMPACT_BYTES_MIN; and saving that an error stopped is
        tried again.
        """
        if self._failed_ns is not None:
            return self._boot_ns() - self._failed_ns >= RETRY_NS
        return not self._is_base and self._size - self._base_size > max(self._base_size, COMPACT_BYTES_MIN)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _append(self, kind: int, payload: bytes) -> None:
        """Write one frame, where a file is open."""
        if self._file is None:
            return
        try:
            frame = encode(self._size, kind, payload)
            written = os.pwrite(self._file, frame, self._size)
            if written < len(frame):  # what is left of it is a torn frame
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except (OSError, ValueError) as error:
            self._fail(error)
            return
        self._size += len(frame)

    def _resume(self) -> None:
        """Go on with the file that was loaded, behind the last frame at which it stood."""
        if self._loaded is None:
            return
        standing, self._loaded = self._loaded, None
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.ftruncate(self._file, standing.end)
        except OSError as error:
            self._fail(error)
            return
        self._is_base, self._size, self._base_size = False, standing.end, standing.base_end

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        self._failed_ns = self._boot_ns()
        if not self._told:
            self._told = True
            _log.warning("the map is not saved to %s for now: %s; a start without the feed uses an older one, or none",
                         self._path, error)  # fmt: skip
        self._drop()

    def _drop(self) -> None:
        """Close the file; one that never stood goes."""
        file, self._file = self._file, None
        if file is None:
            return
        with contextlib.suppress(OSError):  # a late write error: the checksums tell what is missing
            os.close(file)
        if self._is_base:
            self._is_base = False
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)


def _checked(file: BinaryIO, standing: Standing) -> Iterator[None]:
    """Look all frames through; yields where the loop may go on."""
    paused = 0
    for frame in frames(file):
        standing.meet(frame)
        if frame.end - paused >= CHECK_BYTES:
            paused = frame.end
            yield


def _replayed(file: BinaryIO, end: int, follower: Follower) -> Iterator[None]:
    """Hand all frames up to `end` to the follower; yields where the loop may go on. Raises ValueError, OSError."""
    waiting: list[bytes] = []  # single changes, so that they are taken over by the page too
    size = stood_at = 0
    standing = Standing()
    for frame in frames(file, end):
        stands = standing.meet(frame)
        if frame.kind == BEGIN:
            follower.restart(frame.payload.decode())
            continue
        if stands:
            stood_at = max(stood_at, *VERSION.unpack_from(frame.payload))
        if frame.kind == CHANGE:
            waiting.append(frame.payload[VERSION.size :])
            size += len(frame.payload)
        if waiting and (frame.kind != CHANGE or frame.end == end or len(waiting) >= CHANGES_MAX or size >= PAGE_BYTES):
            follower.apply_page(waiting)
            waiting, size = [], 0
            yield
        if frame.kind == PAGE and frame.payload:
            follower.apply_page(frame.payload.split(b"\n"))
            yield
    follower.stand(stood_at)
