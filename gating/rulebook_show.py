"""A rulebook for people: its tables as plain data, and its diagram drawn from them.

Called by the command line's `rulebook show [--diagram]` and the API; pure.
"""

from typing import Any

from gating.refusal import span_text
from gating.rulebook import DeadlineRule, EffectRule, Policy, Row, StatusRule
from gating.rulebook_check import steps_of
from gating.rulebook_ways import moment_text
from gating.status import Status


def show(policy: Policy) -> dict[str, Any]:
    """The rulebook's tables as JSON-able data, each line of them with the place it stands."""
    return {
        "rulebook": policy.name,
        "title": policy.title,
        "digest": policy.digest,
        "start": policy.start.value,
        "trial": None if policy.trial_us is None else span_text(policy.trial_us),
        "statuses": [_status(rule) for rule in policy.statuses.values()],
        "commands": [_row(row) for rows in policy.commands.values() for row in rows],
        "lapse": {to.value: [_effect(effect) for effect in effects] for to, effects in policy.lapse_effects.items()},
        "reasons": {command: list(policy.reason_codes(command)) for command in policy.reasons},
        "dates": {name: f"{span_text(date.span_us)} after entering" for name, date in policy.dates.items()},
        "allowances": dict(policy.allowances),
        "promises": dict(policy.promises),
    }


def mermaid(policy: Policy) -> str:
    """A Mermaid state diagram: commands by name, deadlines by their moment, `previous` to all that can lie beneath."""
    lines = ["stateDiagram-v2", f"    [*] --> {policy.start}"]
    for rule in policy.statuses.values():
        meaning = "as beneath" if rule.inherits else f"{rule.verdict.name}, {rule.access}"
        lines.append(f'    state "{rule.status} ({meaning})" as {rule.status}')
    for (source, target), labels in _edges(policy).items():
        lines.append(f"    {source} --> {target}: {', '.join(labels)}")
    if Status.DELETED in policy.statuses:
        lines.append("    DELETED --> [*]")
    return "\n".join(lines) + "\n"


def _edges(policy: Policy) -> dict[tuple[Status, Status], list[str]]:
    edges: dict[tuple[Status, Status], list[str]] = {}
    for status, rule in policy.statuses.items():
        for label, target in steps_of(policy.statuses, policy.commands, status):
            labels = edges.setdefault((status, target), [])
            if label not in labels:
                labels.append(label)
        if rule.deadline is not None:
            edges.setdefault((status, rule.deadline.then), []).append(moment_text(rule.deadline.when))
    return edges


def _deadline(rule: DeadlineRule | None) -> str | None:
    if rule is None:
        return None
    only = f" (plan {' or '.join(rule.plans)})" if rule.plans else ""
    return f"{moment_text(rule.when)} => {rule.then}{only}"


def _status(rule: StatusRule) -> dict[str, Any]:
    return {
        "status": rule.status.value,
        "verdict": None if rule.inherits else rule.verdict.name,
        "access": None if rule.inherits else rule.access.value,
        "deadline": _deadline(rule.deadline),
        "due": None if rule.due_workdays is None else f"{rule.due_workdays}bd",
        "inherits": rule.inherits,
        "stops_clock": rule.stops_clock,
        "through": rule.through.value,
        "promises": list(rule.promises),
        "place": str(rule.place),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "command": row.command,
        "from": sorted(row.sources),
        "to": row.to.value,
        "by": [str(grant) for grant in row.by],
        "needs": [need.name + ("?" if need.optional else "") for need in row.needs],
        "plan": list(row.plans),
        "within": None if row.within is None else moment_text(row.within),
        "effects": [_effect(effect) for effect in row.effects],
        "advice": row.advice,
        "promises": list(row.promises),
        "place": str(row.place),
    }


def _effect(effect: EffectRule) -> str:
    arguments = [f"{name}={value}" for name, value in effect.arguments.items()]
    arguments += [] if effect.when is None else [moment_text(effect.when)]
    return f"{effect.name}({', '.join(arguments)})" if arguments else effect.name
