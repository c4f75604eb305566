"""Dead letters: events that Kafka refuses for good, kept on disk with the reason until an operator sends them again.

Called by the pump, which counts an event as published once it is here, and by `pixelgate journal dead-letters` and
`resend`. How they lie in their files is told in `letter_files.py`. Beside a file lies `<file>.sent` once some of it was
sent again: the ids, a line each in the same form.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from collector.event import Event, time_text
from collector.journal.directory import sync_directory
from collector.letter_files import LetterFiles, letter_files, letters_of, line_of, strike, write_all

DIRECTORY: Final = "dead-letters"
SUFFIX: Final = ".letters"
SENT_SUFFIX: Final = ".sent"


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
        self._files = LetterFiles(directory, SUFFIX)

    def append(self, letters: Sequence[Letter]) -> None:
        """Keep letters: on disk when it returns. Raises OSError, and then some of them may be kept, none may count."""
        self._files.append(map(_encoded, letters))

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        self._files.close()


def find(directory: Path) -> Found:
    """Read every file, in the order they were begun; a directory that is not there holds nothing. Raises OSError."""
    letters: list[tuple[Path, Letter]] = []
    sent: set[str] = set()
    damaged = []
    for path in letter_files(directory, SUFFIX):
        lines, whole = letters_of(path)
        letters += [(path, _decoded(fields)) for fields in lines]
        if not whole:
            damaged.append(path)
        marks = path.with_name(path.name + SENT_SUFFIX)
        if marks.exists():
            sent.update(fields["id"] for fields in letters_of(marks)[0])
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
        write_all(descriptor, b"\n" * torn + b"".join(line_of(orjson.dumps({"id": one})) for one in ids))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync_directory(path.parent)


def purge(directory: Path, account: str, keys: Collection[str]) -> list[str]:
    """Remove every letter of the account for good; the ids of those that had not been sent again. Raises OSError.

    A letter without an account is told by its write key. What notes that letters were sent holds ids alone, and stays.
    """

    def is_its(letter: dict[str, Any]) -> bool:
        event = letter["event"]
        return event["account"] == account or (event["account"] == "" and event["write_key"] in keys)

    sent = find(directory).sent
    struck = [letter for path in letter_files(directory, SUFFIX) for letter in strike(path, is_its)]
    return sorted({f"{one['journal']}-{one['sequence']}" for one in struck} - sent)


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
