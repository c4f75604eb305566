"""Were hits kept under a status that had been replaced? The load's own record against the operator's export.

Answers tell nothing of a status, so each hit carries the number of the last flip of its account that had returned when
it was sent, and the record keeps the last one that had been *asked for* when its answer had come. Where the two are the
same, no other status can have been enforced on it: it must be kept once under that flip's verdict, or not at all where
that is DROP. Where they differ, a flip was under way: any of the statuses between is right, but no other.

Pure: the record and the export in, what is wrong out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

NUMBER: Final = "lt_n"
FLIP: Final = "lt_flip"
"""Of a hit's parameters: its number within the account, and the last flip that had returned when it was sent."""
UNKNOWN: Final = "?"
"""The verdict of a flip that failed: whether it was made is not known."""
DROP: Final = "DROP"
SHOWN_MAX: Final = 50
"""So many faults are worded; all are counted."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A status as its command's answer told it. Flip 0 of an account is its creation."""

    verdict: str
    version: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A hit of an account. flip: the last that had returned when it was sent; upto: the last that had been asked for
    when it was answered; None, where no answer came."""

    number: int
    flip: int
    upto: int | None


@dataclass(slots=True)
class Record:
    """What one process did to one account: its flips from 0 on, and its hits."""

    account: str
    flips: list[Flip] = field(default_factory=list)
    hits: list[Sent] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Write it as lists, for a message."""
        return {
            "account": self.account,
            "flips": [[flip.verdict, flip.version] for flip in self.flips],
            "hits": [[hit.number, hit.flip, hit.upto] for hit in self.hits],
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Record":
        """Read what `plain` wrote."""
        return cls(plain["account"], [Flip(*flip) for flip in plain["flips"]], [Sent(*hit) for hit in plain["hits"]])


@dataclass(slots=True)
class Judged:
    """What was found. replaced + twice + missing + unsent is the number that must be 0.

    certain: hits that no flip overlapped; between: hits during a flip; unjudged: unanswered ones, and such as a flip of
    unknown end overlapped.
    """

    flips: int = 0
    certain: int = 0
    between: int = 0
    unjudged: int = 0
    replaced: int = 0
    twice: int = 0
    missing: int = 0
    unsent: int = 0
    words: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many hits were not kept as they had to be."""
        return self.replaced + self.twice + self.missing + self.unsent

    def fault(self, kind: str, words: str) -> None:
        """Count a fault of a kind (a field's name), and word it while there is room."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.words) < SHOWN_MAX:
            self.words.append(words)


def judge(records: Iterable[Record], exports: Mapping[str, Iterable[Mapping[str, Any]]]) -> Judged:
    """Hold every hit against what was kept. exports: account -> the events of its operator's export.

    Raises ValueError for an account without an export, since nothing could be said of it.
    """
    judged = Judged()
    for record in records:
        if record.account not in exports:
            raise ValueError(f"no export of account {record.account!r}")
        _judge_account(record, exports[record.account], judged)
    return judged


def _judge_account(record: Record, export: Iterable[Mapping[str, Any]], judged: Judged) -> None:
    judged.flips += len(record.flips) - 1
    kept: dict[int, list[Mapping[str, Any]]] = {}
    for event in export:
        text = str((event.get("params") or {}).get(NUMBER, ""))
        kept.setdefault(int(text) if text.isdecimal() else -1, []).append(event)
    for hit in record.hits:
        _judge_hit(record, hit, kept.pop(hit.number, []), judged)
    for number, events in kept.items():
        for _ in events:
            judged.fault("unsent", f"{record.account}: a hit numbered {number} is kept and was never sent")


def _judge_hit(record: Record, hit: Sent, events: Sequence[Mapping[str, Any]], judged: Judged) -> None:
    what = f"{record.account}: hit {hit.number}, sent after flip {hit.flip} had returned"
    if len(events) > 1:
        judged.fault("twice", f"{what}, is kept {len(events)} times")
        return
    possible = record.flips[hit.flip :] if hit.upto is None else record.flips[hit.flip : hit.upto + 1]
    verdicts = {flip.verdict for flip in possible}
    if hit.upto is None or UNKNOWN in verdicts or hit.upto >= len(record.flips):
        judged.unjudged += 1
        return
    if hit.upto == hit.flip:
        judged.certain += 1
    else:
        judged.between += 1
        what += f" and answered while flip {hit.upto} was the last asked for"
    allowed = " or ".join(sorted(verdicts))
    if not events:
        if DROP not in verdicts:
            judged.fault("missing", f"{what}, is not kept; it had to be under {allowed}")
        return
    event = events[0]
    verdict, version = str(event.get("verdict")), int(event.get("version") or 0)
    if event.get("verified") is not True:
        judged.fault("replaced", f"{what}, is kept unverified; it had to be under {allowed}")
    elif verdict not in verdicts:
        judged.fault("replaced", f"{what}, is kept under {verdict}; it had to be {_had(allowed)}")
    elif version < possible[0].version:
        judged.fault("replaced", f"{what}, is kept at version {version}; flip {hit.flip} was {possible[0].version}")
    elif str(event["params"].get(FLIP)) != str(hit.flip):
        judged.fault("replaced", f"{what}, is kept with the mark of flip {event['params'].get(FLIP)}")


def _had(allowed: str) -> str:
    return "dropped" if allowed == DROP else f"under {allowed}"
