"""The wording of every refusal: what happened, what is allowed from here, what is needed, in the command line's words.

Called by `lifecycle.py` and `terms.py` alone; each function returns the error to raise. Nothing here decides.
"""

import difflib
from dataclasses import dataclass
from typing import Final

from gating.account import Account, Deadline
from gating.errors import Refused
from gating.rulebook import PERIOD_END, Policy, Row, StatusRule, Through, plan_fits
from gating.status import Command, Status
from gating.times import rfc3339

NO_SUCH_COMMAND: Final = "no_such_command"
"""The rule of a command that the rulebook does not have: its name is whatever somebody wrote."""


class RoleRefused(Refused):
    """The command exists here, but not for this role."""

    http_status = 403
    code = "role_refused"


class NeedsMissing(Refused):
    """The command may be carried out once it is given what the rulebook wants of it."""

    code = "needs_missing"


@dataclass(frozen=True, slots=True)
class Asked:
    """Something a command still wants. `given`: it was given, but not so that it counts."""

    text: str
    given: bool = False


def allowed_from(policy: Policy, account: Account) -> tuple[Command, ...]:
    """The commands with a row for where the account stands, guards met or not; sorted."""
    found: set[Command] = set()
    through = Through.ALL
    for layer in reversed(account.layers):
        for command, rows in policy.commands.items():
            usable = rows if through is Through.ALL else tuple(row for row in rows if row.passes())
            if any(layer.status in row.sources for row in usable):
                found.add(command)
        rule: StatusRule = policy.statuses[layer.status]
        if rule.through is Through.NOBODY:
            break
        if rule.through is Through.SYSTEM:
            through = Through.SYSTEM
    return tuple(sorted(found))


def unknown_command(policy: Policy, name: str) -> Refused:
    """No such command in this rulebook; the nearest ones are suggested."""
    near = difflib.get_close_matches(name.casefold(), policy.commands, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return Refused(
        f"rulebook {policy.name} has no command {name[:40]!r}; {hint}it has: {', '.join(sorted(policy.commands))}",
        rule=NO_SUCH_COMMAND,
    )


def deadline_first(account: Account, deadline: Deadline) -> Refused:
    """A deadline has come that was not applied yet: it wins over the command."""
    return Refused(
        f"account {account.id} became {deadline.then} at {rfc3339(deadline.at_us)} by its deadline, "
        "which must be applied before any command",
        rule="deadline_first",
    )


def not_from_here(policy: Policy, account: Account, command: str) -> Refused:
    """The status has no row for the command: it is the status's own rule that refuses it."""
    place = policy.statuses[account.status].place
    if account.status is Status.DELETED:
        return Refused(
            f"{command} is not possible: account {account.id} is DELETED, which is final ({place}); create a new one",
            rule="deleted",
        )
    sources = sorted({status for row in policy.commands[Command(command)] for status in row.sources})
    return Refused(
        f"{command} is not possible in {account.status}, only in {', '.join(sources)}; "
        f"allowed from {account.status}: {', '.join(allowed_from(policy, account)) or 'nothing'} ({place})",
        rule=str(place),
    )


def guard_failed(policy: Policy, account: Account, row: Row) -> Refused:
    """There are rows for the status, but the account's plan or the time that has passed meets none."""
    if row.within is not None and plan_fits(row.plans, account.plan):
        why = f"the time for it, {span_text(row.within.span_us)} from {row.within.anchor}, has passed"
    else:
        plans = sorted({plan for other in policy.commands[row.command] for plan in other.plans})
        why = f"the account's plan is {account.plan or 'none'}, it is for plan {' or '.join(plans)}"
    return Refused(
        f"{row.command} is not possible in {account.status} now: {why} ({row.place}); "
        f"allowed from {account.status}: {', '.join(allowed_from(policy, account))}",
        rule=str(row.place),
    )


def role_refused(row: Row, role: str) -> Refused:
    """The role may not carry the row out; the rulebook's advice says in its own words who helps."""
    grants = ", ".join(dict.fromkeys([*(str(grant) for grant in row.by), "operator"]))
    told = f". {row.advice}" if row.advice else ""
    return RoleRefused(
        f"{row.command} may not be carried out --as {role}; it may by: {grants} ({row.place}){told}",
        rule=str(row.place),
    )


def needs_missing(row: Row, missing: list[str]) -> Refused:
    """Everything the row still wants."""
    return NeedsMissing(f"{row.command} needs {'; and '.join(missing)} ({row.place})", rule=str(row.place))


def values_unknown(row: Row, unknown: list[str]) -> Refused:
    """Values were given that the row has no use for: refused rather than lost."""
    takes = [need.name for need in row.needs if need.name not in ("reason", "confirm", "answered")]
    rest = f"it takes --set {', '.join(takes)}" if takes else "it takes no --set"
    names = ", ".join(name[:40] for name in unknown)
    return NeedsMissing(f"{row.command} has no use for --set {names}; {rest} ({row.place})", rule=str(row.place))


def check_deadline_known(policy: Policy, after: Account, to: Status, row: Row) -> None:
    """Raise NeedsMissing where the command leads to a status that ends with a paid period whose end nobody has told."""
    rule = policy.statuses[to].deadline
    if rule is None or rule.when.anchor != PERIOD_END or not plan_fits(rule.plans, after.plan):
        return
    if PERIOD_END not in after.anchors:
        raise needs_missing(row, [f"--set {PERIOD_END}=TIME, since {to} lasts until then"])


def span_text(span_us: int) -> str:
    """A span in the rulebook's words, in the largest unit that is whole."""
    for unit, unit_us in (("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000)):
        if span_us % unit_us == 0:
            return f"{span_us // unit_us}{unit}"
    return f"{span_us // 1_000_000}s"
