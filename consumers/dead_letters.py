"""Dead letters of the consumer: records from Kafka that are no events, kept with their place and the reason.

Written by `kafka_source.py` before the position moves past them; read by people. One line of JSON a record, fsynced:

    {"topic", "partition", "offset", "timestamp_ms", "reason", "key", "value", "headers": [[name, value], ...]}

key, value and headers' values are base64. A consumer that is killed between the line and its position writes the same
record again: whoever reads drops by topic, partition and offset.
"""

import base64
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from collector.journal.directory import sync_directory
from consumers.kafka_records import Poison

NAME: Final = "consumer.ndjson"
BYTES_MAX: Final = 1024**3
"""A gigabyte of what somebody else wrote to our topics: then reading stops, since to throw it away would be silent."""


class DeadLettersFull(OSError):
    """The file has reached its bound."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has reached {BYTES_MAX} bytes: see who writes to our topics, then move it away")


class DeadLetters:
    """One file that one consumer appends to."""

    def __init__(self, directory: Path, bytes_max: int = BYTES_MAX) -> None:
        self.path = directory / NAME
        self._bytes_max = bytes_max

    def write(self, poison: Iterable[Poison]) -> None:
        """Append the records and return once they are on disk. Raises OSError; then none counts as kept."""
        new = not self.path.exists()
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = _whole_lines(descriptor)
            if end >= self._bytes_max:
                raise DeadLettersFull(self.path)
            os.ftruncate(descriptor, end)  # a kill or a full disk left half a line
            os.lseek(descriptor, end, os.SEEK_SET)
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.writelines(orjson.dumps(_line(letter)) + b"\n" for letter in poison)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_directory(self.path.parent)


def _line(letter: Poison) -> dict[str, Any]:
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp_ms": letter.timestamp_ms,
        "reason": letter.reason,
        "key": _base64(letter.key),
        "value": _base64(letter.value),
        "headers": [[name, _base64(value)] for name, value in letter.headers],
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _whole_lines(descriptor: int) -> int:
    """Where the last whole line ends. Looks back from the end, a block at a time."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - 65536)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
