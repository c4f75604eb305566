"""Sums: what `verify` tells, and what both of its forms compare in the same way. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from collector.event import time_text
from collector.metrics import Published
from collector.outcome import Outcome

FAULTS_MAX: Final = 100
IN_WAREHOUSE: Final = ("events", "unverified", "settled_away", "duplicate", "purged", "missing")
"""Where a sequence that was taken over can have gone."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """One journal as its files stand. last: its highest sequence, 0 where it holds none."""

    last: int
    missing: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Sums:
    """What `verify` tells; numbers of hits but for `workers`, `killed` and `history`.

    dead_letters: of the publisher, not sent again. purged: of deleted accounts, whenever they came.
    elsewhere: in the warehouse, of other hosts or journals long gone.
    kept_counted: by counters. kept: by sequences, killed workers' included. owed: journalled, not in the warehouse yet.
    workers: starts ever. killed: how many of them were. unknown: those (long gone ones not each), with the time their
    counts end; none where their file does not read, as a power cut may leave it. history: changes in the ledger; None
    where it was not read.
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
    purged: int = 0
    missing: int = 0
    dead_letters: int = 0
    elsewhere: int = 0
    workers: int = 0
    killed: int = 0
    history: int | None = None
    unknown: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, message: str) -> None:
        """Note what does not add up."""
        self.ok = False
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(message)


def count(sums: Sums, published: Published) -> None:
    """Counters into the sums: a worker's, or those of all that are gone."""
    for outcome in Outcome:
        sums.outcomes[outcome.name.lower()] += published.outcome(outcome)
    sums.hits += published.hits
    sums.kept_counted += published.kept
    sums.killed += published.killed
    if sum(published.outcomes.values()) != published.hits:
        sums.fault(f"worker {published.worker} ({published.journal}): its outcomes do not sum to {published.hits} hits")


def compare(sums: Sums, published: Published, last: int, *, alive: bool) -> None:
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


def compare_total(sums: Sums, total: Published, last: int) -> None:
    """Workers that are gone against all journals that no other counters speak of: each agreed when it was folded."""
    if total.kept > last:
        sums.fault(f"workers that are gone kept {total.kept} hits, of their journals {last} are in the warehouse")
    sums.unknown += [unknown(lost.journal, lost.worker, lost.counted_until_us) for lost in total.lost]


def unknown(journal: str, worker: int | None, counted_until_us: int | None) -> dict[str, Any]:
    """A worker whose last counts nobody knows."""
    counted_until = None if counted_until_us is None else time_text(counted_until_us)
    return {"journal": journal, "worker": worker, "counted_until": counted_until}


def range_fault(journal: str, first: int, last: int) -> str:
    """Hits that were answered and are lost, in words."""
    return f"journal {journal}: hits {first} to {last} were answered and cannot be read any more"
