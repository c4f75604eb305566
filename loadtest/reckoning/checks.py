"""The checks of a run. Pure: what was seen and what the system says go in, verdicts come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from loadtest.reckoning.flips import Judged
from loadtest.reckoning.outside import KEPT, Outcomes
from loadtest.reckoning.tally import Tally

State = Literal["passed", "failed", "not made"]


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, held against the run."""

    name: str
    state: State
    words: str


def check(name: str, passed: bool, words: str) -> Check:
    """Decide by a truth value."""
    return Check(name, "passed" if passed else "failed", words)


def answers(tally: Tally) -> list[Check]:
    """Check what the load alone can see: every request answered as promised, every answer the same bytes."""
    wrong = "; ".join(f"{words} ({count:,}x)" for words, count in tally.wrong.most_common(5))
    others = tally.malformed + tally.others
    asked = tally.sent + others
    return [
        check("hits were sent", tally.sent > 0, f"{tally.sent:,} hits, {others:,} other requests"),
        check("every request is answered as promised", tally.failed == 0,
              f"{tally.failed:,} of {asked:,} were not: {wrong}" if tally.failed else f"{asked:,} were"),
        check("sent = answered", tally.sent == tally.answered,
              f"{tally.sent:,} hits sent, {tally.answered:,} answered"),
        _same(tally),
    ]  # fmt: skip


def _same(tally: Tally) -> Check:
    """I2: a website never learns an account's state."""
    name, kinds = "every pixel's answer is the same, but for its date", len(tally.fingerprints)
    if not tally.fingerprints:
        return Check(name, "not made", "no whole answer of a browser's pixel was read")
    return check(name, kinds == 1, f"{kinds} kind{'s' * (kinds > 1)} of answer in {sum(tally.fingerprints.values()):,}")


def counted(tally: Tally, since: Outcomes | None, why_not: str) -> list[Check]:
    """Check that the system counted exactly what was sent: hits, and malformed requests."""
    name = "answered = counted"
    if since is None:
        return [Check(name, "not made", why_not)]
    malformed, overflow = since.get("malformed", 0), since.get("overflow", 0)
    hits = sum(since.values()) - malformed
    words = (
        f"{tally.answered:,} hits answered, {hits:,} counted; {tally.malformed:,} malformed sent, {malformed:,} counted"
    )
    if hits > tally.answered:
        words += "; did anybody else send hits?"
    return [
        check(name, hits == tally.answered and malformed == tally.malformed, words),
        check("no hit overflowed", overflow == 0, f"{overflow:,} answered 503 for want of room in a journal"),
    ]


def stored(
    since: Outcomes | None, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, why_not: str
) -> list[Check]:
    """Check that what was counted as kept is in the warehouse, and that the system's own `verify` finds no fault."""
    name = "kept = in the warehouse"
    if before is None or after is None:
        return [Check(name, "not made", why_not), Check("pixelgate verify", "not made", why_not)]
    kept = sum((since or {}).get(one, 0) for one in KEPT) if since else after["kept_counted"] - before["kept_counted"]
    settled_away = after["settled_away"] - before["settled_away"]
    there = after["warehouse"] - before["warehouse"]
    words = f"{kept:,} counted as kept, {there:,} more in the warehouse"
    words += f", {settled_away:,} settled away" if settled_away else ""
    words += f", {after['owed']:,} still owed" if after["owed"] else ""
    faults = "; ".join(map(str, after["faults"][:3]))
    return [
        check(name, kept == there + settled_away and not after["owed"], words),
        check(
            "pixelgate verify",
            after["ok"] is True,
            faults or f"{after['kept']:,} kept, history of {after['history']:,}",
        ),
    ]


def flips(judged: Judged | None, tally: Tally, why_not: str) -> list[Check]:
    """Check that no hit was enforced under a status that `--wait` had replaced."""
    name = "hits enforced under a replaced status: 0"
    if judged is None:
        return [Check(name, "not made", why_not)]
    words = (
        f"{judged.faults:,} of {judged.certain + judged.between:,} hits looked at ({judged.replaced:,} under another "
        f"status, {judged.missing:,} too few, {judged.twice + judged.unsent:,} too many), {judged.flips:,} flips"
    )
    if judged.unjudged:
        words += f"; {judged.unjudged:,} not looked at"
    return [
        check(name, judged.faults == 0, words),
        check("flips and hits were there to look at", judged.flips > 0 and judged.certain > 0,
              f"{judged.flips:,} flips, {judged.certain:,} hits outside of them, {judged.between:,} during one"),
        check("every flip was enforced", tally.flips_failed == 0, f"{tally.flips_failed:,} flips failed"),
    ]  # fmt: skip


def verdict(checks: Sequence[Check]) -> Literal["PASS", "FAIL"]:
    """Sum up: FAIL where one failed."""
    return "FAIL" if any(one.state == "failed" for one in checks) else "PASS"
