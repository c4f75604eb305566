"""A journal's directory: its names, its lock, and how one comes into being and goes.

Called by the writer and the reader. Knows names and locks, never what a segment holds. The lock is a flock on the
directory itself: whoever holds it is the journal's writer or, once that is dead, the one reader that adopted it; the
kernel frees it at any death. A child forked without exec would share it: workers do not fork.
"""

import errno
import fcntl
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SEGMENT_SUFFIX: Final = ".segment"
SPARE_NAME: Final = "spare"  # the next segment, preallocated, nameless until its first sequence is known
CURSOR_NAME: Final = "cursor"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_SEGMENT: Final = re.compile(r"([0-9]{20})\.segment")
_MAKE_ATTEMPTS_MAX: Final = 3
_NEW, _GONE = ".new-", ".gone-"
_SEQUENCE_MAX: Final = 2**63  # a name above it was not given by a writer


@dataclass(frozen=True, slots=True)
class JournalInfo:
    """A journal that lies in the data directory. `live`: some process holds its lock, as its writer or its adopter."""

    id: str
    path: Path
    live: bool


def segment_name(first_sequence: int) -> str:
    """The file name of the segment whose first hit has this sequence; names sort as their sequences do."""
    return f"{first_sequence:020d}{SEGMENT_SUFFIX}"


def segment_first(name: str) -> int | None:
    """The first sequence that a segment's name tells; None for any other file."""
    match = _SEGMENT.fullmatch(name)
    first = int(match[1]) if match else None
    return first if first is not None and 0 < first < _SEQUENCE_MAX else None


def is_journal(path: Path) -> bool:
    """Tell whether the path is a journal's, by its name."""
    return _ID.fullmatch(path.name) is not None and path.is_dir()


def take_lock(path: Path) -> int | None:
    """Take the directory's lock: its descriptor, or None where another process holds it. Close it to give it back."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def journals(journals_directory: Path) -> list[JournalInfo]:
    """Every journal in the directory, by id. A dead one that is asked about elsewhere just now may look live."""
    found = []
    for path in sorted(journals_directory.iterdir()):
        if is_journal(path):
            try:
                descriptor = take_lock(path)
            except FileNotFoundError:  # its reader removed it meanwhile
                continue
            found.append(JournalInfo(path.name, path, live=descriptor is None))
            if descriptor is not None:
                os.close(descriptor)
    return found


def new_path(journals_directory: Path, journal_id: str) -> Path:
    """Where a journal is made before anyone may see it."""
    return journals_directory / f"{_NEW}{journal_id}"


def make_locked(path: Path) -> int:
    """Make a directory and take its lock. A sweeper may take it away between the two; then it is made again."""
    for _ in range(_MAKE_ATTEMPTS_MAX):
        path.mkdir(mode=0o700)
        try:
            lock = take_lock(path)
        except FileNotFoundError:
            continue
        if lock is not None:
            return lock
        shutil.rmtree(path, ignore_errors=True)
    raise OSError(errno.EBUSY, "another process keeps taking its new directory", str(path))


def remove(path: Path) -> None:
    """Remove a journal whose lock the caller holds. It is gone from sight at once; what cannot be deleted is swept."""
    gone = path.with_name(f"{_GONE}{path.name}")
    path.rename(gone)
    sync_directory(path.parent)
    shutil.rmtree(gone, ignore_errors=True)


def sweep(journals_directory: Path) -> int:
    """Remove what died while it was being made or removed; returns how many. Journals are not touched."""
    swept = 0
    for path in journals_directory.iterdir():
        if path.name.startswith((_NEW, _GONE)) and path.is_dir():
            try:
                descriptor = take_lock(path)
            except FileNotFoundError:
                continue
            if descriptor is not None:
                shutil.rmtree(path, ignore_errors=True)  # another sweeper may be at it; the next one sees the rest
                os.close(descriptor)
                swept += 1
    return swept


def sync_directory(path: Path) -> None:
    """Make names durable: files created, renamed or unlinked in this directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
