"""What a run found: looks as measured, and the figures made of them. Pure; a run's JSON is this, field by field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.bench.stats import Spread, spread

FORMAT = 2
"""Raised when a field of the JSON changes its meaning."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server of this run: what it does, in which version, or why it was left out."""

    name: str
    job: str
    version: str
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a server says it has kept against what the load saw, over a whole turn (probes and warm-up included).

    `answered` hits must have been kept; up to `sent` may have been, since wrk leaves its last ones unread.
    """

    kept: int
    answered: int
    sent: int

    @property
    def conserved(self) -> bool:
        """Tell whether every answered hit was kept, and none that was not sent."""
        return self.answered <= self.kept <= self.sent


@dataclass(frozen=True, slots=True)
class Look:
    """A second or so of load on one server under one scenario. One with faults is void: it counts in no median.

    round: which turn of the server it was in; number: which look of that turn. cpu_seconds: of the server and of a
    proxy before it; front_cpu_seconds: of the proxy alone. others: what anybody else used meanwhile, in cores; well
    above 0, the machine was not quiet. kept: of the whole turn.
    """

    server: str
    scenario: str
    round: int
    answered: int
    seconds: float
    cpu_seconds: float
    others: float = 0.0
    p50_us: int = 0
    p99_us: int = 0
    kept: Kept | None = None
    faults: Sequence[str] = ()
    front_cpu_seconds: float = 0.0
    number: int = 1

    @property
    def cpu_us(self) -> float:
        """CPU time a hit, user and system, in microseconds."""
        return self.cpu_seconds / self.answered * 1e6

    @property
    def front_cpu_us(self) -> float:
        """What of it the proxy took."""
        return self.front_cpu_seconds / self.answered * 1e6

    @property
    def rate(self) -> float:
        """Answered hits a second."""
        return self.answered / self.seconds

    @property
    def busy(self) -> float:
        """The share of its core that the server used: well below 1, the load was the limit."""
        return self.cpu_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Flips:
    """How long an operator's flips took under load, each in milliseconds.

    enforced: commit to the last worker's report; waited: request to answer inside the service (it tells both);
    seen: the same request as its caller saw it.
    """

    workers: int
    hits_per_second: float
    enforced_ms: Sequence[float]
    waited_ms: Sequence[float]
    seen_ms: Sequence[float]
    faults: Sequence[str] = ()


@dataclass(slots=True)
class Result:
    """A whole run."""

    at: str
    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    contenders: list[Contender] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    flips: Flips | None = None
    flips_skipped: str | None = None

    def valid(self, server: str, scenario: str) -> list[Look]:
        """The looks that count."""
        return [one for one in self.looks if (one.server, one.scenario) == (server, scenario) and not one.faults]

    def played(self, scenario: str) -> list[str]:
        """Name the servers that have looks there, void ones included, in the order of the run."""
        return list(dict.fromkeys(one.server for one in self.looks if one.scenario == scenario))

    def void(self) -> list[Look]:
        """The looks with faults."""
        return [one for one in self.looks if one.faults]

    def spread(self, server: str, scenario: str, figure: Callable[[Look], float]) -> Spread | None:
        """Median and range of a figure over the looks that count."""
        return spread([figure(one) for one in self.valid(server, scenario)])

    def ratio_of_best(self, server: str, peer: str, scenario: str) -> float | None:
        """The same ratio of each one's cheapest look: neighbours only ever add, so this says how far noise matters."""
        ours, theirs = (self.spread(name, scenario, lambda one: one.cpu_us) for name in (server, peer))
        return ours.least / theirs.least if ours and theirs else None

    def ratio(self, server: str, peer: str, scenario: str) -> Spread | None:
        """CPU a hit of a server over a peer's, look by look: both ran within a minute, under the same neighbours."""
        peers = {(one.round, one.number): one.cpu_us for one in self.valid(peer, scenario)}
        pairs = [(one.cpu_us, peers.get((one.round, one.number))) for one in self.valid(server, scenario)]
        return spread([ours / theirs for ours, theirs in pairs if theirs])
