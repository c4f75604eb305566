"""Verify: conservation (I4, I10). Every hit that was counted has one outcome, every hit that was kept is somewhere.

Called by `pixelgate verify`, on a running system too. Each journal is an account book of its own: its sequences 1, 2,
3 ... are the kept hits, so the warehouse's rows, what settlement took away, clients' repetitions and what was reported
missing must add up to the highest sequence taken over, and a worker's counters to the highest written.

The readings are taken in the hits' own order, counters first, warehouse last: what comes in meanwhile can then only be
further on than expected, never missing. A worker that was killed took up to a second of its counts with it: what it
kept is known by its journal, the rest is told as unknown.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from collector.errors import JournalUnknown, TotalDamaged
from collector.journal.directory import journals
from collector.journal.recovery import check
from collector.metrics import Published, read_all
from collector.outcome import Outcome
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from deploy.sums import IN_WAREHOUSE, OnDisk, Sums, compare, compare_total, count, range_fault, unknown
from deploy.verify_published import add_up_published, read_books
from deploy.workers import is_alive
from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url
from gating.worker_counters import TOTAL

PUBLISHED_SECONDS: Final = 60.0
"""How long what this host has answered may be on its way through Kafka."""


def verify_all(directory: DataDirectory, settings: ConsumerSettings, *, hits_alone: bool = False) -> dict[str, Any]:
    """Take every reading and add up. Raises Unreachable where the ledger or the warehouse cannot be read,
    NotSettledInTime where Kafka does not carry in time what was answered before.

    hits_alone: leave the ledger unread; reading it takes two minutes for a million accounts.
    """
    counters, unreadable = read_all(directory.counters)
    living = {published.journal for published in counters if is_alive(published)}
    on_disk = read_journals(directory)
    client = ConsumerClient(directory, settings)
    if settings.kafka_bootstrap is None:
        sums = add_up(counters, living, on_disk, client.sums())
    else:
        before = read_books(directory, on_disk)
        warehouse = client.sums(settled=PUBLISHED_SECONDS)
        sums = add_up_published(counters, living, before, warehouse, read_books(directory, read_journals(directory)))
    if TOTAL in unreadable:
        sums.fault(str(TotalDamaged(directory.counters / f"{TOTAL}.json")))
    sums.unknown += [unknown(journal, None, None) for journal in sorted(unreadable) if journal != TOTAL]
    if not hits_alone:
        read_ledger(ledger_url(directory, settings.database_url), sums)
    return asdict(sums)


def read_journals(directory: DataDirectory) -> dict[str, OnDisk]:
    """Every journal that lies there now, by id; one that its reader removes meanwhile is in the warehouse."""
    found = {}
    for journal in journals(directory.journals):
        try:
            state = check(journal.path)
        except (JournalUnknown, FileNotFoundError):
            continue
        found[journal.id] = OnDisk(state.next_sequence - 1, state.missing)
    return found


def read_ledger(url: str, sums: Sums) -> None:
    """Whether the history is as it was written, and all that is read fast says what it says; nothing where no ledger
    was ever made."""
    sums.history = 0
    if not Ledger.exists(url):
        return
    with Ledger.open_reading(url) as ledger:
        sums.history = ledger.head().version
        for fault in (*ledger.verify_history(), *ledger.refusals.verify(), *ledger.verify_projections()):
            sums.fault(fault.message)


def add_up(
    counters: list[Published], living: set[str], on_disk: Mapping[str, OnDisk], warehouse: Mapping[str, Any]
) -> Sums:
    """The sums of readings taken in that order; pure.

    living: journals whose worker runs still. warehouse: as `Warehouse.sums()` gives it.
    """
    sums = Sums(outcomes={outcome.name.lower(): 0 for outcome in Outcome}, workers=sum(p.workers for p in counters))
    taken: Mapping[str, int] = warehouse["streams"]
    last = {journal: max(on_disk.get(journal, OnDisk(0)).last, taken.get(journal, 0)) for journal in {*on_disk, *taken}}
    known = {published.journal for published in counters}
    for published in counters:
        count(sums, published)
        if published.journal == TOTAL:
            compare_total(sums, published, sum(hits for journal, hits in last.items() if journal not in known))
        else:
            compare(sums, published, last.get(published.journal, 0), alive=published.journal in living)
    for journal in sorted(last):
        _weigh(sums, journal, taken.get(journal, 0), warehouse["journals"].get(journal, {}))
        met = [(first, end) for name, first, end in warehouse["missing"] if name == journal]
        ahead = [span for span in on_disk.get(journal, OnDisk(0)).missing if span[1] > taken.get(journal, 0)]
        for first, end in (*met, *ahead):
            sums.fault(range_fault(journal, first, end))
        sums.missing += sum(end - first + 1 for first, end in ahead)
    sums.kept = sum(last.values())
    sums.owed = sums.kept - sum(taken.values())
    return sums


def _weigh(sums: Sums, journal: str, taken: int, stored: Mapping[str, int]) -> None:
    """One journal's sequences taken over against what became of them."""
    events, unverified, settled_away, duplicates, purged, missing = (stored.get(name, 0) for name in IN_WAREHOUSE)
    sums.warehouse += events
    sums.unverified += unverified
    sums.settled_away += settled_away
    sums.duplicates += duplicates
    sums.purged += purged
    sums.missing += missing
    accounted = events + unverified + settled_away + duplicates + purged + missing
    if accounted != taken:
        more = "more" if accounted > taken else "fewer"
        sums.fault(
            f"journal {journal}: {taken} hits were taken over, {abs(accounted - taken)} {more} are accounted for"
        )
