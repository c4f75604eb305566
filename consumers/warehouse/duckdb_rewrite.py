"""Rewriting a DuckDB file, so that the bytes of what was deleted are in no file any more (I12).

DuckDB keeps deleted rows in free blocks, after CHECKPOINT and VACUUM too (measured, 2.0.0). A copy of the database does
not have them. Called by duckdb.py alone, on the one thread that writes; reports read on while the copy is made, and
wait for the moment in which the files change places. What was deleted is owed until then: the old file says so.

    copy into <file>.fresh, owing nothing - sync it - close the old file, which empties its log - rename - sync

A death before the rename leaves the old file, whole, with what is owed, and a copy that the next opening discards; one
after it leaves the new file. No log is ever beside the new file, since the old one's is gone before.
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from collector.journal.directory import sync_directory
from consumers.errors import WarehouseFailed

FRESH: Final = "fresh"

SPARE_BYTES: Final = 64 * 1024**2
"""What must be free beyond the copy itself: the journals go on being written to meanwhile."""

ALONE_SECONDS: Final = 30.0
"""How long readers are waited for; none begins meanwhile. An export takes seconds for a million events."""

TURN_SECONDS: Final = 120.0
"""How long a reader waits for the files to change places; that takes milliseconds once the others have ended."""


class Readers:
    """How many ways in are open. A reader enters and leaves; the rewriting waits until there is none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = 0
        self._shut = False

    def enter(self) -> None:
        """Wait until the way is free. Raises WarehouseFailed after TURN_SECONDS."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._shut, TURN_SECONDS):
                raise WarehouseFailed("opening a way in", TimeoutError("its file is being replaced; try again"))
            self._open += 1

    def leave(self) -> None:
        """One reader less."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    @contextmanager
    def none(self) -> Iterator[bool]:
        """Let no reader in for as long as the block runs; True once none is open, False after ALONE_SECONDS."""
        with self._changed:
            self._shut = True
            alone = self._changed.wait_for(lambda: not self._open, ALONE_SECONDS)
        try:
            yield alone
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()


def written_anew(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Copy the database into the fresh file, durably. Raises OSError (ENOSPC before anything is written), duckdb.Error.

    Every row is copied but no free block; the copy owes no bytes.
    """
    fresh = discard(path)
    needed = path.stat().st_size + SPARE_BYTES
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{path.parent} has {free} bytes free, a copy of {path.name} needs {needed}")
    name = connection.execute("SELECT current_database()").fetchall()[0][0]
    connection.execute(f"ATTACH {_quoted(str(fresh))} AS {FRESH}")
    try:
        connection.execute(f'COPY FROM DATABASE "{name}" TO {FRESH}')
        connection.execute(f"UPDATE {FRESH}.tombstones SET bytes_gone = true")  # noqa: S608  a constant
        connection.execute(f"CHECKPOINT {FRESH}")
    finally:
        connection.execute(f"DETACH {FRESH}")
    fresh.chmod(0o600)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())


def swapped_in(path: Path) -> None:
    """Put the fresh file in the old one's place. The old one is closed. Raises OSError, and then the old one stands."""
    log = path.with_name(path.name + ".wal")
    if log.exists():  # a new file must never meet an old log, though the copy has its rows
        raise OSError(errno.EBUSY, f"{log} was not emptied on closing the file")
    _fresh(path).replace(path)
    sync_directory(path.parent)


def discard(path: Path) -> Path:
    """Remove what a rewriting left that did not end; the fresh file's name."""
    fresh = _fresh(path)
    for left in (fresh, fresh.with_name(fresh.name + ".wal")):
        left.unlink(missing_ok=True)
    return fresh


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.{FRESH}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
