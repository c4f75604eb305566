"""Dead letters: events that Kafka refuses for good, kept on disk with the reason until an operator sends them again.

Called by the pump, which counts an event as published once it is here, and by `pixelgate journal dead-letters` and
`resend`. They hold whole events, personal data: mode 0600, in the data directory.

A file is append-only and belongs to one process; its name is the time it was begun and a random part. Each letter is a
line: crc32 of the rest in hex, a space, one JSON object. So a kill leaves at most a last line without its end, which
nobody was told was safe, and damage costs the lines it hit. Beside a file lies `<file>.sent` once some of it was sent
again: the ids, a line each in the same form.
"""

import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import orjson

from collector.event import Event, time_text
from collector.journal.directory import sync_directory

DIRECTORY: Final = "dead-letters"
SUFFIX: Final = ".letters"
SENT_SUFFIX: Final = ".sent"
FILE_BYTES_MAX: Final = 16 * 1024**2
"""A file is followed by the next one here: small enough to be looked at, copied and removed one by one."""

_CRC_CHARS: Final = 8


@dataclass(frozen=True, slots=True)
class Letter:
    """One event that was refused. event: `Event.encode()`'s bytes. at_us: when it was set aside."""

    journal: str
    sequence: int
    topic: str
    reason: str
    at_us: int
    event: bytes

    @property
    def id(self) -> str:
        """The event's id."""
        return f"{self.journal}-{self.sequence}"

    def decoded(self) -> Event:
        """The event. Raises ValueError where a newer release wrote it in a way this one cannot read."""
        return Event.decode(self.event)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the directory found. damaged: files with lines that nobody wrote as they stand."""

    letters: tuple[tuple[Path, Letter], ...]
    sent: frozenset[str]
    damaged: tuple[Path, ...]

    @property
    def unsent(self) -> list[tuple[Path, Letter]]:
        """The letters that wait, each id once."""
        waiting = {letter.id: (path, letter) for path, letter in self.letters if letter.id not in self.sent}
        return list(waiting.values())


class DeadLetters:
    """The writing end; one a process. Opens no file before the first letter."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._descriptor = -1
        self._bytes = 0

    def append(self, letters: Sequence[Letter]) -> None:
        """Keep letters: on disk when it returns. Raises OSError, and then some of them may be kept, none may count."""
        try:
            for letter in letters:
                if self._descriptor < 0 or self._bytes >= FILE_BYTES_MAX:
                    self._begin()
                line = _line(_encoded(letter))
                _write(self._descriptor, line)
                self._bytes += len(line)
            os.fsync(self._descriptor)
        except OSError:
            self.close()  # what a failed write left is some file's last line: the next letter begins another file
            raise

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self) -> None:
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
        self.close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"{time.time_ns() // 1000:020d}-{secrets.token_hex(4)}{SUFFIX}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._bytes = 0
        sync_directory(self.directory)


def find(directory: Path) -> Found:
    """Read every file, in the order they were begun; a directory that is not there holds nothing. Raises OSError."""
    letters: list[tuple[Path, Letter]] = []
    sent: set[str] = set()
    damaged = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        lines, whole = _lines(path)
        letters += [(path, _decoded(fields)) for fields in lines]
        if not whole:
            damaged.append(path)
        marks = path.with_name(path.name + SENT_SUFFIX)
        if marks.exists():
            sent.update(fields["id"] for fields in _lines(marks)[0])
    return Found(tuple(letters), frozenset(sent), tuple(damaged))


def mark_sent(path: Path, ids: Iterable[str]) -> None:
    """Note, durably, that these letters of a file were sent again and acknowledged. Raises OSError."""
    marks = path.with_name(path.name + SENT_SUFFIX)
    new = not marks.exists()
    descriptor = os.open(marks, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        # A mark that a kill cut short is ended, so that the next one has a line to itself.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        _write(descriptor, b"\n" * torn + b"".join(_line(orjson.dumps({"id": one})) for one in ids))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)


def _encoded(letter: Letter) -> bytes:
    return orjson.dumps(
        {
            "journal": letter.journal,
            "sequence": letter.sequence,
            "topic": letter.topic,
            "reason": letter.reason,
            "at": time_text(letter.at_us),
            "at_us": letter.at_us,
            "event": orjson.Fragment(letter.event),
        }
    )


def _decoded(fields: dict[str, Any]) -> Letter:
    event = orjson.dumps(fields["event"])
    return Letter(fields["journal"], fields["sequence"], fields["topic"], fields["reason"], fields["at_us"], event)


def _line(text: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(text), text)


def _lines(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The objects of a file's lines, and whether all of it reads but for a last line without its end."""
    found, whole = [], True
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            text = line[_CRC_CHARS + 1 : -1]
            if _line(text) == line:
                found.append(orjson.loads(text))
            elif line != b"\n":
                whole = False
    return found, whole


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it: the kernel may take less at once where space runs out."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
