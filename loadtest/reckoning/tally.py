"""What one process of the load saw. A master adds its workers' tallies up; nothing here knows how they travel."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.reckoning.flips import Record
from loadtest.reckoning.latency import Latency

FINGERPRINTS_MAX: Final = 16
WRONG_MAX: Final = 20
FLIPS_MAX: Final = 100_000
"""Bounds of what is kept in words; beyond them only counts go on."""


@dataclass(frozen=True, slots=True)
class TimedFlip:
    """A flip that returned. at: seconds since the epoch; seen: asked to answered, by the operator's clock;
    enforced: commit to the last worker's report, as the service told it (None where it did not)."""

    at: float
    account: str
    command: str
    verdict: str
    seen_ms: float
    enforced_ms: float | None


@dataclass(slots=True)
class Tally:
    """Counts of one process; `hits` are whole requests that must be counted as hits.

    sent, answered: hits put on the wire, and hits whose whole answer was read, right or wrong. right: of these, those
    answered as promised. malformed: requests sent that must be counted as malformed; others: those that must not be
    counted. failed: anything that was answered otherwise, or not at all. seconds: a second since the epoch -> right
    answers in it.
    """

    sent: int = 0
    answered: int = 0
    right: int = 0
    malformed: int = 0
    others: int = 0
    failed: int = 0
    flips_failed: int = 0
    processes: int = 1
    due: Latency = field(default_factory=Latency)
    answer: Latency = field(default_factory=Latency)
    lateness: Latency = field(default_factory=Latency)
    seconds: Counter[int] = field(default_factory=Counter)
    fingerprints: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    flips: list[TimedFlip] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def saw(self, at: float, fingerprint: str) -> None:
        """Note a right answer: its second, and what it consisted of but for its date."""
        self.answered += 1
        self.right += 1
        self.seconds[int(at)] += 1
        if fingerprint in self.fingerprints or len(self.fingerprints) < FINGERPRINTS_MAX:
            self.fingerprints[fingerprint] += 1

    def went_wrong(self, words: str) -> None:
        """Note a failure in words; the same words are counted once more."""
        self.failed += 1
        if words in self.wrong or len(self.wrong) < WRONG_MAX:
            self.wrong[words] += 1

    def plain(self) -> dict[str, Any]:
        """Write it with lists, numbers, texts and bytes alone, for a message."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            **{name: getattr(self, name).encoded() for name in _LATENCIES},
            **{name: list(getattr(self, name).items()) for name in _COUNTERS},
            "flips": [
                [one.at, one.account, one.command, one.verdict, one.seen_ms, one.enforced_ms]
                for one in self.flips[:FLIPS_MAX]
            ],
            "records": [record.plain() for record in self.records],
        }

    def add(self, plain: Mapping[str, Any]) -> None:
        """Add what another process wrote. Raises KeyError or TypeError for what is no tally."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + plain[name])
        for name in _LATENCIES:
            getattr(self, name).add(plain[name])
        for name in _COUNTERS:
            getattr(self, name).update(dict(plain[name]))
        self.flips += [TimedFlip(*flip) for flip in plain["flips"]]
        self.records += [Record.read(record) for record in plain["records"]]


_COUNTS: Final = ("sent", "answered", "right", "malformed", "others", "failed", "flips_failed", "processes")
_LATENCIES: Final = ("due", "answer", "lateness")
_COUNTERS: Final = ("seconds", "fingerprints", "wrong")
