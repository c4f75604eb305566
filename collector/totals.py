"""Totals: the counter files of workers that are gone, folded into one, so that their number does not grow for ever.

Called now and then by whoever takes the journals over and removes them: one process a data directory, by its role's
lock. Only what is certain is folded: the journal is gone, so its worker has given back the lock after its last word;
and the counts agree with what was taken over. What does not agree stays, for `verify` to tell. No count is lost or
doubled by a kill at any point: the total names the files it took in, and whoever reads passes those over.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from collector.errors import TotalDamaged
from collector.journal.directory import sync_directory
from collector.metrics import Histogram, Lost, Published
from gating.worker_counters import TOTAL, folded, read_document, read_documents

LOST_MAX: Final = 100
"""Killed workers that the total names, the newest ones; all are counted."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker that is gone: what it published last, and the highest sequence of its journal that was taken over."""

    published: Published
    last_sequence: int

    @property
    def certain(self) -> bool:
        """Whether its counts agree with its journal and with themselves: then there is nothing left to tell of it."""
        kept, last = self.published.kept, self.last_sequence
        sums = sum(self.published.outcomes.values()) == self.published.hits
        return sums and (kept == last if self.published.clean else kept <= last)


def fold(counters: Path, journals: Path, taken: Callable[[], Mapping[str, int]]) -> int:
    """Fold every file that may be; returns how many.

    taken: the highest sequence taken over of each journal; asked after it is known which journals are gone.
    Raises TotalDamaged where the total does not read (nothing is folded then), OSError where the disk says no.
    """
    documents = read_documents(counters)
    if TOTAL in documents.unreadable:
        raise TotalDamaged(counters / f"{TOTAL}.json")
    _remove(counters, folded(documents.total))  # what the last fold left: it is named once more only
    # Read after its journal is known to be gone: an earlier look may have missed the worker's last word.
    stems = [stem for stem in documents.workers if not (journals / stem).exists()]
    if not stems:
        return 0
    last = taken()
    gone = [Gone(published, last.get(published.journal, 0)) for published in _read(counters, stems)]
    folding = [one.published for one in gone if one.certain]
    if not folding:
        return 0
    before = Published.of(TOTAL, documents.total or {"workers": 0})
    folds = documents.total["folds"] if documents.total is not None else 0
    _write(counters, summed(before, folding), folds + 1, [published.journal for published in folding])
    _remove(counters, (published.journal for published in folding))
    return len(folding)


def summed(total: Published, gone: Iterable[Published]) -> Published:
    """The total with more workers in it. Pure."""
    every = [total, *gone]
    outcomes: Counter[str] = Counter()
    samples: Counter[tuple[str, str]] = Counter()
    service: dict[str, Histogram] = {}
    for published in every:
        outcomes.update(published.outcomes)
        samples.update({(outcome, reason): hits for outcome, reason, hits in published.samples})
        for until, times in published.service.items():
            service[until] = service[until].plus(times) if until in service else times
    lost = [Lost(p.journal, p.worker, p.published_us) for p in every[1:] if not p.clean]
    return Published(
        journal=TOTAL,
        clean=True,
        outcomes=dict(outcomes),
        samples=[(outcome, reason, hits) for (outcome, reason), hits in samples.items()],
        hits=sum(p.hits for p in every),
        connections_refused=sum(p.connections_refused for p in every),
        workers=sum(p.workers for p in every),
        service=service,
        killed=total.killed + len(lost),
        lost=sorted([*total.lost, *lost], key=lambda one: one.counted_until_us)[-LOST_MAX:],
    )


def _read(counters: Path, stems: Iterable[str]) -> list[Published]:
    found = []
    for stem in stems:
        try:
            found.append(Published.of(stem, read_document(counters / f"{stem}.json")))
        except ValueError:
            continue  # it stays: `verify` tells
    return found


def _write(counters: Path, total: Published, folds: int, taken_in: list[str]) -> None:
    document: dict[str, Any] = {name: value for name, value in asdict(total).items() if name != "lost"}
    document |= {"lost": [[one.journal, one.worker, one.counted_until_us] for one in total.lost]}
    document |= {"folds": folds, "folded": taken_in}
    temporary = counters / f".{TOTAL}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(document))
        file.flush()
        os.fsync(descriptor)
    sync_directory(counters)  # the files of the last fold are gone for good before they are named no more
    temporary.rename(counters / f"{TOTAL}.json")
    sync_directory(counters)


def _remove(counters: Path, stems: Iterable[str]) -> None:
    for stem in stems:
        (counters / f"{stem}.json").unlink(missing_ok=True)
        (counters / f".{stem}.new").unlink(missing_ok=True)  # a worker that was killed as it published
