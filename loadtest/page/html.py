"""A run as one HTML file: nothing in it is fetched from anywhere, so it may be mailed, archived and opened offline."""

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from loadtest.page import charts, summary
from loadtest.reckoning.latency import PERCENTS, Latency
from loadtest.reckoning.result import Moment, Result

LAYERS: Final[Mapping[str, tuple[str, ...]]] = {
    "accepted": ("accepted",),
    "hidden": ("hidden",),
    "unverified": ("unverified",),
    "dropped": ("status", "revoked_key", "unknown_key", "no_key"),
    "malformed": ("malformed",),
    "overflow": ("overflow",),
}
"""Of the plot over time: what is drawn as one -> the outcomes in it."""
VERDICTS: Final = ("ACCEPT", "HIDE", "DROP")
MARKS: Final = {"passed": "✓ passed", "failed": "✗ failed", "not made": "– not made"}

WINDOW: Final = 2
"""A rate is taken over so many looks: workers publish as often as is looked, so that one look may miss a second's hits
and the next one see two seconds' of them."""

Cells = Sequence[str]


def page(result: Result) -> str:
    """Write the page: the verdict first, then what it rests on."""
    style = files("loadtest.page").joinpath("style.css").read_text(encoding="utf-8")
    sections = [
        _verdict(result), _figures(result), _over_time(result), _latency(result), _flips(result), _conservation(result),
        _checks(result), _requests(result), _cpu(result), _about(result),
    ]  # fmt: skip
    title = escape(f"{result.verdict}: {result.shape}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def _verdict(result: Result) -> str:
    failed = [one for one in result.checks if one.state == "failed"]
    unmade = sum(one.state == "not made" for one in result.checks)
    made = len(result.checks) - unmade
    words = f"{made - len(failed)} of {made} checks passed" + (f", {unmade} could not be made" if unmade else "")
    items = "".join(f'<li class="failed">{escape(one.name)}: {escape(one.words)}</li>' for one in failed)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(result.began))
    return (
        f'<div class="verdict {result.verdict}"><h1><b>{result.verdict}</b> {escape(result.shape)}</h1>'
        f"<p>{escape(words)}.</p>{f'<ul>{items}</ul>' if items else ''}"
        f'<p class="soft">{escape(result.target)}, {when}, {result.seconds:.0f} s</p></div>'
    )


def _figures(result: Result) -> str:
    tally = result.tally
    latency = tally.due if result.paced else tally.answer
    shown = [
        (f"{tally.sent:,}", "hits sent"),
        (f"{tally.answered / result.seconds if result.seconds else 0:,.0f}/s", "answered"),
        (f"{tally.failed:,}", "failed requests"),
        (f"{latency.percentile_ms(50):.1f} ms", "p50 of a browser's hit"),
        (f"{latency.percentile_ms(99):.1f} ms", "p99 of a browser's hit"),
    ]
    if (collector := result.cpu_us("collector")) is not None:
        shown.append((f"{collector:.0f} us", "CPU a hit, collector"))
    if tally.flips:
        shown.append((f"{len(tally.flips):,}", "flips"))
        check = next((one for one in result.checks if one.name.startswith("hits enforced under")), None)
        if check is not None and check.state != "not made":
            shown.append((check.words.split(" ")[0], "hits under a replaced status"))
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in shown)
    warning = (
        '<p class="failed">A core of the load itself was full: its latencies are partly its own. Use more workers.</p>'
        if result.saturated else ""
    )  # fmt: skip
    return f'<div class="figures">{cells}</div>{warning}'


def _over_time(result: Result) -> str:
    times, layers = rates(result.moments)
    note = "Counted by the system; each value is the mean of the two seconds before."
    if not times:
        seconds = sorted(result.tally.seconds.items())
        times = [float(second) - result.began for second, _ in seconds]
        layers = {"answers": [float(count) for _, count in seconds]}
        note = "Right answers as the load read them; the system's own counters were not seen."
    rug = {
        verdict: [flip.at - result.began for flip in result.flips if flip.verdict == verdict] for verdict in VERDICTS
    }
    drawn = charts.stacked(times, layers, {verdict: marks for verdict, marks in rug.items() if marks})
    return f'<h2>Hits by verdict over time</h2>{drawn}<p class="soft">{note}</p>' if drawn else ""


def rates(moments: Sequence[Moment]) -> tuple[list[float], dict[str, list[float]]]:
    """Make hits a second of what was counted at moments: times, and layer -> a value a time, empty layers left out."""
    times: list[float] = []
    layers: dict[str, list[float]] = {name: [] for name in LAYERS}
    for before, after in zip(moments, moments[WINDOW:], strict=False):
        seconds = max(after.at - before.at, 1e-3)
        times.append(after.at)
        for name, outcomes in LAYERS.items():
            grown = sum(after.outcomes.get(one, 0) - before.outcomes.get(one, 0) for one in outcomes)
            layers[name].append(max(0.0, grown / seconds))
    return times, {name: values for name, values in layers.items() if any(values)} or {"accepted": [0.0] * len(times)}


def _latency(result: Result) -> str:
    tally = result.tally
    lines = {"from_due": tally.due, "from_sent": tally.answer} if result.paced else {"from_sent": tally.answer}
    drawn = charts.percentiles({name: latency.curve_ms() for name, latency in lines.items()})
    if not drawn:
        return ""
    words = {
        "from_due": "due to answered", "from_sent": "sent to answered",
    }  # fmt: skip
    rows = [_percentile_row(words[name], latency) for name, latency in lines.items()]
    rows.append(_percentile_row("due to sent", tally.lateness))
    return (
        f"<h2>Latency of browsers' hits</h2>{drawn}{_percentile_table(rows)}"
        '<p class="soft">Due: from when the visitor\'s schedule wanted the hit sent, so that hits held up by slow '
        "answers count their waiting (no coordinated omission). Sent: from the request itself. Due to sent is what the "
        "load's own loop, and answers before, held a hit up. HdrHistogram, three digits, in milliseconds.</p>"
    )


def _flips(result: Result) -> str:
    if not result.tally.flips:
        return ""
    seen, enforced = Latency(), Latency()
    for flip in result.flips:
        seen.note(flip.seen_ms / 1e3)
        if flip.enforced_ms is not None:
            enforced.note(flip.enforced_ms / 1e3)
    curves = {"asked_to_answered": seen.curve_ms(), "commit_to_enforced": enforced.curve_ms()}
    rows = [
        _percentile_row("asked to answered", seen),
        _percentile_row("commit to the last worker's report", enforced),
    ]
    words = "".join(f"<li>{escape(one)}</li>" for one in result.judged_words)
    faults = f"<p>Hits that were not kept as they had to be:</p><ul>{words}</ul>" if words else ""
    drawn = charts.percentiles({name: curve for name, curve in curves.items() if curve})
    return f"<h2>Flips</h2>{drawn}{_percentile_table(rows)}{faults}"


def _percentile_row(name: str, latency: Latency) -> Cells:
    return [name, f"{len(latency):,}", *(f"{latency.percentile_ms(percent):.2f}" for percent in PERCENTS)]


def _percentile_table(rows: Iterable[Cells]) -> str:
    return table(["ms", "count", *(f"p{percent:g}" if percent < 100 else "max" for percent in PERCENTS)], rows, left=1)


def _conservation(result: Result) -> str:
    tally = result.tally
    outcomes = result.outcomes
    hits = "not seen" if outcomes is None else f"{sum(outcomes.values()) - outcomes.get('malformed', 0):,}"
    rows = [
        ["hits sent", f"{tally.sent:,}", "by the load"],
        ["hits answered", f"{tally.answered:,}", "read whole by the load"],
        ["hits counted", hits, summary.outcomes(result)],
        ["hits kept", "not seen" if result.kept is None else f"{result.kept:,}", "accepted, hidden, unverified"],
        ["in the warehouse", "not seen" if result.stored is None else f"{result.stored:,}", "more than before the run"],
        ["other requests sent", f"{tally.malformed + tally.others:,}", f"{tally.malformed:,} of them malformed"],
    ]
    body = "".join(f'<tr><td>{name}</td><td class="n">{n}</td><td>{escape(words)}</td></tr>' for name, n, words in rows)
    return f"<h2>Conservation</h2><table><tbody>{body}</tbody></table>"


def _checks(result: Result) -> str:
    body = "".join(
        f'<tr><td class="{one.state.replace(" ", "-")}">{MARKS[one.state]}</td><td>{escape(one.name)}</td>'
        f"<td>{escape(one.words)}</td></tr>"
        for one in result.checks
    )
    return f"<h2>Checks</h2><table><tbody>{body}</tbody></table>"


def _requests(result: Result) -> str:
    rows = [
        [f"{row.kind} {row.name}", f"{row.requests:,}", f"{row.failures:,}", f"{row.median_ms:,.0f}",
         f"{row.p99_ms:,.0f}", f"{row.max_ms:,.0f}"]
        for row in result.rows
    ]  # fmt: skip
    heads = ["locust's statistics, ms", "requests", "failed", "median", "p99", "max"]
    return f"<h2>Requests</h2>{table(heads, rows, left=1)}" if rows else ""


def _cpu(result: Result) -> str:
    if result.cpu_seconds is None:
        return f'<h2>CPU</h2><p class="soft">Not known: {escape(result.cpu_why_not)}.</p>'
    rows = [
        [role, f"{seconds:.2f}", f"{result.cpu_us(role) or 0:.0f}"]
        for role, seconds in sorted(result.cpu_seconds.items(), key=lambda item: -item[1])
    ]
    rows.append(["all", f"{sum(result.cpu_seconds.values()):.2f}", f"{result.cpu_us() or 0:.0f}"])
    return (
        f"<h2>CPU of the server</h2>{table(['role', 'seconds', 'us a hit'], rows, left=1)}"
        '<p class="soft">User and system time of its processes over the run, idle work included: at a low rate a hit '
        "bears more of that, and shares its tick with fewer others. The load ran on the same cores where both are on "
        "one host.</p>"
    )


def _about(result: Result) -> str:
    pairs = [(name, value) for told in (result.settings, result.machine) for name, value in told.items() if value]
    body = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in pairs)
    return f"<h2>Run and machine</h2><table><tbody>{body}</tbody></table>"


def table(heads: Cells, rows: Iterable[Cells], left: int) -> str:
    """Write a table; the first `left` columns hold words, the others numbers."""
    head = "".join(f"<th{_kind(at, left)}>{escape(cell)}</th>" for at, cell in enumerate(heads))
    body = "".join(
        f"<tr>{''.join(f'<td{_kind(at, left)}>{escape(cell)}</td>' for at, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(at: int, left: int) -> str:
    return "" if at < left else ' class="n"'
