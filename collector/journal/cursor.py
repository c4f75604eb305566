"""The cursor: up to where a journal's records have been taken over for good by whoever reads it.

One number, the next sequence to read, in a file beside the segments, under a checksum. Written by the reader alone (the
writer leaves the first one). Where it is missing or bad, reading starts at the oldest segment: what was read twice is
told by its sequence.
"""

import os
from pathlib import Path

from collector.journal.directory import CURSOR_NAME, sync_directory
from collector.journal.format import CURSOR_MAGIC, STAMP, Stamp, decode_stamp, encode_stamp


def load_cursor(directory: Path) -> Stamp | None:
    """The journal's cursor; None where it is missing, damaged or another journal's."""
    try:
        with (directory / CURSOR_NAME).open("rb") as file:
            stamp = decode_stamp(CURSOR_MAGIC, file.read(STAMP.size + 1))
    except OSError:
        return None
    return stamp if stamp and stamp.journal_id.hex() == directory.name else None


def store_cursor(directory: Path, stamp: Stamp) -> None:
    """Replace the cursor; durable on return. Raises OSError, and then the old cursor still stands, or the new one."""
    temporary = directory / f"{CURSOR_NAME}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, encode_stamp(CURSOR_MAGIC, stamp))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(directory / CURSOR_NAME)
    sync_directory(directory)
