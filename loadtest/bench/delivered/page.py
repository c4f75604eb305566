"""A run of `delivered` written down: the table, the bar and its verdict, JSON. Pure but for `write`."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from loadtest.bench.bars import MISS, PASS, UNKNOWN
from loadtest.bench.delivered.plot import plot
from loadtest.bench.delivered.result import FORMAT, FRANZ, LINGERING, OURS, STARLETTE, Delivered, Turn
from loadtest.bench.report import table
from loadtest.bench.stats import Spread

NAME: Final = "delivered"
PACE: Final = 10_000.0
RATIO_MAX: Final = 1.0
RATIO_MOONSHOT: Final = 0.7
NOTE: Final = (
    "CPU a hit falls with load, so servers compare at one pace only. A turn counts only where every answered hit stood "
    "in Kafka's topics, once, as the offsets at their ends tell. p50 and p99: of the answers, from when a hit was due. "
    "`load late`: by how much the load itself missed its times, p99. `peak MB`: the most memory of each process, "
    "summed; pages that several share are counted in each. `others`: what everything else took of a core: the engines "
    "and the bench itself."
)
FIGURES: Final[dict[str, tuple[Callable[[Turn], float], int]]] = {
    "CPU us a hit": (lambda one: one.cpu_us, 1),
    "hits/s": (lambda one: one.achieved, 0),
    "p50 us": (lambda one: one.p50_us, 0),
    "p99 us": (lambda one: one.p99_us, 0),
    "load late us": (lambda one: one.late_p99_us, 0),
    "peak MB": (lambda one: one.peak_mb, 0),
    "others": (lambda one: one.others, 2),
}
"""The table's columns: each a figure of a turn, and with how many digits it is told."""

HEADINGS: Final = ("server", *FIGURES, "delivered", "turns")


def text(result: Delivered) -> str:
    """Everything a reader needs, in Markdown that reads well on a terminal."""
    parts = ["# Delivered to Kafka", f"Run of {result.at}."]
    parts += ["## Machine", "\n".join(f"- {name}: {value}" for name, value in result.machine.items())]
    parts += ["## Run", "\n".join(f"- {name}: {value}" for name, value in result.settings.items())]
    for pace in result.paces:
        rows = [_row(result, server, pace) for server in result.played(pace)]
        parts += [f"## {pace:,.0f} hits a second: median (least-most)", table(HEADINGS, rows)]
        parts += [told for server in (OURS, LINGERING) if (told := _parts(result, server, pace))]
    parts += [NOTE, "## Bars", table(("bar", "at most", "moonshot", "found", "verdict"), bars(result))]
    parts += ["## Who does what", "\n".join(f"- `{name}`: {what}" for name, what in result.servers.items())]
    if void := [one for one in result.turns if one.faults]:
        lines = [f"- {one.server}, {one.pace:,.0f}/s, round {one.number}: {'; '.join(one.faults)}" for one in void]
        parts += ["## Void turns", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def bars(result: Delivered) -> list[list[str]]:
    """The bar, and what else is told as a ratio, each with its verdict."""
    others = [pace for pace in result.paces if pace != PACE]
    named = [("collector + publisher / fasthttp + franz-go", OURS, FRANZ, pace) for pace in (PACE, *others)]
    named += [("with a linger / fasthttp + franz-go", LINGERING, FRANZ, pace) for pace in result.paces]
    named += [("collector + publisher / Starlette + redis + aiokafka", OURS, STARLETTE, pace) for pace in result.paces]
    rows = []
    for title, ours, peer, pace in named:
        found, has_bar = result.ratio(ours, peer, pace), (ours, peer, pace) == (OURS, FRANZ, PACE)
        if found is None and not has_bar:
            continue
        limits = [f"{RATIO_MAX:.1f}", f"{RATIO_MOONSHOT:.1f}"] if has_bar else ["-", "-"]
        told = "-" if found is None else f"{found.median:.2f} ({found.least:.2f}-{found.most:.2f})"
        rows.append([f"{title}, {pace:,.0f}/s", *limits, told, _verdict(found) if has_bar else "no bar"])
    return rows


def met(result: Delivered) -> bool:
    """Tell whether the bar was measured and passed, and no turn was void."""
    found = result.ratio(OURS, FRANZ, PACE)
    return _verdict(found) != UNKNOWN and _verdict(found) != MISS and not any(one.faults for one in result.turns)


def _verdict(found: Spread | None) -> str:
    if found is None:
        return UNKNOWN
    if found.median > RATIO_MAX:
        return MISS
    return f"{PASS}, moonshot" if found.median <= RATIO_MOONSHOT else PASS


def _row(result: Delivered, server: str, pace: float) -> list[str]:
    valid = result.valid(server, pace)
    played = sum((one.server, one.pace) == (server, pace) for one in result.turns)
    figures = [_range(result.spread(server, pace, figure), digits) for figure, digits in FIGURES.values()]
    return [server, *figures, f"all {sum(one.delivered for one in valid):,}", f"{len(valid)} of {played}"]


def _range(found: Spread | None, digits: int) -> str:
    if found is None:
        return "-"
    return f"{found.median:,.{digits}f} ({found.least:,.{digits}f}-{found.most:,.{digits}f})"


def _parts(result: Delivered, server: str, pace: float) -> str:
    """Which of our processes takes what."""
    names = list(dict.fromkeys(name for one in result.valid(server, pace) for name in one.cpu_seconds))
    told = ", ".join(f"{name} {_range(result.part(server, pace, name), 1)}" for name in names)
    return f"Of {server}'s: {told}." if told else ""


def document(result: Delivered) -> str:
    """The run as JSON: every turn as measured, then what was made of them."""
    return json.dumps({"format": FORMAT, **dataclasses.asdict(result), "bars": bars(result)}, indent=1) + "\n"


def write(result: Delivered, folder: Path) -> list[Path]:
    """Write delivered.md, .json and .svg into a folder, over those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"md": text(result) + f"\n![CPU a delivered hit]({NAME}.svg)\n", "json": document(result)}
    written = []
    for ending, content in {**pages, "svg": plot(result)}.items():
        path = folder / f"{NAME}.{ending}"
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written
