"""The lifecycle of an account: pure and total, a rulebook's table in and a decision out.

Called by `service.py` inside its write transaction, and by the sweeper; does no I/O, reads no clock, knows no product.
`now_us` is microseconds UTC and counts as never before the account's last change, so a clock that goes back changes
no past decision.

The order is the caller's to keep, and `carry_out` keeps it: first every deadline that has come (`due`), then the
command (`decide`), then the deadlines that had already passed on entering. `decide` itself refuses to run past a
deadline that has come rather than apply it: one decision is one change, and at its instant the deadline wins.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gating import refusal, stack
from gating.account import LAST_ACTIVITY, Account, Decision, Effect, Request, Standing
from gating.rulebook import PERIOD_END, EffectRule, Policy, Row, StatusRule, Through, To, plan_fits
from gating.status import LAPSE, Command, Status
from gating.terms import checked_values, may

OPEN = Command("create")
"""How an account's beginning is written in the history."""


SILENCE_UNKNOWN: Final = 0
"""For whoever asks without the consumers' reports: a deadline on activity comes only once it is recorded."""


def open_account(policy: Policy, account_id: str, plan: str | None, now_us: int) -> Decision:
    """A new account in the rulebook's start status; its anchors `created` and `last_activity` are `now_us`."""
    account = stack.opened(policy, account_id, plan, OPEN, now_us)
    rule = policy.statuses[policy.start]
    return _decision(policy, account, OPEN, (policy.start, policy.start), at_us=now_us, rule=str(rule.place))


def has_come(account: Account, now_us: int, known_us: int | None = None) -> bool:
    """Tell whether the account's deadline has come.

    known_us: up to when its activity is known (None: up to now); one that slides with activity comes no sooner.
    """
    deadline = account.deadline
    if deadline is None or deadline.at_us > now_us:
        return False
    return deadline.fixed or known_us is None or deadline.at_us <= known_us


def decide(policy: Policy, account: Account, request: Request, now_us: int, known_us: int | None = None) -> Decision:
    """What the command comes to. A repetition in the status it leads to gives `changed=False` and no effects.

    known_us: as `has_come` takes it. Raises Refused (RoleRefused, NeedsMissing) in the command line's words: what
    happened, what is allowed from here or what is missing. Refuses too while a deadline that has come has not been
    applied by `due`.
    """
    now_us = max(now_us, account.changed_at_us)
    if request.command not in policy.commands:
        raise refusal.unknown_command(policy, request.command)
    if account.deadline is not None and has_come(account, now_us, known_us):
        raise refusal.deadline_first(account, account.deadline)
    index, row, repeated = _find(policy, account, request, now_us)
    if repeated:
        return _unchanged(policy, account, row, index, now_us)
    values = checked_values(policy, account, row, request, index)
    return _carry(policy, account, row, index, values=values, now_us=now_us)


def due(policy: Policy, account: Account, now_us: int, known_us: int | None = None) -> tuple[Decision, ...]:
    """Every deadline that has come by `now_us`, in order, each dated at its moment but never before the last change.

    known_us: as `has_come` takes it.
    """
    decisions: list[Decision] = []
    while (deadline := account.deadline) is not None and has_come(account, now_us, known_us):
        at_us = max(deadline.at_us, account.changed_at_us)
        index = account.deadline_index
        from_ = account.layers[index].status
        after = stack.moved(policy, account, index, deadline.then, command=LAPSE, now_us=at_us)
        effects = _effects(policy.lapse_effects.get(deadline.then, ()), after, {}, at_us)
        rule = str(policy.statuses[from_].place)
        way = (from_, deadline.then)
        decisions.append(_decision(policy, after, LAPSE, way, at_us=at_us, rule=rule, effects=effects))
        account = after
    return tuple(decisions)


def carry_out(policy: Policy, account: Account, request: Request, now_us: int) -> tuple[Decision, ...]:
    """The deadlines that have come, the command, and the deadlines that had passed as it was entered: all in order.

    Raises Refused like `decide`; what came due before it is then still to be applied by the caller.
    """
    now_us = max(now_us, account.changed_at_us)
    before = due(policy, account, now_us)
    decision = decide(policy, before[-1].account if before else account, request, now_us)
    return (*before, decision, *due(policy, decision.account, now_us))


def standing(policy: Policy, account: Account) -> Standing:
    """What the gate needs. A deadline that slides with activity is never given: only the sweeper may carry it out."""
    rule = _ruling(policy, account)
    deadline = account.deadline
    final = account.status is Status.DELETED
    if deadline is None or not deadline.fixed:
        return Standing(rule.verdict, rule.access, None, None, final)
    return Standing(rule.verdict, rule.access, deadline.at_us, policy.statuses[deadline.then].verdict, final)


def allowed(policy: Policy, account: Account) -> tuple[Command, ...]:
    """The commands that have a row for where the account stands, whoever may carry them out; sorted."""
    return refusal.allowed_from(policy, account)


def active(policy: Policy, account: Account, at_us: int) -> Account:
    """The account after a kept hit or a sign-in at `at_us`: deadlines on activity slide, nothing else changes."""
    if at_us <= account.anchors.get(LAST_ACTIVITY, 0):
        return account
    return stack.with_anchor(policy, account, LAST_ACTIVITY, at_us, max(at_us, account.changed_at_us))


def _find(policy: Policy, account: Account, request: Request, now_us: int) -> tuple[int, Row, bool]:
    """The layer the command acts on, the row that fits, and whether this is only a repetition.

    From the top down: a status that lets others' commands through hands on what it has no row for itself.
    """
    rows = policy.commands[Command(request.command)]
    refused_by_guard: Row | None = None
    for index in range(len(account.layers) - 1, -1, -1):
        layer = account.layers[index]
        here = [row for row in rows if layer.status in row.sources]
        for row in here:
            if _guards_hold(row, account, index, now_us):
                _check_role(row, request)
                return index, row, _says_nothing_new(row, account, index, request)
        refused_by_guard = refused_by_guard or (here[0] if here else None)
        repeated = _leads_here(rows, account, index, request)
        if repeated is not None:
            _check_role(repeated, request)
            return index, repeated, True
        through = policy.statuses[layer.status].through
        rows = rows if through is Through.ALL else tuple(row for row in rows if row.passes(request.role))
        if here or through is Through.NOBODY or not rows:
            break
    if refused_by_guard is not None:
        raise refusal.guard_failed(policy, account, refused_by_guard)
    raise refusal.not_from_here(policy, account, request.command)


def _guards_hold(row: Row, account: Account, index: int, now_us: int) -> bool:
    if not plan_fits(row.plans, account.plan):
        return False
    if row.within is None:
        return True
    end_us = stack.resolve(row.within, account.layers[index].entered_at_us, account.anchors)
    return end_us is not None and now_us < end_us


def _leads_here(rows: tuple[Row, ...], account: Account, index: int, request: Request) -> Row | None:
    """The row this request would be a repetition of: it leads where the layer is, and to no other plan."""
    status = account.layers[index].status
    for row in rows:
        leads_here = row.to is status or (row.to is To.PREVIOUS and account.last_command == row.command)
        if leads_here and _plan_after(row, request.values, account.plan) == account.plan:
            return row
    return None


def _says_nothing_new(row: Row, account: Account, index: int, request: Request) -> bool:
    """Tell whether a command that stays where it is would only set what is already set."""
    if row.to is not To.SAME or PERIOD_END in request.values:
        return False
    names = {effect.name for effect in row.effects}
    if "set_plan" in names:
        unsaid = any(need.name == "plan" and not need.optional for need in row.needs) and not request.values.get("plan")
        return not unsaid and _plan_after(row, request.values, account.plan) == account.plan
    return "answered" in names and account.layers[index].answered


def _check_role(row: Row, request: Request) -> None:
    if not may(row, request):
        raise refusal.role_refused(row, request.role)


def _carry(
    policy: Policy, account: Account, row: Row, index: int, *, values: Mapping[str, str], now_us: int
) -> Decision:
    before = account.layers[index].status
    after = _told(policy, account, row, index, values=values, now_us=now_us)
    if row.to is To.SAME:
        after, to = replace(after, changed_at_us=now_us), before
    else:
        if row.to is To.PREVIOUS and index == 0:
            raise refusal.not_from_here(policy, account, row.command)
        after = stack.moved(policy, after, index, row.to, command=row.command, now_us=now_us)
        to = after.layers[index - 1].status if row.to is To.PREVIOUS else Status(row.to)
        refusal.check_deadline_known(policy, after, to, row)
    effects = _effects(row.effects, after, values, now_us)
    return _decision(policy, after, row.command, (before, to), at_us=now_us, rule=str(row.place), effects=effects)


def _told(policy: Policy, account: Account, row: Row, index: int, *, values: Mapping[str, str], now_us: int) -> Account:
    """The account with what the command tells of it, before it moves: deadlines may hang on that."""
    after = account
    period_end = values.get(PERIOD_END)
    if period_end is not None:
        after = stack.with_anchor(policy, after, PERIOD_END, int(period_end), now_us)
    plan = _plan_after(row, values, account.plan)
    if plan != account.plan:
        after = stack.with_plan(policy, after, plan, now_us)
    if any(effect.name == "answered" for effect in row.effects):
        after = stack.answered(after, index)
    return after


def _plan_after(row: Row, values: Mapping[str, str], plan: str | None) -> str | None:
    """The plan once the row's effects are carried out: the rulebook's, or the one asked for, or as it is."""
    for effect in row.effects:
        if effect.name == "set_plan":
            return str(effect.arguments.get("plan") or values.get("plan") or plan or "") or None
    return plan


def _effects(
    rules: tuple[EffectRule, ...], after: Account, values: Mapping[str, str], now_us: int
) -> tuple[Effect, ...]:
    """The effects with their arguments resolved; what only the account itself holds (`answered`) is none of them."""
    effects: list[Effect] = []
    for rule in rules:
        if rule.name == "answered" or (rule.name == "set_plan" and after.plan is None):
            continue
        arguments = dict(rule.arguments)
        if rule.when is not None:
            at_us = stack.resolve(rule.when, now_us, after.anchors)
            arguments["at_us"] = now_us if at_us is None else at_us  # a moment nobody has told is now
        if rule.name == "set_plan" and after.plan is not None:
            arguments["plan"] = after.plan
        elif rule.name == "rotate_key":
            arguments["source"] = values.get("source", "")
        effects.append(Effect(rule.name, arguments))
    return tuple(effects)


def _ruling(policy: Policy, account: Account) -> StatusRule:
    """The rule whose verdict and access count: the topmost that does not inherit."""
    return policy.statuses[account.layers[account.deadline_index].status]


def _unchanged(policy: Policy, account: Account, row: Row, index: int, now_us: int) -> Decision:
    status = account.layers[index].status
    way = (status, status)
    return _decision(policy, account, row.command, way, at_us=now_us, rule=str(row.place), changed=False)


def _decision(
    policy: Policy,
    account: Account,
    command: Command,
    way: tuple[Status, Status],
    *,
    at_us: int,
    rule: str,
    effects: tuple[Effect, ...] = (),
    changed: bool = True,
) -> Decision:
    ruling = _ruling(policy, account)
    from_, to = way
    return Decision(account, command, at_us, from_, to, ruling.verdict, ruling.access, effects, changed, rule)
