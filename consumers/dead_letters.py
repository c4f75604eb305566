"""Dead letters of the consumer: records from Kafka that are no events, kept with their place and the reason.

Written by `kafka_source.py` before the position moves past them; read by people. They lie in files as the publisher's
do (`collector/letter_files.py`), each one object:

    {"topic", "partition", "offset", "timestamp_ms", "reason", "key", "value", "headers": [[name, value], ...]}

key, value and headers' values are base64, absent ones null. A consumer that is killed between the line and its position
writes the same record again: whoever reads drops by topic, partition and offset (`find` does).
"""

import base64
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from collector.letter_files import LetterFiles, letter_files, letters_of, strike
from consumers.kafka_records import Poison

SUFFIX: Final = ".poison"
BYTES_MAX: Final = 1024**3
"""A gigabyte of what somebody else wrote to our topics: then reading stops, since to throw it away would be silent."""


class DeadLetters:
    """The writing end; one a process. Opens no file before the first letter."""

    def __init__(self, directory: Path, bytes_max: int = BYTES_MAX) -> None:
        self.directory = directory
        self._files = LetterFiles(directory, SUFFIX, bytes_max)

    def append(self, letters: Sequence[Poison]) -> None:
        """Keep letters: on disk when it returns. Raises OSError, LettersFull at the bound; then some of them may be
        kept, none may count."""
        self._files.append(map(_encoded, letters))

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._files.close()


def find(directory: Path) -> list[Poison]:
    """Every letter, in the order they were kept, each place in Kafka once; lines that a kill or a disk spoilt are
    passed over. Raises OSError."""
    found: dict[tuple[str, int, int], Poison] = {}
    for path in letter_files(directory, SUFFIX):
        for letter in map(_decoded, letters_of(path)[0]):
            found.setdefault((letter.topic, letter.partition, letter.offset), letter)
    return list(found.values())


def purge(directory: Path, account: str, keys: Collection[str]) -> int:
    """Remove every letter that names the account or one of its keys, for good; how many. Raises OSError."""
    is_its = _naming(account, keys)
    return sum(len(strike(path, is_its)) for path in letter_files(directory, SUFFIX))


def count(directory: Path, account: str, keys: Collection[str]) -> int:
    """How many letters `purge` would remove. Raises OSError."""
    is_its = _naming(account, keys)
    return sum(is_its(letter) for path in letter_files(directory, SUFFIX) for letter in letters_of(path)[0])


def _naming(account: str, keys: Collection[str]) -> Callable[[dict[str, Any]], bool]:
    """Whether a letter names the account or one of its keys.

    What is no event cannot be asked whose it is: it is the account's where its key begins with that, or where the
    account, as JSON writes it, or a write key stands in it.
    """
    begins = f"{account}:".encode()
    names = [orjson.dumps(account), *(key.encode() for key in keys)]

    def is_its(fields: dict[str, Any]) -> bool:
        letter = _decoded(fields)
        key, value = letter.key or b"", letter.value or b""
        return key.startswith(begins) or any(name in value or name in key for name in names)

    return is_its


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
