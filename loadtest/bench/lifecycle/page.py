"""The page of `lifecycle.py`: its tables, and its bars with what was found. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from loadtest.bench.lifecycle.result import Flipping, Swept, Timed
from loadtest.bench.report import table
from loadtest.bench.stats import percentile

DECIDE_US_MAX: Final = 20.0
SWEPT_SECONDS_MAX: Final = 10.0
FLIPS_MIN: Final = {"SQLite": 200.0, "PostgreSQL": 500.0}
SUSTAINED: Final = 0.99
"""Of the pace, over a run: the last flips of it are cut off."""
ENFORCED_MS_MAX: Final = 10.0
WAITED_MS_MAX: Final = 50.0


def _row(name: str, timed: Timed) -> list[str]:
    figures = [
        f"{percentile(values, percent):.1f}" if values else "-"
        for values in (timed.enforced_ms, timed.waited_ms)
        for percent in (50, 99, 100)
    ]
    return [name, str(len(timed.waited_ms)), *figures]


def _bar(title: str, bar: float, found: float, unit: str, *, least: bool = False) -> list[str]:
    held = found >= bar if least else found <= bar
    return [title, f"{'>=' if least else '<='} {bar:g} {unit}", f"{found:.1f} {unit}", "PASS" if held else "MISS"]


def page(
    costs: Mapping[str, Mapping[str, float]], flips: Sequence[Flipping], sweeps: Sequence[Swept], machine: str
) -> str:
    """Everything that was found, in Markdown."""
    decisions = table(
        ("rulebook", "decisions", "median, us", "p99, us", "most, us"),
        [[name, *(f"{one[key]:g}" for key in ("decisions", "median_us", "p99_us", "most_us"))]
         for name, one in costs.items()],
    )  # fmt: skip
    rates = table(
        ("flips with the fence", "flips/s", "CPU of the service, ms a flip"),
        [[one.name, f"{one.rate:.0f}",
          f"{one.cpu_seconds * 1000 / max(1, len(one.timed.waited_ms)):.2f}"] for one in flips],
    )  # fmt: skip
    swept = table(
        ("deadlines swept", "accounts", "seconds, the service's start included", "a second", "CPU of the service, s"),
        [[one.ledger, f"{one.accounts:,}", f"{one.seconds:.1f}", f"{one.accounts / one.seconds:,.0f}",
          f"{one.cpu_seconds:.1f}"] for one in sweeps],
    )  # fmt: skip
    names = ("flip, ms", "flips", "enforced p50", "p99", "slowest", "answered p50", "p99", "slowest")
    times = table(
        names,
        [_row(one.name, one.timed) for one in flips]
        + [_row(f"{one.ledger}, beside the sweep", one.timed) for one in sweeps],
    )
    all_timed = [one.timed for one in flips] + [one.timed for one in sweeps]
    faults = [f"- {fault}" for timed in all_timed for fault in timed.faults[:3]]
    parts = ["## A decision", decisions, "## Flips", rates, "## Deadlines", swept, "## How long a flip takes", times]
    parts += ["Enforced: commit -> every worker. Answered: request -> answer, in the service.", *faults]
    parts += ["## Bars", table(("bar", "", "found", ""), _bars(costs, flips, sweeps))]
    return machine + "\n\n".join(parts) + "\n"


def _bars(
    costs: Mapping[str, Mapping[str, float]], flips: Sequence[Flipping], sweeps: Sequence[Swept]
) -> list[list[str]]:
    rows = [
        _bar(
            "a decision, the dearest rulebook's median",
            DECIDE_US_MAX,
            max(c["median_us"] for c in costs.values()),
            "us",
        )
    ]
    for one in sweeps:
        rows.append(_bar(f"{one.accounts:,} deadlines swept, {one.ledger}", SWEPT_SECONDS_MAX, one.seconds, "s"))
        rows += _flip_bars(f"beside the sweep, {one.ledger}", one.timed)
    for ledger, least in FLIPS_MIN.items():
        for paced in flips:
            if paced.ledger == ledger and paced.pace:
                rows.append(_bar(f"flips sustained, {ledger}", least * SUSTAINED, paced.rate, "/s", least=True))
                rows += _flip_bars(f"at that rate, {ledger}", paced.timed)
    return rows


def _flip_bars(when: str, timed: Timed) -> list[list[str]]:
    if not timed.waited_ms:
        return []
    return [
        _bar(f"flip enforced, p99, {when}", ENFORCED_MS_MAX, percentile(timed.enforced_ms, 99), "ms"),
        _bar(f"flip answered, p99, {when}", WAITED_MS_MAX, percentile(timed.waited_ms, 99), "ms"),
    ]
