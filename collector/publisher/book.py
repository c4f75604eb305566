"""Book: what the publisher must know of itself and of journals that are gone, in `published.json`.

Written by the publisher before it moves a cursor or removes a journal; read by `pixelgate verify`, for whom a journal
that is gone stands only here. Of each journal: up to which sequence it is published, what of that was missing or set
aside. Bounded: of journals that are gone the newest JOURNALS_MAX are kept one by one, older ones in one sum.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from collector.errors import BookDamaged
from collector.journal.directory import sync_directory
from collector.publishers import Place, place_of, place_text

NAME: Final = "published.json"
JOURNALS_MAX: Final = 1000
"""A worker's start is a journal; some 100 bytes each. A host that starts eight workers a day keeps four months."""

MISSING_MAX: Final = 100
"""Ranges kept of one journal; what is beyond them is counted in the last one's place, never lost from the sum."""

Range = tuple[int, int]


@dataclass(slots=True)
class Account:
    """One journal. last: everything up to here is published, missing or a dead letter. ended: nothing follows.

    missing: ranges (both ends included) that could not be read. unlisted: missing hits of ranges beyond MISSING_MAX.
    """

    last: int = 0
    missing: list[Range] = field(default_factory=list)
    unlisted: int = 0
    dead: int = 0
    ended: bool = False

    @property
    def missing_hits(self) -> int:
        return self.unlisted + sum(last - first + 1 for first, last in self.missing)

    @property
    def published(self) -> int:
        """How many of its hits Kafka has."""
        return self.last - self.missing_hits - self.dead

    def miss(self, ranges: Iterable[Range]) -> None:
        """Note ranges; what was noted before is not counted twice."""
        if not ranges:
            return
        self.missing = _merged([*self.missing, *ranges])
        for first, last in self.missing[MISSING_MAX:]:
            self.unlisted += last - first + 1
        del self.missing[MISSING_MAX:]


@dataclass(slots=True)
class Total:
    """Journals that are gone and no longer listed, summed."""

    journals: int = 0
    last: int = 0
    missing: int = 0
    dead: int = 0


@dataclass(slots=True)
class Book:
    """All of it. offsets: of each partition, the highest known to be this publisher's own.

    partitions: how many each topic had when it was last written to. again: up to which sequence a journal's events may
    have been sent to another partition before, because their number changed.
    """

    journals: dict[str, Account] = field(default_factory=dict)
    total: Total = field(default_factory=Total)
    offsets: dict[Place, int] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)

    def account(self, journal: str) -> Account:
        """A journal's account, opened where there is none."""
        return self.journals.setdefault(journal, Account())

    def fold(self) -> None:
        """Sum up the oldest journals that are gone beyond JOURNALS_MAX."""
        ended = [journal for journal, account in self.journals.items() if account.ended]
        for journal in ended[: max(0, len(ended) - JOURNALS_MAX)]:
            account = self.journals.pop(journal)
            self.total.journals += 1
            self.total.last += account.last
            self.total.missing += account.missing_hits
            self.total.dead += account.dead


def read_book(root: Path) -> Book:
    """Read the book of a data directory; an empty one where none was written. Raises BookDamaged, OSError."""
    path = root / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Book()
    try:
        fields = orjson.loads(data)
        journals = {journal: _account(account) for journal, account in fields["journals"].items()}
        offsets = {place_of(text): int(offset) for text, offset in fields["offsets"].items()}
        return Book(journals, Total(**fields["total"]), offsets, dict(fields["partitions"]), dict(fields["again"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BookDamaged(path) from error


def write_book(root: Path, book: Book) -> None:
    """Replace the book; durable on return. Raises OSError, and then the old one still stands, or the new one."""
    document = {
        "journals": {journal: asdict(account) for journal, account in book.journals.items()},
        "total": asdict(book.total),
        "offsets": {place_text(place): offset for place, offset in sorted(book.offsets.items())},
        "partitions": book.partitions,
        "again": book.again,
    }
    temporary = root / f".{NAME}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(document))
        file.flush()
        os.fsync(descriptor)
    temporary.rename(root / NAME)
    sync_directory(root)


def _account(fields: dict[str, Any]) -> Account:
    missing = [(int(first), int(last)) for first, last in fields["missing"]]
    return Account(int(fields["last"]), missing, int(fields["unlisted"]), int(fields["dead"]), bool(fields["ended"]))


def _merged(ranges: list[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
