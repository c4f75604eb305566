"""Letter files: append-only files of checksummed lines, for what must be kept though nobody could take it.

Used by the publisher's and the consumer's dead letters. A file belongs to one process; its name is the time it was
begun and a random part. A letter is a line: crc32 of the rest in hex, a space, one JSON object. So a kill leaves at
most a last line without its end, which nobody was told was safe, and damage costs the lines it hit. They hold whole
events, personal data: mode 0600. Knows nothing of what a letter says.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import orjson

from collector.journal.directory import sync_directory

FILE_BYTES_MAX: Final = 16 * 1024**2
"""A file is followed by the next one here: small enough to be looked at, copied and removed one by one."""

_CRC_CHARS: Final = 8


class LettersFull(OSError):
    """The files have reached their bound."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        super().__init__(f"{directory} holds {bytes_max} bytes of them: see who writes to our topics, move them away")


class LetterFiles:
    """The writing end; one a process. Opens no file before the first letter.

    Each append holds its file's lock, since another process may be writing the file anew (`strike`).

    suffix: tells these letters from others in the directory. bytes_max: of all of them together; None: no bound.
    """

    def __init__(self, directory: Path, suffix: str, bytes_max: int | None = None) -> None:
        self.directory = directory
        self._suffix, self._bytes_max = suffix, bytes_max
        self._descriptor = -1
        self._bytes = 0

    def append(self, letters: Iterable[bytes]) -> None:
        """Keep letters, each one JSON object: on disk when it returns.

        Raises OSError (LettersFull is one), and then some of them may be kept, none may count.
        """
        try:
            self._lock()
            for letter in letters:
                if self._descriptor < 0 or self._bytes >= FILE_BYTES_MAX:
                    self._begin()
                line = line_of(letter)
                write_all(self._descriptor, line)
                self._bytes += len(line)
            if self._descriptor >= 0:
                os.fsync(self._descriptor)
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError:
            self.close()  # what a failed write left is some file's last line: the next letter begins another file
            raise

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _lock(self) -> None:
        """Hold the file's lock; a file that was written anew meanwhile is not gone on with."""
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if not os.fstat(self._descriptor).st_nlink:
                self.close()

    def _begin(self) -> None:
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
        self.close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._bytes_max is not None:
            kept = sum(path.stat().st_size for path in letter_files(self.directory, self._suffix))
            if kept >= self._bytes_max:
                raise LettersFull(self.directory, self._bytes_max)
        path = self.directory / f"{time.time_ns() // 1000:020d}-{secrets.token_hex(4)}{self._suffix}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._bytes = 0
        sync_directory(self.directory)


def letter_files(directory: Path, suffix: str) -> Iterator[Path]:
    """The files, in the order they were begun; none where the directory is not there."""
    yield from sorted(directory.glob(f"*{suffix}"))


def letters_of(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The objects of a file's lines, and whether all of it reads but for a last line without its end.

    Raises OSError.
    """
    found, whole = [], True
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            text = line[_CRC_CHARS + 1 : -1]
            if line_of(text) == line:
                found.append(orjson.loads(text))
            elif line != b"\n":
                whole = False
    return found, whole


def strike(path: Path, unwanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Write a file anew without the letters that are unwanted, and return those; whole or not at all, durably.

    Lines that do not read go too where there is any reason to write: nobody can tell whose they are. Whoever appends
    to the file meanwhile waits, and then begins another. A file that holds nothing more is removed. Raises OSError.
    """
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file.fileno()).st_nlink:
            return []  # somebody else has written it anew meanwhile
        letters, whole = letters_of(path)
        torn = not path.read_bytes().endswith(b"\n")
        struck = [letter for letter in letters if unwanted(letter)]
        if not struck and whole and not torn:
            return []
        kept = [letter for letter in letters if not unwanted(letter)]
        temporary = path.with_name(f".{path.name}.new")
        if kept:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                write_all(descriptor, b"".join(line_of(orjson.dumps(letter)) for letter in kept))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        else:
            path.unlink()
        sync_directory(path.parent)
    return struck


def line_of(letter: bytes) -> bytes:
    """One letter as it stands in a file."""
    return b"%08x %b\n" % (crc32(letter), letter)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it: the kernel may take less at once where space runs out. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
