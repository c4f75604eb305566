"""Dead letters of the consumer: records from Kafka that are no events, kept with their place and the reason.

Written by `kafka_source.py` before the position moves past them; read by people. A file is append-only and belongs to
one process. Each letter is a line, as in the publisher's dead letters: crc32 of the rest in hex, a space, one object:

    {"topic", "partition", "offset", "timestamp_ms", "reason", "key", "value", "headers": [[name, value], ...]}

key, value and headers' values are base64, absent ones null. A consumer that is killed between the line and its position
writes the same record again: whoever reads drops by topic, partition and offset (`find` does).
"""

import base64
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import orjson

from collector.journal.directory import sync_directory
from consumers.kafka_records import Poison

SUFFIX: Final = ".poison"
FILE_BYTES_MAX: Final = 16 * 1024**2
BYTES_MAX: Final = 1024**3
"""A gigabyte of what somebody else wrote to our topics: then reading stops, since to throw it away would be silent."""

_CRC_CHARS: Final = 8


class DeadLettersFull(OSError):
    """The files have reached their bound."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        super().__init__(f"{directory} holds {bytes_max} bytes of them: see who writes to our topics, move them away")


class DeadLetters:
    """The writing end; one a process. Opens no file before the first letter."""

    def __init__(self, directory: Path, bytes_max: int = BYTES_MAX) -> None:
        self.directory = directory
        self._bytes_max = bytes_max
        self._descriptor = -1
        self._bytes = 0

    def append(self, letters: Sequence[Poison]) -> None:
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
        """Let go of the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self) -> None:
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
        self.close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(path.stat().st_size for path in self.directory.glob(f"*{SUFFIX}")) >= self._bytes_max:
            raise DeadLettersFull(self.directory, self._bytes_max)
        path = self.directory / f"{time.time_ns() // 1000:020d}-{secrets.token_hex(4)}{SUFFIX}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._bytes = 0
        sync_directory(self.directory)


def find(directory: Path) -> list[Poison]:
    """Every letter, in the order they were kept, each place in Kafka once; lines that a kill or a disk spoilt are
    passed over. Raises OSError."""
    found: dict[tuple[str, int, int], Poison] = {}
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            for line in file:
                text = line[_CRC_CHARS + 1 : -1]
                if _line(text) == line:
                    letter = _decoded(orjson.loads(text))
                    found.setdefault((letter.topic, letter.partition, letter.offset), letter)
    return list(found.values())


def _encoded(letter: Poison) -> bytes:
    return orjson.dumps(
        {
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "timestamp_ms": letter.timestamp_ms,
            "reason": letter.reason,
            "key": _text(letter.key),
            "value": _text(letter.value),
            "headers": [[name, _text(value)] for name, value in letter.headers],
        }
    )


def _decoded(fields: dict[str, Any]) -> Poison:
    return Poison(
        topic=fields["topic"],
        partition=fields["partition"],
        offset=fields["offset"],
        timestamp_ms=fields["timestamp_ms"],
        reason=fields["reason"],
        key=_bytes(fields["key"]),
        value=_bytes(fields["value"]),
        headers=tuple((name, _bytes(value)) for name, value in fields["headers"]),
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _line(text: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(text), text)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it: the kernel may take less at once where space runs out."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
