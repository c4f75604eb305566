"""growth.md: an axis a section, with its form, its picture and its figures. Pure but for `write`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtest.bench.growth.picture import heading, picture
from loadtest.bench.growth.sample import CPU, P99, RSS, Measured
from loadtest.bench.growth.straight import line, words
from loadtest.bench.report import table
from loadtest.bench.stats import Spread

NAME: Final = "growth.md"
INTRODUCTION: Final = (
    "What a hit costs as one thing grows and all else stays: `python -m loadtest.bench.growth` "
    "([how](README.md#growth)). CPU is that of the server's whole process tree, in microseconds a hit: median "
    "(least-most) of the rounds. Each axis is a run of its own; `others` tells where somebody else used the machine. "
    "Figures of two axes compare only roughly."
)
FORM: Final = (
    "Form: a line through the medians by relative error. A point is off it where all of its rounds are more than a "
    "tenth away."
)


def picture_name(axis: str) -> str:
    """The file of an axis' picture."""
    return f"growth-{axis}.svg"


def write(axes: Mapping[str, Measured], folder: Path) -> list[Path]:
    """Write page and pictures, over those of earlier runs."""
    written = [folder / NAME]
    written[0].write_text(text(axes), encoding="utf-8")
    for name, axis in axes.items():
        path = folder / picture_name(name)
        path.write_text(picture(axis), encoding="utf-8")
        written.append(path)
    return written


def text(axes: Mapping[str, Measured]) -> str:
    """The whole page."""
    parts = ["# How cost grows", INTRODUCTION, FORM]
    parts.append(
        "\n".join(f"- [{one.title}](#{_anchor(one.title)}): {one.note or _verdict(one)}" for one in axes.values())
    )
    for axis in axes.values():
        parts += section(axis)
    return "\n\n".join(parts) + "\n"


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")


def _verdict(axis: Measured) -> str:
    """The form of the first series: ours, at one pace where the axis has one."""
    series = axis.series()
    return words(line(axis.points(series[0], axis.figure(CPU))), axis.unit) if series else "not measured"


def section(axis: Measured) -> list[str]:
    """One axis: when and where, form, picture, table, what did not count."""
    parts = [f"## {axis.title}"]
    parts.append("\n".join(_facts(axis)))
    lines = [
        f"- {name}: {words(line(axis.points(name, axis.figure(CPU))), axis.unit)}"
        for name in axis.series()
        if axis.points(name, axis.figure(CPU))
    ]
    if lines:
        parts += [f"{heading(axis, CPU)}:", "\n".join(lines)]
    parts.append(f"![{axis.title}]({picture_name(axis.name)})")
    parts.append(table(*_figures(axis)))
    if void := axis.void():
        told = [f"- {one.series}, {one.x:,.10g}, round {one.round}: {'; '.join(one.faults)}" for one in void]
        parts += ["Void samples:", "\n".join(told)]
    return parts


def _facts(axis: Measured) -> list[str]:
    machine = "; ".join(f"{name}: {value}" for name, value in axis.machine.items())
    return [f"- Measured {axis.at}.", f"- {machine}", *(f"- {name}: {value}" for name, value in axis.settings.items())]


def _figures(axis: Measured) -> tuple[list[str], list[list[str]]]:
    """Headings and a row a point; figures that the axis has nowhere are left out."""
    figures = {heading(axis, CPU): axis.figure(CPU)}
    if axis.per == "hit":
        figures["hits/s"] = lambda one: one.rate if one.hits else math.nan
    figures |= {name: axis.figure(name) for name in (P99, RSS, *axis.extras())}
    figures["others, cores"] = lambda one: one.others
    drawn = {name: {one: dict(axis.by_x(one, figure)) for one in axis.series()} for name, figure in figures.items()}
    names = [name for name in figures if any(drawn[name].values())]
    rows = [
        [series, f"{x:,.10g}", *(_range(drawn[name][series].get(x)) for name in names)]
        for series in axis.series()
        for x in sorted({one.x for one in axis.samples if one.series == series})
    ]
    return ["series", axis.unit, *names], rows


def _range(found: Spread | None) -> str:
    if found is None:
        return "-"
    digits = 2 if abs(found.most) < 100 else 0
    return f"{found.median:,.{digits}f} ({found.least:,.{digits}f}-{found.most:,.{digits}f})"
