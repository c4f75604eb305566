"""The bars a run is held against, as a table, and the verdict on each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.bench.result import Result
from loadtest.bench.stats import percentile
from loadtest.peers.server import (
    IDLE_CROWD,
    KEEP_ALIVE,
    MANY_BROWSERS,
    NEW_CONNECTION,
    TLS_KEEP_ALIVE,
    TLS_NEW_CONNECTION,
    Scenario,
)

OURS: Final = "pixelgate"
FLOOR: Final = "c-epoll"
TLS_FLOOR: Final = "nginx-lua-tls"
"""What the others are told against where the load speaks TLS: a floor that parses nothing could speak none."""
MOONSHOT: Final = "PASS, moonshot"
PASS: Final = "PASS"
MISS: Final = "MISS"
UNKNOWN: Final = "not measured"
NO_BAR: Final = "no bar"


@dataclass(frozen=True, slots=True)
class RatioBar:
    """CPU a hit of one server over another's, at most this; None where it is told without a bar.

    moonshot: what would be more than enough; None where there is none.
    """

    title: str
    over: str
    under: str
    scenario: Scenario
    most: float | None = None
    moonshot: float | None = None


@dataclass(frozen=True, slots=True)
class FlipBar:
    """A flip's p99, at most this many milliseconds."""

    title: str
    figure: str
    most_ms: float
    moonshot_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar, what was found, and whether that is enough."""

    title: str
    bar: str
    moonshot: str
    found: str
    verdict: str


LUA: Final = "nginx + Lua gate + JSON log"
RATIO_BARS: Final = (
    RatioBar(f"CPU a kept hit / {LUA}", OURS, "nginx-lua", KEEP_ALIVE, 1.0, 0.75),
    RatioBar("CPU a kept hit / C epoll floor", OURS, FLOOR, KEEP_ALIVE, 1.9, 1.4),
    RatioBar("CPU a kept hit / bare ASGI function on uvicorn", OURS, "asgi", KEEP_ALIVE, 0.45, 0.35),
    RatioBar(f"CPU a hit on a new connection / {LUA}", OURS, "nginx-lua", NEW_CONNECTION, 1.4, 1.1),
    RatioBar("CPU a kept hit, 1,000,000 keys / 10 keys, 65,536 heads", "pixelgate-1m", OURS, MANY_BROWSERS, 1.1),
    RatioBar("CPU a kept hit / Rust hyper", OURS, "rust-hyper", KEEP_ALIVE),
    RatioBar("CPU a kept hit / Go fasthttp", OURS, "go-fasthttp", KEEP_ALIVE),
    RatioBar(f"CPU a kept hit / {LUA}, 65,536 heads", OURS, "nginx-lua", MANY_BROWSERS),
    RatioBar(f"CPU a kept hit / {LUA}, 1,000 idle beside", OURS, "nginx-lua", IDLE_CROWD),
    RatioBar("CPU a kept hit, two workers / one", "pixelgate-2-workers", OURS, KEEP_ALIVE),
    RatioBar("CPU a kept hit, TLS by itself / nginx + Lua with TLS", "pixelgate-tls", TLS_FLOOR, TLS_KEEP_ALIVE),
    RatioBar(
        "CPU a kept hit, TLS by nginx before it / nginx + Lua with TLS",
        "pixelgate-behind-nginx",
        TLS_FLOOR,
        TLS_KEEP_ALIVE,
    ),
    RatioBar(
        "CPU a hit on a new connection, TLS by itself / nginx + Lua with TLS",
        "pixelgate-tls",
        TLS_FLOOR,
        TLS_NEW_CONNECTION,
    ),
    RatioBar(
        "CPU a hit on a new connection, TLS by nginx before it / nginx + Lua with TLS",
        "pixelgate-behind-nginx",
        TLS_FLOOR,
        TLS_NEW_CONNECTION,
    ),
)
FLIP_BARS: Final = (
    FlipBar("flip: commit to enforced by every worker, p99", "enforced_ms", 10.0, 3.0),
    FlipBar("flip: request to `--wait` answered, p99", "waited_ms", 50.0, 15.0),
)


def judge(result: Result) -> list[Verdict]:
    """Hold a run against every bar; a ratio passes by its median."""
    return [_judge_ratio(result, bar) for bar in RATIO_BARS] + [_judge_flip(result, bar) for bar in FLIP_BARS]


def _judge_ratio(result: Result, bar: RatioBar) -> Verdict:
    scenario = bar.scenario.name
    ratio = result.ratio(bar.over, bar.under, scenario)
    most, moonshot = ("-" if value is None else f"<= {value:g}" for value in (bar.most, bar.moonshot))
    if ratio is None:
        return Verdict(bar.title, most, moonshot, "-", UNKNOWN if bar.most else NO_BAR)
    best = result.ratio_of_best(bar.over, bar.under, scenario)
    found = f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.most:.2f}), best/best {best:.2f}"
    return Verdict(bar.title, most, moonshot, found, _verdict(ratio.median, bar.most, bar.moonshot))


def _judge_flip(result: Result, bar: FlipBar) -> Verdict:
    most, moonshot = f"<= {bar.most_ms:g} ms", f"<= {bar.moonshot_ms:g} ms"
    values: Sequence[float] = getattr(result.flips, bar.figure) if result.flips else ()
    if not values:
        return Verdict(bar.title, most, moonshot, "-", UNKNOWN)
    found = percentile(values, 99)
    return Verdict(bar.title, most, moonshot, f"{found:.2f} ms", _verdict(found, bar.most_ms, bar.moonshot_ms))


def _verdict(found: float, most: float | None, moonshot: float | None) -> str:
    if most is None:
        return NO_BAR
    if moonshot is not None and found <= moonshot:
        return MOONSHOT
    return PASS if found <= most else MISS


def met(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether every bar was measured and passed."""
    return all(one.verdict in (PASS, MOONSHOT, NO_BAR) for one in verdicts)
