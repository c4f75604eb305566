"""A run written down: a table for the terminal, Markdown and JSON for docs. Pure but for `write`."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.bench.bars import FLOOR, TLS_FLOOR, judge
from loadtest.bench.plot import plot
from loadtest.bench.result import FORMAT, Flips, Look, Result
from loadtest.bench.stats import Spread, percentile
from loadtest.peers.server import SCENARIOS, Scenario

NAME = "results"
KEPT_NOTE = (
    "`kept`, over warm-up and looks: `all N + M` is every one of N answered hits, and M that were sent and kept while "
    "wrk had stopped reading. `x C floor`, `x nginx-lua-tls`: median of the looks' ratios. `others`: what anybody "
    "else took of a core meanwhile."
)
FLOORS = {False: ("x C floor", FLOOR), True: (f"x {TLS_FLOOR}", TLS_FLOOR)}
"""What stands in the second column, and whose ratio it is: without TLS, with it."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Draw a Markdown table whose columns also line up as plain text; the first is a name, all else is to the right."""
    widths = [max(len(line[at]) for line in (headings, *rows)) for at in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[0] = cells[0].ljust(widths[0])
        return f"| {' | '.join(padded)} |"

    rule = [("-" * width) if at == 0 else ("-" * (width - 1) + ":") for at, width in enumerate(widths)]
    return "\n".join((line(headings), line(rule), *(line(row) for row in rows)))


def _range(found: Spread | None, digits: int) -> str:
    if found is None:
        return "-"
    return f"{found.median:,.{digits}f} ({found.least:,.{digits}f}-{found.most:,.{digits}f})"


def _kept(looks: Sequence[Look]) -> str:
    """What was kept of all answered hits; more than all are those wrk had sent and no longer read."""
    counted = list({one.round: one.kept for one in looks if one.kept}.values())  # a turn's looks share it
    if not counted:
        return "nothing"
    kept, answered = sum(one.kept for one in counted), sum(one.answered for one in counted)
    return (
        f"all {answered:,} + {kept - answered}" if all(one.conserved for one in counted) else f"{kept:,}/{answered:,}"
    )


def scenario_table(result: Result, scenario: Scenario) -> str:
    """A row a server that was measured there; a column more where one stood behind a proxy."""
    heading, floor = FLOORS[scenario.tls]
    headings = ("server", "CPU us a hit", heading, "hits/s", "core busy", "others", "kept", "looks")
    rows = scenario_rows(result, scenario.name, floor)
    fronts = [result.spread(row[0], scenario.name, lambda one: one.front_cpu_us) for row in rows]
    if not any(front and front.most > 0 for front in fronts):
        return table(headings, rows)
    told = [f"{front.median:,.1f}" if front and front.most > 0 else "-" for front in fronts]
    wider = [[*row[:2], front, *row[2:]] for row, front in zip(rows, told, strict=True)]
    return table((*headings[:2], "of it the proxy", *headings[2:]), wider)


def scenario_rows(result: Result, scenario: str, floor: str = FLOOR) -> list[list[str]]:
    """One row a server that was measured there, in the order of the run."""
    rows = []
    for name in result.played(scenario):
        valid = result.valid(name, scenario)
        busy = result.spread(name, scenario, lambda one: one.busy)
        others = result.spread(name, scenario, lambda one: one.others)
        played = sum((one.server, one.scenario) == (name, scenario) for one in result.looks)
        ratio = result.ratio(name, floor, scenario)
        rows.append(
            [
                name,
                _range(result.spread(name, scenario, lambda one: one.cpu_us), 1),
                f"{ratio.median:.2f}" if ratio else "-",
                _range(result.spread(name, scenario, lambda one: one.rate), 0),
                f"{busy.median:.0%}" if busy else "-",
                f"{others.median:.0%}" if others else "-",
                _kept(valid),
                f"{len(valid)} of {played}",
            ]
        )
    return rows


def bars_table(result: Result) -> str:
    """The bars and moonshots, each with what was found and PASS or MISS."""
    rows = [[one.title, one.bar, one.moonshot, one.found, one.verdict] for one in judge(result)]
    return table(("figure", "bar", "moonshot", "found", "verdict"), rows)


def flips_table(flips: Flips) -> str:
    """The flips' times by percentile."""
    named = {
        "commit to enforced by every worker": flips.enforced_ms,
        "request to answer, in the service": flips.waited_ms,
    }
    named["request to answer, as its caller saw it"] = flips.seen_ms
    rows = [
        [name, *(f"{percentile(values, percent):.2f}" for percent in (50, 99, 100)), str(len(values))]
        for name, values in named.items()
        if values
    ]
    return table(("flip, ms", "p50", "p99", "slowest", "flips"), rows)


def text(result: Result) -> str:
    """Everything a reader needs, in Markdown that reads well on a terminal."""
    parts = [f"# Benchmark of {result.at}", "## Machine", _pairs(result.machine), "## Run", _pairs(result.settings)]
    for scenario in SCENARIOS:
        if result.played(scenario.name):
            parts += [f"## CPU a hit, {scenario.title}: median (least-most)", scenario_table(result, scenario)]
    parts.append(KEPT_NOTE)
    parts += ["## Flips under load", _flips(result), "## Bars", bars_table(result), "## Who does what"]
    parts.append(
        "\n".join(f"- `{one.name}`: {one.skipped or f'{one.job} [{one.version}]'}" for one in result.contenders)
    )
    if void := result.void():
        lines = [f"- {one.server}, {one.scenario}, {one.round}.{one.number}: {'; '.join(one.faults)}" for one in void]
        parts += ["## Void looks", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _pairs(pairs: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in pairs.items())


def _flips(result: Result) -> str:
    flips = result.flips
    if flips is None:
        return f"Not measured: {result.flips_skipped or 'left out of this run'}."
    lines = [f"{flips.workers} workers, {flips.hits_per_second:,.0f} hits/s meanwhile."]
    if flips.enforced_ms or flips.seen_ms:
        lines.append(flips_table(flips))
    lines += [f"Fault: {fault}" for fault in flips.faults]
    return "\n\n".join(lines)


def document(result: Result) -> str:
    """The run as JSON: every round as measured, then what was made of them."""
    whole = {
        "format": FORMAT,
        **dataclasses.asdict(result),
        "bars": [dataclasses.asdict(verdict) for verdict in judge(result)],
    }
    return json.dumps(whole, indent=1) + "\n"


def write(result: Result, folder: Path) -> list[Path]:
    """Write results.md, results.json and results.svg into a folder, over those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"md": text(result) + f"\n![CPU a hit]({NAME}.svg)\n", "json": document(result), "svg": plot(result)}
    written = []
    for ending, content in pages.items():
        path = folder / f"{NAME}.{ending}"
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written
