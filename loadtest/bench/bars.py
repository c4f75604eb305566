"""The bars a run is held against, as a table, and the verdict on each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.bench.result import Result
from loadtest.bench.stats import percentile

OURS: Final = "pixelgate"
FLOOR: Final = "c-epoll"
PASS: Final = "PASS"
MISS: Final = "MISS"
UNKNOWN: Final = "not measured"
NO_BAR: Final = "no bar"


@dataclass(frozen=True, slots=True)
class RatioBar:
    """CPU a hit of ours over a peer's, at most this; None where it is told without a bar."""

    title: str
    peer: str
    scenario: str
    most: float | None


@dataclass(frozen=True, slots=True)
class FlipBar:
    """A flip's p99, at most this many milliseconds."""

    title: str
    figure: str
    most_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar, what was found, and whether that is enough."""

    title: str
    bar: str
    found: str
    verdict: str


RATIO_BARS: Final = (
    RatioBar("CPU a kept hit / nginx + Lua gate + JSON log", "nginx-lua", "keep-alive", 1.1),
    RatioBar("CPU a kept hit / bare ASGI function on uvicorn", "asgi", "keep-alive", 0.5),
    RatioBar("CPU a kept hit / nginx + Lua gate + JSON log, 65,536 heads", "nginx-lua", "many-browsers", None),
    RatioBar("CPU a hit on a new connection / nginx + Lua gate + JSON log", "nginx-lua", "new-connection", 1.5),
)
FLIP_BARS: Final = (
    FlipBar("Flip: commit to enforced by every worker, p99", "enforced_ms", 10.0),
    FlipBar("Flip: request to `--wait` answered, p99", "waited_ms", 50.0),
)


def judge(result: Result) -> list[Verdict]:
    """Hold a run against every bar; a ratio passes by its median."""
    return [_judge_ratio(result, bar) for bar in RATIO_BARS] + [_judge_flip(result, bar) for bar in FLIP_BARS]


def _judge_ratio(result: Result, bar: RatioBar) -> Verdict:
    ratio = result.ratio(OURS, bar.peer, bar.scenario)
    most = "-" if bar.most is None else f"<= {bar.most:g}"
    if ratio is None:
        return Verdict(bar.title, most, "-", UNKNOWN if bar.most else NO_BAR)
    best = result.ratio_of_best(OURS, bar.peer, bar.scenario)
    found = f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.most:.2f}), best/best {best:.2f}"
    verdict = NO_BAR if bar.most is None else PASS if ratio.median <= bar.most else MISS
    return Verdict(bar.title, most, found, verdict)


def _judge_flip(result: Result, bar: FlipBar) -> Verdict:
    values: Sequence[float] = getattr(result.flips, bar.figure) if result.flips else ()
    if not values:
        return Verdict(bar.title, f"<= {bar.most_ms:g} ms", "-", UNKNOWN)
    found = percentile(values, 99)
    return Verdict(bar.title, f"<= {bar.most_ms:g} ms", f"{found:.2f} ms", PASS if found <= bar.most_ms else MISS)


def met(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether every bar was measured and passed."""
    return all(one.verdict in (PASS, NO_BAR) for one in verdicts)
