"""After the users have gone: ask the system, hold the checks, write the page."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.bench.cpu import Cores
from loadtest.bench.machine import describe
from loadtest.page.html import page
from loadtest.page.summary import summary
from loadtest.reckoning import checks
from loadtest.reckoning.flips import Judged, judge
from loadtest.reckoning.outside import KEPT, Cpu, NotTold, Outcomes, Outside, grown
from loadtest.reckoning.result import Moment, Result, Row
from loadtest.reckoning.tally import Tally
from loadtest.shapes.catalogue import PLANS
from loadtest.shapes.options import Chosen


@dataclass(frozen=True, slots=True)
class Before:
    """What the system said before the first hit; None where it was not told, and `why` then says why by source."""

    outcomes: Outcomes | None
    verified: dict[str, Any] | None
    cpu: Cpu | None
    why: dict[str, str]

    @classmethod
    def look(cls, outside: Outside) -> "Before":
        """Ask each source once."""
        found: dict[str, Any] = {}
        why: dict[str, str] = {}
        asked = {"outcomes": outside.outcomes, "verified": outside.sums, "cpu": outside.cpu}
        for name, ask in asked.items():
            try:
                found[name] = ask()
            except NotTold as error:
                why[name] = str(error)
        return cls(found.get("outcomes"), found.get("verified"), found.get("cpu"), why)


@dataclass(slots=True)
class Run:
    """A run as it goes: what was chosen and found before it, what is sampled, which processes play it.

    seconds: until users were asked to stop; ended: when all had. silent: processes whose tally did not come.
    """

    chosen: Chosen
    target: str
    outside: Outside
    before: Before
    processes: list[str]
    began: float
    seconds: float = 0.0
    ended: float = 0.0
    moments: list[Moment] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def reckon(run: Run, tally: Tally, environment: Any) -> Result:
    """Hold every check that can be made against the system as it stands now."""
    why, before, plan = dict(run.before.why), run.before, PLANS[run.chosen.shape]
    since: Outcomes | None = None
    after: dict[str, Any] | None = None
    cpu: dict[str, float] | None = None
    try:
        cpu = None if before.cpu is None else run.outside.cpu().since(before.cpu)  # before verify makes work
    except NotTold as error:
        why["cpu"] = str(error)
    try:
        if before.outcomes is not None:
            since = run.outside.settled(before.outcomes, tally.answered + tally.malformed)
    except NotTold as error:
        why["outcomes"] = str(error)
    try:
        if before.verified is not None:
            after = run.outside.caught_up(before.verified, tally.answered + tally.malformed)
    except NotTold as error:
        why["verified"] = str(error)
    if since is None and before.verified is not None and after is not None:
        since = grown(before.verified, after)  # no admin port: the same counters by the command line
    judged, why_not_judged = _judged(run, tally) if plan.flips else (None, "")
    found = [
        _handed_over(run, tally),
        *checks.answers(tally),
        *checks.counted(tally, since, why.get("outcomes", "")),
        *checks.stored(since, before.verified, after, why.get("verified", "")),
        *(checks.flips(judged, tally, why_not_judged) if plan.flips else ()),
    ]
    both = before.verified is not None and after is not None
    return Result(
        run.chosen.shape, run.target, run.began, run.seconds, _settings(run, environment), _machine(),
        tally, found, paced=bool(plan.paced), rows=_rows(environment), moments=run.moments, outcomes=since,
        kept=sum(since.get(name, 0) for name in KEPT) if since else None,
        stored=after["warehouse"] - before.verified["warehouse"] if both and after and before.verified else None,
        cpu_seconds=cpu, cpu_why_not=why.get("cpu", ""), saturated=_saturated(environment.runner),
        judged_words=judged.words if judged else (),
    )  # fmt: skip


def _judged(run: Run, tally: Tally) -> tuple[Judged | None, str]:
    try:
        exports = {record.account: list(run.outside.export(record.account)) for record in tally.records}
    except NotTold as error:
        return None, str(error)
    return judge(tally.records, exports), ""


def _handed_over(run: Run, tally: Tally) -> checks.Check:
    """Without a process's tally nobody knows what it sent."""
    words = f"{tally.processes} of {len(run.processes)}"
    return checks.check("every process of the load told what it saw", not run.silent, words)


def _settings(run: Run, environment: Any) -> dict[str, str]:
    chosen, plan = run.chosen, PLANS[run.chosen.shape]
    asked = float(environment.parsed_options.run_time or 0)
    users = f"{chosen.users:,}" + (f", {plan.users_at(15.0, chosen.users):,} in a burst" if plan.bursts else "")
    return {
        "collector": run.target,
        "users": users,
        "browsers' rate": f"{chosen.rate:,.0f} hits/s" + (", ten times that in a burst" if plan.bursts else ""),
        "run time": f"{asked:.0f} s asked; {run.ended - run.began:.1f} s until all users had gone",
        "processes of the load": str(len(run.processes)),
        "seed": str(chosen.seed),
    }


def _machine() -> dict[str, str]:
    """Describe this host, where the load's master ran; nothing is pinned."""
    told = describe(Cores.of_this_machine(), Path.cwd())
    return {**told, "cores": f"{len(os.sched_getaffinity(0))}, nothing pinned", "load average before": ""} | {
        "load average after": f"{os.getloadavg()[0]:.2f} (1 minute)"
    }


def _rows(environment: Any) -> list[Row]:
    entries = sorted(environment.stats.entries.values(), key=lambda entry: (entry.method or "", entry.name))
    return [
        Row(
            entry.method or "", entry.name, entry.num_requests, entry.num_failures,
            float(entry.median_response_time or 0), float(entry.get_response_time_percentile(0.99) or 0),
            float(entry.max_response_time or 0),
        )
        for entry in entries
    ]  # fmt: skip


def _saturated(runner: Any) -> bool:
    """Tell whether locust saw a core of its own full: its latencies are then its own."""
    return bool(runner.cpu_warning_emitted or getattr(runner, "worker_cpu_warning_emitted", False))


def publish(result: Result, to: Path) -> None:
    """Write the page, and what a script reads beside it."""
    result.write(page(result), summary(result, to), to)
