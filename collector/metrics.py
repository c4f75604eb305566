"""A worker's counters: plain ints on the hot path, published once a second as one small file a process start.

The file outlives its process: `verify` adds up what every worker ever counted. A worker that is killed loses at most
the last second of its counters; its kept hits are known from its journal all the same. Read by the admin port
(`/metrics`), the live line of `pixelgate run` and `pixelgate verify`.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from collector.outcome import LABELS, Outcome

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
class Published:
    """One worker's file as it was last written."""

    journal: str
    pid: int
    worker: int
    started_us: int
    published_us: int
    clean: bool  # the worker stopped by itself: nothing was counted after this
    outcomes: dict[str, int]
    samples: list[tuple[str, str, int]]  # (outcome, reason, hits), as they stand in /metrics
    hits: int
    connections_refused: int
    connections: int
    version: int
    leased: bool

    def outcome(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome.name.lower(), 0)


class CounterFile:
    """Writes one worker's counters under its journal's id, each time whole (temporary name, rename)."""

    def __init__(self, directory: Path, *, journal: str, worker: int) -> None:
        self._path = directory / f"{journal}.json"
        self._temporary = directory / f".{journal}.new"
        self._fixed = {"journal": journal, "pid": os.getpid(), "worker": worker, "started_us": time.time_ns() // 1000}

    def publish(self, counters: Counters, *, connections: int, version: int, leased: bool, clean: bool = False) -> None:
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
        }
        self._temporary.write_bytes(orjson.dumps(document))
        self._temporary.rename(self._path)


def read_counters(directory: Path) -> list[Published]:
    """What every worker of this data directory last published, oldest start first; unreadable files are passed over."""
    found = []
    for path in directory.glob("*.json"):
        try:
            document: dict[str, Any] = orjson.loads(path.read_bytes())
            found.append(Published(**document))
        except (OSError, TypeError, ValueError):
            continue
    return sorted(found, key=lambda published: published.started_us)
