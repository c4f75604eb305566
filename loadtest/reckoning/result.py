"""A whole run as one value: what the page shows, the summary tells, and a script reads as JSON."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtest.reckoning.checks import Check, verdict
from loadtest.reckoning.outside import Outcomes
from loadtest.reckoning.tally import Tally, TimedFlip

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of locust's own statistics. Times in milliseconds, from request to answer."""

    kind: str
    name: str
    requests: int
    failures: int
    median_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    """What `/metrics` told at a moment, in seconds since the run began."""

    at: float
    outcomes: Outcomes


@dataclass(slots=True)
class Result:
    """began: seconds since the epoch; seconds: how long users ran; paced: latencies hold a schedule."""

    shape: str
    target: str
    began: float
    seconds: float
    settings: Mapping[str, str]
    machine: Mapping[str, str]
    tally: Tally
    checks: Sequence[Check]
    paced: bool
    rows: Sequence[Row] = ()
    moments: Sequence[Moment] = ()
    outcomes: Outcomes | None = None
    kept: int | None = None
    stored: int | None = None
    cpu_seconds: Mapping[str, float] | None = None
    cpu_why_not: str = ""
    saturated: bool = False
    judged_words: Sequence[str] = field(default_factory=tuple)

    @property
    def verdict(self) -> str:
        """PASS or FAIL."""
        return verdict(self.checks)

    @property
    def flips(self) -> Sequence[TimedFlip]:
        """The flips that returned, in order of time."""
        return sorted(self.tally.flips, key=lambda flip: flip.at)

    def cpu_us(self, role: str | None = None) -> float | None:
        """CPU microseconds a hit, of a role or of all of them; None where it is not known."""
        if not self.cpu_seconds or not self.tally.answered:
            return None
        used = sum(self.cpu_seconds.values()) if role is None else self.cpu_seconds.get(role, 0.0)
        return used / self.tally.answered * 1e6

    def document(self) -> dict[str, Any]:
        """Write what a script wants to read: verdict, checks, counts, latencies; not every second, hit or flip."""
        tally = self.tally
        seen = [flip.seen_ms for flip in tally.flips]
        return {
            "format": FORMAT,
            "shape": self.shape,
            "target": self.target,
            "verdict": self.verdict,
            "checks": [dataclasses.asdict(one) for one in self.checks],
            "seconds": round(self.seconds, 3),
            "sent": tally.sent,
            "answered": tally.answered,
            "malformed": tally.malformed,
            "other_requests": tally.others,
            "failed": tally.failed,
            "outcomes": self.outcomes,
            "kept": self.kept,
            "warehouse": self.stored,
            "latency_ms": {"due": tally.due.table_ms() if self.paced else None, "answered": tally.answer.table_ms()},
            "flips": {"returned": len(seen), "failed": tally.flips_failed},
            "cpu_us_a_hit": None
            if self.cpu_seconds is None
            else {role: self.cpu_us(role) for role in self.cpu_seconds},
            "generator_saturated": self.saturated,
            "histograms": {"due": tally.due.encoded().decode(), "answered": tally.answer.encoded().decode()},
            "settings": dict(self.settings),
            "machine": dict(self.machine),
        }

    def write(self, page: str, summary: Sequence[str], to: Path) -> None:
        """Write the page to a file, and the document with the summary beside it under the same name with `.json`."""
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(page, encoding="utf-8")
        to.with_suffix(".json").write_text(
            json.dumps({**self.document(), "summary": list(summary)}, indent=1) + "\n", encoding="utf-8"
        )
