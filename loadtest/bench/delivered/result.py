"""What a run of `delivered` found: turns as measured, and the figures made of them. Pure; the JSON is this."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.bench.stats import Spread, spread

FORMAT: Final = 1
"""Raised when a field of the JSON changes its meaning."""

OURS: Final = "pixelgate"
LINGERING: Final = "pixelgate-linger"
FRANZ: Final = "fasthttp-franz"
STARLETTE: Final = "starlette-kafka"


@dataclass(frozen=True, slots=True)
class Turn:
    """One server at one pace, once. A turn with faults is void: it counts in no median.

    pace: hits a second asked for; achieved: hits a second answered. cpu_seconds: by process, of its whole tree, from
    before the first hit until a second after Kafka had acknowledged the last. delivered: records that Kafka had more.
    late_p99_us: how late the load itself sent. others: what anybody else used meanwhile, in cores. peak_mb: most memory
    (2^20 bytes) that each process ever had, summed, pages that they share counted in each.
    """

    server: str
    pace: float
    number: int
    answered: int = 0
    delivered: int = 0
    achieved: float = 0.0
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    others: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    late_p99_us: float = 0.0
    peak_mb: float = 0.0
    faults: Sequence[str] = ()

    @property
    def cpu_us(self) -> float:
        """CPU time a delivered hit, of all processes, in microseconds."""
        return sum(self.cpu_seconds.values()) / self.answered * 1e6

    def part_us(self, process: str) -> float:
        """One process' part of it."""
        return self.cpu_seconds.get(process, 0.0) / self.answered * 1e6


@dataclass(slots=True)
class Delivered:
    """A whole run, or several on one machine. servers: what each does and in which version, or why it was left out."""

    at: str
    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    servers: dict[str, str] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)

    @property
    def paces(self) -> list[float]:
        """The paces of the run, the fastest first."""
        return sorted({one.pace for one in self.turns}, reverse=True)

    def played(self, pace: float) -> list[str]:
        """The servers that were started at a pace, in order."""
        return list(dict.fromkeys(one.server for one in self.turns if one.pace == pace))

    def valid(self, server: str, pace: float) -> list[Turn]:
        """The turns that count."""
        return [one for one in self.turns if (one.server, one.pace) == (server, pace) and not one.faults]

    def spread(self, server: str, pace: float, figure: Callable[[Turn], float]) -> Spread | None:
        """Median and range of a figure over the turns that count."""
        return spread([figure(one) for one in self.valid(server, pace)])

    def part(self, server: str, pace: float, process: str) -> Spread | None:
        """Median and range of one process' part of the CPU a hit."""
        return self.spread(server, pace, lambda one: one.part_us(process))

    def ratio(self, server: str, peer: str, pace: float) -> Spread | None:
        """CPU a hit of a server over a peer's, round by round: both ran within the same minutes."""
        peers = {one.number: one.cpu_us for one in self.valid(peer, pace)}
        return spread([one.cpu_us / peers[one.number] for one in self.valid(server, pace) if peers.get(one.number)])


def read(document: Mapping[str, Any]) -> Delivered:
    """Make a run of its JSON again. Raises ValueError for another format."""
    if document.get("format") != FORMAT:
        raise ValueError(f"format {document.get('format')!r}: this version reads {FORMAT}")
    turns = [Turn(**one) for one in document["turns"]]
    return Delivered(document["at"], document["machine"], document["settings"], document["servers"], turns)
