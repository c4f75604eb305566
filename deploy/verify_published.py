"""Verify where Kafka carries the events: one host's journals against the warehouse that all hosts share (I4, I10).

Called by `verify.py`. A journal is an account book here too, but nobody downstream keeps its sequences in one stream: a
journal that is still there tells its own last sequence, one that is gone stands in the publisher's book. What a journal
held is in the warehouse, was settled away, is a client's retry, lies in the publisher's dead letters, or is missing.

The readings are taken in the hits' own order, and the journals once more after the warehouse: of a journal that is
written to meanwhile, the warehouse may then hold any number in between, and no other.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from collector.metrics import Published
from collector.outcome import Outcome
from collector.publisher.book import Book, read_book
from collector.publisher.dead_letters import find
from deploy.sums import IN_WAREHOUSE, OnDisk, Sums, compare, compare_total, count, range_fault
from gating.datadir import DataDirectory
from gating.worker_counters import TOTAL

STORED: Final = tuple(name for name in IN_WAREHOUSE if name != "missing")


@dataclass(frozen=True, slots=True)
class Handed:
    """One journal of this host. last: its highest sequence, on disk or by the book.

    missing: ranges that cannot be read; hits of them. dead: hits in dead letters that were not sent again.
    """

    last: int
    missing: tuple[tuple[int, int], ...] = ()
    missing_hits: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Books:
    """All journals of this host at one moment. folded_last: the sequences of all that are gone and no longer listed."""

    journals: Mapping[str, Handed]
    folded_last: int = 0


def read_books(directory: DataDirectory, on_disk: Mapping[str, OnDisk]) -> Books:
    """The journals as their files and the publisher's book tell them. Raises BookDamaged, OSError."""
    dead = Counter(letter.journal for _, letter in find(directory.dead_letters).unsent)
    return books(read_book(directory.root), on_disk, dead)


def books(book: Book, on_disk: Mapping[str, OnDisk], dead: Mapping[str, int]) -> Books:
    """What both say of each journal; pure. The book knows what was published, the files what was not yet."""
    journals = {}
    for journal in {*book.journals, *on_disk}:
        account, files = book.journals.get(journal), on_disk.get(journal, OnDisk(0))
        published = account.last if account else 0
        ahead = tuple(span for span in files.missing if span[1] > published)
        noted = tuple(account.missing) if account else ()
        journals[journal] = Handed(
            last=max(published, files.last),
            missing=(*noted, *ahead),
            missing_hits=(account.missing_hits if account else 0) + sum(last - first + 1 for first, last in ahead),
            dead=dead.get(journal, 0),
        )
    return Books(journals, book.total.last)


def add_up_published(
    counters: list[Published], living: set[str], before: Books, warehouse: Mapping[str, Any], after: Books
) -> Sums:
    """The sums of readings taken in that order; pure.

    living: journals whose worker runs still. warehouse: as `Warehouse.sums()` gives it, once all that this host had
    answered before is in it.
    """
    sums = Sums(outcomes={outcome.name.lower(): 0 for outcome in Outcome}, workers=sum(p.workers for p in counters))
    known = {published.journal for published in counters}
    for published in counters:
        count(sums, published)
        if published.journal == TOTAL:
            gone = sum(handed.last for journal, handed in before.journals.items() if journal not in known)
            compare_total(sums, published, gone + before.folded_last)
        else:
            handed = before.journals.get(published.journal, Handed(0))
            compare(sums, published, handed.last, alive=published.journal in living)
    for journal, handed in sorted(before.journals.items()):
        _weigh(sums, journal, handed, warehouse["journals"].get(journal, {}), after.journals.get(journal, handed).last)
    elsewhere = [stored for journal, stored in warehouse["journals"].items() if journal not in before.journals]
    sums.elsewhere = sum(stored.get(name, 0) for stored in elsewhere for name in STORED)
    sums.kept = sum(handed.last for handed in before.journals.values()) + before.folded_last
    return sums


def _weigh(sums: Sums, journal: str, handed: Handed, stored: Mapping[str, int], last_after: int) -> None:
    """One journal's sequences against what became of them."""
    events, unverified, settled_away, duplicates, purged = (stored.get(name, 0) for name in STORED)
    sums.warehouse += events
    sums.unverified += unverified
    sums.settled_away += settled_away
    sums.duplicates += duplicates
    sums.purged += purged
    sums.missing += handed.missing_hits
    sums.dead_letters += handed.dead
    for first, last in handed.missing:
        sums.fault(range_fault(journal, first, last))
    accounted = events + unverified + settled_away + duplicates + purged + handed.missing_hits + handed.dead
    if accounted < handed.last:
        sums.fault(f"journal {journal}: {handed.last} hits were kept, {handed.last - accounted} of them are nowhere")
    if accounted > max(handed.last, last_after):
        more = accounted - max(handed.last, last_after)
        sums.fault(f"journal {journal}: {handed.last} hits were kept, {more} more are accounted for")
