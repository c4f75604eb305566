"""A worker's counters: plain ints on the hot path, published once a second as one small file a process start.

The file outlives its process: `verify` adds up what every worker ever counted (`totals.py` folds those of workers that
are gone). A worker that is killed loses at most the last second of its counters; its kept hits are known from its
journal all the same. Read by the admin port (`/metrics`), the live line of `pixelgate run` and `pixelgate verify`.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson

from collector.outcome import LABELS, Outcome
from gating.worker_counters import TOTAL, read_documents

PUBLISH_SECONDS: Final = 1.0


class Counters:
    """One worker's counts. `outcomes[Outcome.X] += n` is all the hot path does."""

    __slots__ = ("connections_refused", "outcomes")

    def __init__(self) -> None:
        self.outcomes = [0] * len(Outcome)
        self.connections_refused = 0

    @property
    def hits(self) -> int:
        """Every hit has one outcome, so they sum to the hits (I4)."""
        return sum(self.outcomes)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Times by length. buckets: (bound in ns, how many were below it and in no bucket before); what reached the last
    bound is in `count` alone."""

    count: int
    sum_ns: int
    buckets: Sequence[tuple[int, int]]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            int(document["count"]), int(document["sum_ns"]), [(int(ns), int(n)) for ns, n in document["buckets"]]
        )

    def plus(self, other: "Histogram") -> "Histogram":
        """Both together; bounds of another release stand beside ours."""
        sums = dict(self.buckets)
        for bound_ns, count in other.buckets:
            sums[bound_ns] = sums.get(bound_ns, 0) + count
        return Histogram(self.count + other.count, self.sum_ns + other.sum_ns, sorted(sums.items()))


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker that was killed: what it dropped after `counted_until_us` nobody knows."""

    journal: str
    worker: int
    counted_until_us: int


@dataclass(frozen=True, slots=True)
class Published:
    """One worker's file as it was last written; or the total of workers that are gone, whose `journal` is TOTAL.

    workers: how many starts it stands for. killed, lost: how many of those were killed, and the newest of them.
    """

    journal: str
    pid: int = 0
    worker: int = 0
    started_us: int = 0
    published_us: int = 0
    clean: bool = False  # the worker stopped by itself: nothing was counted after this
    outcomes: dict[str, int] = field(default_factory=dict)
    samples: Sequence[tuple[str, str, int]] = ()  # (outcome, reason, hits), as they stand in /metrics
    hits: int = 0
    connections_refused: int = 0
    connections: int = 0
    version: int = 0
    leased: bool = False
    not_ready: Sequence[str] = ()  # why a load balancer should send hits elsewhere
    workers: int = 1
    killed: int = 0
    lost: Sequence[Lost] = ()
    service: Mapping[str, Histogram] = field(default_factory=dict)  # by what it was timed to; none unless asked for

    def outcome(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome.name.lower(), 0)

    @property
    def kept(self) -> int:
        """Hits that are in the journal, by these counters."""
        return sum(self.outcome(outcome) for outcome in Outcome if outcome.kept)

    @classmethod
    def of(cls, journal: str, document: Mapping[str, Any]) -> Self:
        """Read a file of this release, an older one (what it lacks is as nothing) or a newer one (what it adds is
        passed over). Raises ValueError where a field that is there does not read."""
        try:
            return cls(
                journal=journal,
                **{name: int(document.get(name, 0)) for name in _NUMBERS},
                clean=bool(document.get("clean")),
                leased=bool(document.get("leased")),
                outcomes={str(name): int(hits) for name, hits in document.get("outcomes", {}).items()},
                samples=[(str(o), str(reason), int(hits)) for o, reason, hits in document.get("samples", ())],
                not_ready=[str(reason) for reason in document.get("not_ready", ())],
                workers=int(document.get("workers", 1)),
                lost=[Lost(str(j), int(worker), int(us)) for j, worker, us in document.get("lost", ())],
                service={str(until): Histogram.of(one) for until, one in document.get("service", {}).items()},
            )
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"the counters of {journal} do not read: {error}") from error


_NUMBERS: Final = (
    "pid", "worker", "started_us", "published_us", "hits", "connections_refused", "connections", "version", "killed",
)  # fmt: skip


class CounterFile:
    """Writes one worker's counters under its journal's id, each time whole (temporary name, rename)."""

    def __init__(self, directory: Path, *, journal: str, worker: int) -> None:
        self._path = directory / f"{journal}.json"
        self._temporary = directory / f".{journal}.new"
        self._fixed = {"journal": journal, "pid": os.getpid(), "worker": worker, "started_us": time.time_ns() // 1000}

    def publish(
        self,
        counters: Counters,
        *,
        connections: int,
        version: int,
        leased: bool,
        not_ready: Sequence[str] = (),
        clean: bool = False,
        service: Mapping[str, Histogram] | None = None,
    ) -> None:
        """Write what was counted up to now. Raises OSError where the disk says no; the next try writes it all again."""
        document = {
            **self._fixed,
            "published_us": time.time_ns() // 1000,
            "clean": clean,
            "outcomes": {outcome.name.lower(): counters.outcomes[outcome] for outcome in Outcome},
            "samples": [[*LABELS[outcome], counters.outcomes[outcome]] for outcome in Outcome],
            "hits": counters.hits,
            "connections_refused": counters.connections_refused,
            "connections": connections,
            "version": version,
            "leased": leased,
            "not_ready": not_ready,
        }
        if service is not None:
            document["service"] = service
        self._temporary.write_bytes(orjson.dumps(document))
        self._temporary.rename(self._path)


def read_counters(directory: Path) -> list[Published]:
    """What every worker of this data directory published, the total of those that are gone first, then by their start;
    unreadable files are passed over."""
    return read_all(directory)[0]


def read_all(directory: Path) -> tuple[list[Published], list[str]]:
    """`read_counters`, and the stems of the files that do not read."""
    documents = read_documents(directory)
    unreadable = list(documents.unreadable)
    found = []
    for journal, document in [(TOTAL, documents.total), *documents.workers.items()]:
        if document is not None:
            try:
                found.append(Published.of(journal, document))
            except ValueError:
                unreadable.append(journal)
    return sorted(found, key=lambda p: (p.journal != TOTAL, p.started_us)), unreadable
