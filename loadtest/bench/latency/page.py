"""A run of `latency.py` written down: its tables and bars in Markdown, every leg in JSON, the curves as SVG."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from loadtest.bench.bars import MISS, PASS, UNKNOWN
from loadtest.bench.latency.plot import plot
from loadtest.bench.latency.result import FORMAT, TIMED, Leg, Result
from loadtest.bench.latency.service import UNTIL
from loadtest.bench.report import table
from loadtest.bench.stats import Spread

NAME: Final = "latency"
FIGURES: Final = ("50", "99", "99.9")
_NUMBERS_ONLY: Final = re.compile(r"\[[\s\d.,e+-]+\]")
SERVICE_US_MAX: Final = {"50": 10.0, "99": 100.0}
NOTE: Final = (
    "Latency, in us, counts from when a hit was *due*, whether or not its connection was free. `late`: how late the "
    "loader itself was at p99 / p99.9, which is in the figures beside it. `busy`: of the server's core. `overload`: "
    "legs in which less than 99 % of the rate was answered."
)
SERVICE_NOTE: Final = (
    "Inside the worker, in us, by its own histogram (`PIXELGATE_SERVICE_TIMES`; upper bounds of buckets, at most 12 % "
    "high, warm-up included). *given*: from a chunk's `data_received` to right before `transport.write` of its answer. "
    "*written*: until that has returned, write(2) included. `hits a frame`: "
    "how many are written and answered together, over the whole turn."
)


def _cell(found: Spread | None, digits: int = 0) -> str:
    if found is None:
        return "-"
    return f"{found.median:,.{digits}f} ({found.least:,.{digits}f}-{found.most:,.{digits}f})"


def _latency(percent: str) -> Callable[[Leg], float]:
    return lambda leg: leg.paced.latency_us[percent] if leg.paced else 0.0


def _late(percent: str) -> Callable[[Leg], float]:
    return lambda leg: leg.paced.late_us[percent] if leg.paced else 0.0


def capacity_table(result: Result) -> str:
    """What each server answers in a closed loop, and what bounded it."""
    rows = []
    for server in result.steps:
        runs = [one for one in result.capacities if one.server == server and not one.faults]
        if runs:
            busy, load = (max(getattr(one, name) for one in runs) for name in ("busy", "load_busy"))
            limit = "server" if busy >= load else "load"
            all_runs = sum(one.server == server for one in result.capacities)
            rows.append(
                [
                    server,
                    _cell(result.capacity(server)),
                    f"{busy:.0%}",
                    f"{load:.0%}",
                    limit,
                    f"{len(runs)} of {all_runs}",
                ]
            )
    return table(("server", "hits/s", "server's core", "load's core", "limit", "runs"), rows)


def step_table(result: Result, of: str) -> str:
    """Latency by server and step, of one kind of rates."""
    percents = dict.fromkeys(step.percent for steps in result.steps.values() for step in steps)
    rows = [
        _step_row(result, server, step.name, step.rate)
        for percent in percents
        for server, steps in result.steps.items()
        for step in steps
        if (step.of, step.percent) == (of, percent) and server != TIMED
    ]
    headings = ("server", "load", "hits/s", *(f"p{one}" for one in FIGURES), "> 1 ms", "late", "CPU us a hit", "busy")
    return table((*headings, "overload", "legs"), rows)


def _step_row(result: Result, server: str, step: str, rate: float) -> list[str]:
    legs = result.valid(server, step)
    every = [one for one in result.legs if (one.server, one.step) == (server, step)]
    slow = result.spread(server, step, lambda leg: 100 * leg.paced.over["1ms"] / leg.paced.answered if leg.paced else 0)
    late = [result.spread(server, step, _late(percent)) for percent in ("99", "99.9")]
    cpu = result.spread(server, step, lambda leg: leg.cpu_us)
    busy = result.spread(server, step, lambda leg: leg.busy)
    return [
        server,
        step.partition(" of ")[0],
        f"{rate:,.0f}",
        *(_cell(result.spread(server, step, _latency(percent))) for percent in FIGURES),
        f"{slow.median:.2f} %" if slow else "-",
        " / ".join(f"{one.median:,.0f}" for one in late if one) or "-",
        _cell(cpu, 1),
        f"{busy.median:.0%}" if busy else "-",
        str(sum(one.paced.is_overload for one in legs if one.paced)),
        f"{len(legs)} of {len(every)}",
    ]


def _service(result: Result, step: str, until: str, percent: str) -> Spread | None:
    def figure(leg: Leg) -> float:
        times: Mapping[str, float] = getattr(leg.service, f"{until}_us")
        return times[percent]

    return result.spread(TIMED, step, figure)


def service_table(result: Result) -> str:
    """Service times inside the worker, by step and by where they end."""
    rows = []
    frames = [one for one in result.turns if one.server == TIMED and one.frames and one.kept]
    hits_a_frame = f"{sum(t.kept or 0 for t in frames) / sum(t.frames or 0 for t in frames):.1f}" if frames else "-"
    for step in result.steps.get(TIMED, ()):
        for until in UNTIL:
            figures = [_cell(_service(result, step.name, until, percent), 1) for percent in ("50", "90", "99", "99.9")]
            legs = len(result.valid(TIMED, step.name))
            rows.append([f"{step.name}: {until}", f"{step.rate:,.0f}", *figures, hits_a_frame, str(legs)])
    return table(("load", "hits/s", "p50", "p90", "p99", "p99.9", "hits a frame", "legs"), rows)


def bars(result: Result) -> list[tuple[str, str, str, str]]:
    """Each bar on service time: title, bar, what was found, verdict. Held at constant gaps, and at both ends."""
    found = []
    for step in result.steps.get(TIMED, ())[:1]:
        for until in UNTIL:
            for percent, most in SERVICE_US_MAX.items():
                value = _service(result, step.name, until, percent)
                verdict = UNKNOWN if value is None else PASS if value.median <= most else MISS
                title = f"Service time until {until}, p{percent}, at {step.name} capacity"
                found.append((title, f"<= {most:g} us", f"{_cell(value, 1)} us" if value else "-", verdict))
    return found


def gaps_table(result: Result) -> str:
    """What the machine took from a process that only read the clock."""
    rows = [
        [str(one["when"]), str(one["core"]), f"{one['lost']:.1%}", f"{one['longest_us'] / 1e3:.1f}"]
        + [f"{count / one['seconds']:.1f}" for count in one["at_least"].values()]
        for one in result.gaps
    ]
    lengths: Mapping[str, int] = next((one["at_least"] for one in result.gaps), {})
    return table(("when", "core", "of the time", "longest, ms", *(f">= {one}, a second" for one in lengths)), rows)


def text(result: Result) -> str:
    """Everything a reader needs."""
    parts = [f"# Latency, run of {result.at}", "## Machine", _pairs(result.machine), "## Run", _pairs(result.settings)]
    parts += [
        "## The machine's own gaps",
        "Of a process that only reads the clock, both cores at once.",
        gaps_table(result),
    ]
    parts += ["## Capacity, closed loop", capacity_table(result)]
    parts += ["## Latency at shares of each server's own capacity", step_table(result, "own"), NOTE]
    parts += ["## Latency at equal rates: shares of the least capacity", step_table(result, "least")]
    parts += ["## Service time inside Pixelgate", service_table(result), SERVICE_NOTE]
    parts += ["## Bars", table(("bar", "", "found", "verdict"), bars(result)), "## Who does what"]
    parts.append(
        "\n".join(f"- `{one.name}`: {one.skipped or f'{one.job} [{one.version}]'}" for one in result.contenders)
    )
    if void := _void(result):
        parts += ["## Void", "\n".join(void)]
    return "\n\n".join(parts) + "\n"


def _void(result: Result) -> list[str]:
    lines = [f"- {one.server}, capacity: {'; '.join(one.faults)}" for one in result.capacities if one.faults]
    lines += [
        f"- {one.server}, {one.step}, round {one.number}: {'; '.join(one.faults)}" for one in result.legs if one.faults
    ]
    return lines + [
        f"- {one.server}, round {one.number}: {'; '.join(one.faults)}" for one in result.turns if one.faults
    ]


def _pairs(pairs: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in pairs.items())


def document(result: Result) -> str:
    """The run as JSON: every leg as measured, then the bars."""
    named = ("bar", "most", "found", "verdict")
    whole = {
        "format": FORMAT,
        **dataclasses.asdict(result),
        "bars": [dict(zip(named, one, strict=True)) for one in bars(result)],
    }
    lines = json.dumps(whole, indent=1)
    return _NUMBERS_ONLY.sub(lambda found: " ".join(found[0].split()), lines) + "\n"  # a point of a curve: one line


def write(result: Result, folder: Path) -> list[Path]:
    """Write latency.md, latency.json and latency.svg into a folder, over those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    servers = [server for server in result.steps if server != TIMED]
    steps: Sequence[str] = list(dict.fromkeys(one.name for s in servers for one in result.steps[s] if one.of == "own"))
    pages = {
        "md": text(result) + f"\n![Latency by percentile]({NAME}.svg)\n",
        "json": document(result),
        "svg": plot(result, steps, servers),
    }
    written = []
    for ending, content in pages.items():
        path = folder / f"{NAME}.{ending}"
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written
