"""The ways of a rulebook: from which status what leads where, as whoever draws it wants to know.

Made from a `Policy` for `rulebook_svg.py`; pure. It decides nothing and knows no shapes.
"""

from dataclasses import dataclass
from enum import StrEnum

from gating.refusal import span_text
from gating.rulebook import Moment, Policy, To
from gating.rulebook_check import beneath_of
from gating.status import Status


class Kind(StrEnum):
    """How a status is left: by somebody's command, by its deadline, or for whatever lies beneath it."""

    COMMAND = "command"
    DEADLINE = "deadline"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Way:
    """From `source` to `targets`: one, or for `previous` every status that can lie beneath. labels: never empty."""

    source: Status
    targets: tuple[Status, ...]
    kind: Kind
    labels: tuple[str, ...]


def ways_of(policy: Policy) -> list[Way]:
    """Every way that changes the status, in the order of the statuses; commands of one way are told together."""
    found: dict[tuple[Status, tuple[Status, ...], Kind], list[str]] = {}

    def note(source: Status, targets: tuple[Status, ...], kind: Kind, label: str) -> None:
        labels = found.setdefault((source, targets, kind), [])
        if label not in labels:
            labels.append(label)

    rows = [row for rows in policy.commands.values() for row in rows]
    for status, rule in policy.statuses.items():
        for row in rows:
            if status not in row.sources or row.to is To.SAME or row.to is status:
                continue
            if row.to is To.PREVIOUS:
                beneath = tuple(beneath_of(policy.statuses, policy.commands, status))
                note(status, beneath, Kind.PREVIOUS, row.command)
            else:
                note(status, (Status(row.to),), Kind.COMMAND, row.command)
        if rule.deadline is not None:
            plans = f", {' or '.join(rule.deadline.plans)}" if rule.deadline.plans else ""
            note(status, (rule.deadline.then,), Kind.DEADLINE, moment_text(rule.deadline.when) + plans)
    return [Way(source, targets, kind, tuple(labels)) for (source, targets, kind), labels in found.items()]


def staying(policy: Policy, status: Status) -> list[str]:
    """The commands that leave the status as it is, in the rulebook's order."""
    rows = [row for rows in policy.commands.values() for row in rows if status in row.sources]
    return list(dict.fromkeys(row.command for row in rows if row.to is To.SAME or row.to is status))


def layers(policy: Policy) -> list[Status]:
    """The statuses by how many steps they are from the start; of as many, in the rulebook's order; DELETED last."""
    steps = {policy.start: 0}
    todo = [policy.start]
    while todo:
        source = todo.pop(0)
        for way in ways_of(policy):
            for target in way.targets if way.source is source else ():
                if target not in steps:
                    steps[target] = steps[source] + 1
                    todo.append(target)
    known = list(policy.statuses)
    return sorted(known, key=lambda status: (status is Status.DELETED, steps.get(status, len(known))))


def moment_text(moment: Moment) -> str:
    """`anchor + span`, or the anchor alone where nothing is added."""
    return f"{moment.anchor} + {span_text(moment.span_us)}" if moment.span_us else moment.anchor
