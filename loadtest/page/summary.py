"""A run in five lines."""

from pathlib import Path

from loadtest.reckoning.latency import Latency
from loadtest.reckoning.result import Result

PERCENTS = (50.0, 99.0, 99.9, 100.0)


def summary(result: Result, to: Path) -> list[str]:
    """Write the five lines: load, latency, flips or outcomes, conservation, verdict; then why, where it failed."""
    tally = result.tally
    rate = tally.answered / result.seconds if result.seconds else 0.0
    load = (
        f"{result.shape:<16} {result.seconds:.0f} s: {tally.sent:,} hits ({rate:,.0f}/s), "
        f"{tally.malformed + tally.others:,} other requests, {tally.failed:,} failed{cpu(result)}"
    )
    lines = [
        load,
        f"{'latency':<16} {latency(result)}",
        f"{'flips' if tally.flips else 'outcomes':<16} {flips(result) if tally.flips else outcomes(result)}",
        f"{'conservation':<16} {conservation(result)}",
        f"{result.verdict:<16} {to}",
    ]
    failed = [f"  failed: {one.name}: {one.words}" for one in result.checks if one.state == "failed"]
    unmade = [f"  not made: {one.name}: {one.words}" for one in result.checks if one.state == "not made"]
    return lines + failed + unmade


def cpu(result: Result) -> str:
    """Say what a hit cost the server, where that is known."""
    whole, collector = result.cpu_us(), result.cpu_us("collector")
    if whole is None or collector is None:
        return ""
    return f"; CPU {collector:.0f} us a hit in the collector, {whole:.0f} in all"


def latency(result: Result) -> str:
    """Say percentiles: from the due moment where users hold a schedule."""
    tally = result.tally
    which: Latency = tally.due if result.paced else tally.answer
    if not len(which):
        return "no browser's hit was answered"
    told = "  ".join(f"{_percentile(one)} {which.percentile_ms(one):.1f}" for one in PERCENTS)
    of = "from when each hit was due" if result.paced else "from when each hit was sent"
    return f"{told} ms, {of}" + ("; THE LOAD'S OWN CORE WAS FULL" if result.saturated else "")


def _percentile(percent: float) -> str:
    return "max" if percent == 100.0 else f"p{percent:g}"


def flips(result: Result) -> str:
    """Say how many flips there were, how long they took, and the number that must be 0."""
    seen, enforced = Latency(), Latency()
    for flip in result.tally.flips:
        seen.note(flip.seen_ms / 1e3)
        if flip.enforced_ms is not None:
            enforced.note(flip.enforced_ms / 1e3)
    check = next((one for one in result.checks if one.name.startswith("hits enforced under")), None)
    of = f"; hits under a replaced status: {check.words.partition(' (')[0]}" if check else ""
    if check and check.state == "not made":
        of = "; hits under a replaced status: not looked at"
    return (
        f"{len(seen):,}: asked to answered p50 {seen.percentile_ms(50):.1f}  p99 {seen.percentile_ms(99):.1f} ms, "
        f"commit to enforced p99 {enforced.percentile_ms(99):.1f} ms{of}"
    )


def outcomes(result: Result) -> str:
    """Say what became of the hits, as the system counted."""
    if result.outcomes is None:
        return "not known: the system's counters were not seen"
    return ", ".join(f"{name} {count:,}" for name, count in result.outcomes.items() if count) or "nothing was counted"


def conservation(result: Result) -> str:
    """Say the chain of equal numbers, or where it breaks."""
    tally = result.tally
    chain = f"sent {tally.sent:,} {_sign(tally.sent, tally.answered)} answered {tally.answered:,}"
    if result.outcomes is not None:
        hits = sum(result.outcomes.values()) - result.outcomes.get("malformed", 0)
        chain += f" {_sign(tally.answered, hits)} counted {hits:,}"
    if result.kept is not None and result.stored is not None:
        chain += f"; kept {result.kept:,} {_sign(result.kept, result.stored)} in the warehouse {result.stored:,}"
    return chain


def _sign(left: int, right: int) -> str:
    return "=" if left == right else "!="
