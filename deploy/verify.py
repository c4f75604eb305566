"""Verify: conservation (I4, I10). Every hit that was counted has one outcome, every hit that was kept is somewhere.

Called by `pixelgate verify`, on a running system too. Each journal is an account book of its own: its sequences 1, 2,
3 ... are the kept hits, so the warehouse's rows, what settlement took away, clients' repetitions and what was reported
missing must add up to the highest sequence taken over, and a worker's counters to the highest written.

The readings are taken in the hits' own order, counters first, warehouse last: what comes in meanwhile can then only be
further on than expected, never missing. A worker that was killed took up to a second of its counts with it: what it
kept is known by its journal, the rest is told as unknown.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from collector.errors import JournalUnknown, TotalDamaged
from collector.event import time_text
from collector.journal.directory import journals
from collector.journal.recovery import check
from collector.metrics import Published, read_all
from collector.outcome import Outcome
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from deploy.workers import is_alive
from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url
from gating.worker_counters import TOTAL

FAULTS_MAX: Final = 100
IN_WAREHOUSE: Final = ("events", "unverified", "settled_away", "duplicate", "missing")
"""Where a sequence that was taken over can have gone."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """One journal as its files stand. last: its highest sequence, 0 where it holds none."""

    last: int
    missing: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Sums:
    """What `verify` tells; numbers of hits but for `workers`, `killed` and `history`.

    kept_counted: by counters. kept: by sequences, killed workers' included. owed: journalled, not in the warehouse yet.
    workers: starts ever. killed: how many of them were. unknown: those (long gone ones not each), with the time their
    counts end; none where their file does not read, as a power cut may leave it. history: changes in the ledger.
    """

    ok: bool = True
    hits: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    kept_counted: int = 0
    kept: int = 0
    owed: int = 0
    warehouse: int = 0
    unverified: int = 0
    settled_away: int = 0
    duplicates: int = 0
    missing: int = 0
    workers: int = 0
    killed: int = 0
    history: int = 0
    unknown: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, message: str) -> None:
        """Note what does not add up."""
        self.ok = False
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(message)


def verify_all(directory: DataDirectory, settings: ConsumerSettings) -> dict[str, Any]:
    """Take every reading and add up. Raises Unreachable where the ledger or the warehouse cannot be read."""
    counters, unreadable = read_all(directory.counters)
    living = {published.journal for published in counters if is_alive(published)}
    on_disk = read_journals(directory)
    sums = add_up(counters, living, on_disk, ConsumerClient(directory, settings).sums())
    if TOTAL in unreadable:
        sums.fault(str(TotalDamaged(directory.counters / f"{TOTAL}.json")))
    sums.unknown += [unknown(journal, None, None) for journal in sorted(unreadable) if journal != TOTAL]
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
    if not Ledger.exists(url):
        return
    with Ledger.open_reading(url) as ledger:
        sums.history = ledger.head().version
        for fault in (*ledger.verify_history(), *ledger.verify_projections()):
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
        _count(sums, published)
        if published.journal == TOTAL:
            _compare_total(sums, published, sum(hits for journal, hits in last.items() if journal not in known))
        else:
            _compare(sums, published, last.get(published.journal, 0), alive=published.journal in living)
    for journal in sorted(last):
        _weigh(sums, journal, taken.get(journal, 0), warehouse["journals"].get(journal, {}))
        met = [(first, end) for name, first, end in warehouse["missing"] if name == journal]
        ahead = [span for span in on_disk.get(journal, OnDisk(0)).missing if span[1] > taken.get(journal, 0)]
        for first, end in (*met, *ahead):
            sums.fault(f"journal {journal}: hits {first} to {end} were answered and cannot be read any more")
        sums.missing += sum(end - first + 1 for first, end in ahead)
    sums.kept = sum(last.values())
    sums.owed = sums.kept - sum(taken.values())
    return sums


def _count(sums: Sums, published: Published) -> None:
    """Counters into the sums: a worker's, or those of all that are gone."""
    for outcome in Outcome:
        sums.outcomes[outcome.name.lower()] += published.outcome(outcome)
    sums.hits += published.hits
    sums.kept_counted += published.kept
    sums.killed += published.killed
    if sum(published.outcomes.values()) != published.hits:
        sums.fault(f"worker {published.worker} ({published.journal}): its outcomes do not sum to {published.hits} hits")


def _compare(sums: Sums, published: Published, last: int, *, alive: bool) -> None:
    """One worker's counters against its journal."""
    kept = published.kept
    if kept > last:
        sums.fault(f"journal {published.journal}: {kept} hits were kept, {last} are in the journal or the warehouse")
    if published.clean and kept < last:
        sums.fault(
            f"journal {published.journal}: {kept} hits were kept, yet {last} are in the journal or the warehouse"
        )
    if not published.clean and not alive:
        sums.killed += 1
        sums.unknown.append(unknown(published.journal, published.worker, published.published_us))


def _compare_total(sums: Sums, total: Published, last: int) -> None:
    """Workers that are gone against all journals that no other counters speak of: each agreed when it was folded."""
    if total.kept > last:
        sums.fault(f"workers that are gone kept {total.kept} hits, of their journals {last} are in the warehouse")
    sums.unknown += [unknown(lost.journal, lost.worker, lost.counted_until_us) for lost in total.lost]


def unknown(journal: str, worker: int | None, counted_until_us: int | None) -> dict[str, Any]:
    """A worker whose last counts nobody knows."""
    counted_until = None if counted_until_us is None else time_text(counted_until_us)
    return {"journal": journal, "worker": worker, "counted_until": counted_until}


def _weigh(sums: Sums, journal: str, taken: int, stored: Mapping[str, int]) -> None:
    """One journal's sequences taken over against what became of them."""
    events, unverified, settled_away, duplicates, missing = (stored.get(name, 0) for name in IN_WAREHOUSE)
    sums.warehouse += events
    sums.unverified += unverified
    sums.settled_away += settled_away
    sums.duplicates += duplicates
    sums.missing += missing
    accounted = events + unverified + settled_away + duplicates + missing
    if accounted != taken:
        more = "more" if accounted > taken else "fewer"
        sums.fault(
            f"journal {journal}: {taken} hits were taken over, {abs(accounted - taken)} {more} are accounted for"
        )
