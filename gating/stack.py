"""How an account's stack of statuses moves: what is laid on, what comes back, which clocks stand still.

The inner part of `lifecycle.py`, pure like it. It is told where to go and asks nothing: whether a move is allowed was
decided before. All times are microseconds UTC.
"""

from collections.abc import Mapping
from dataclasses import replace

from gating.account import LAST_ACTIVITY, Account, Deadline, Layer
from gating.rulebook import CREATED, ENTERED, PERIOD_END, Moment, Policy, To, plan_fits
from gating.status import Command, Status

CANCELED_SINCE = frozenset({Status.CANCELING, Status.CANCELED})
"""`canceled_at` is when an account came into these from outside them: the cancel command's or the lapse's instant."""


def opened(policy: Policy, account_id: str, plan: str | None, command: Command, now_us: int) -> Account:
    """An account in the rulebook's start status."""
    anchors = {CREATED: now_us, LAST_ACTIVITY: now_us}
    empty = Account(account_id, policy.name, policy.digest, plan, (), anchors, now_us)
    return moved(policy, empty, 0, policy.start, command=command, now_us=now_us)


def moved(policy: Policy, account: Account, index: int, to: Status | To, *, command: Command, now_us: int) -> Account:
    """The account after layer `index` went to `to`; layers above it stay, but for DELETED, which ends them all.

    `To.PREVIOUS` needs a layer beneath, `To.SAME` is not for here.
    """
    anchors = dict(account.anchors)
    beneath, above = account.layers[:index], account.layers[index + 1 :]
    if isinstance(to, To):
        layers = beneath + above
    else:
        before = {layer.status for layer in account.layers}
        if to is Status.DELETED:
            beneath, above = (), ()
        elif to in policy.overlays:
            beneath, above = _without(account.layers[: index + 1], to), _without(above, to)
        else:
            beneath = ()
        _set_anchors(policy, to, before, now_us, anchors)
        layers = (*beneath, _entered(policy, to, account.plan, now_us, anchors), *above)
    _clear_dates(policy, layers, anchors)
    layers = _clocks(policy, layers, now_us, anchors)
    return Account(  # spelled out: `dataclasses.replace` costs 5 us, a quarter of a decision
        account.id,
        account.rulebook,
        account.rulebook_digest,
        account.plan,
        layers,
        anchors,
        now_us,
        account.version,
        command,
    )


def _without(layers: tuple[Layer, ...], status: Status) -> tuple[Layer, ...]:
    """What `status` is laid on. Each lies in the stack once, which bounds it: laid on again, it moves up.

    Nothing else goes with it: going back to what lay beneath it would lift what others have laid on since.
    """
    return tuple(layer for layer in layers if layer.status is not status)


def _set_anchors(policy: Policy, to: Status, before: set[Status], now_us: int, anchors: dict[str, int]) -> None:
    if to is Status.TRIAL and policy.trial_us is not None:
        anchors.setdefault("trial_end", now_us + policy.trial_us)
    if to is Status.DELETED:
        anchors["deleted_at"] = now_us
    if to in CANCELED_SINCE and not before & CANCELED_SINCE:
        anchors["canceled_at"] = now_us
    for date in policy.dates.values():
        if to in date.statuses:
            if not before & date.statuses:
                anchors[date.name] = now_us + date.span_us
            floor = anchors.get(date.at_least.get(to, ""))
            if floor is not None:
                anchors[date.name] = max(anchors[date.name], floor)


def _clear_dates(policy: Policy, layers: tuple[Layer, ...], anchors: dict[str, int]) -> None:
    for date in policy.dates.values():
        left = not any(layer.status in date.statuses for layer in layers)
        if left and layers[-1].status is not Status.DELETED:  # a tombstone keeps the moment it was deleted by
            anchors.pop(date.name, None)


def _entered(policy: Policy, status: Status, plan: str | None, now_us: int, anchors: Mapping[str, int]) -> Layer:
    rule = policy.statuses[status]
    due_us = None if rule.due_workdays is None else policy.calendar.after(now_us, rule.due_workdays)
    return Layer(
        status, now_us, _deadline(policy, status, plan, now_us, anchors), due_us=due_us, inherits=rule.inherits
    )


def _deadline(
    policy: Policy, status: Status, plan: str | None, entered_at_us: int, anchors: Mapping[str, int]
) -> Deadline | None:
    rule = policy.statuses[status].deadline
    if rule is None or not plan_fits(rule.plans, plan):
        return None
    at_us = resolve(rule.when, entered_at_us, anchors)
    return None if at_us is None else Deadline(at_us, rule.then, rule.when.anchor)


def resolve(moment: Moment, entered_at_us: int, anchors: Mapping[str, int]) -> int | None:
    """The moment in microseconds UTC, or None where its anchor is not known yet."""
    start_us = entered_at_us if moment.anchor == ENTERED else anchors.get(moment.anchor)
    return None if start_us is None else start_us + moment.span_us


def _clocks(policy: Policy, layers: tuple[Layer, ...], now_us: int, anchors: dict[str, int]) -> tuple[Layer, ...]:
    """Stop the clocks beneath a status that stops them, and let those run on that none lies on any more.

    The end of the paid period is the billing provider's date and runs on regardless.
    """
    stopped = False
    result: list[Layer] = []
    for layer in reversed(layers):
        clocked = layer.deadline is not None and layer.deadline.anchor != PERIOD_END
        if clocked and stopped:
            result.append(_standing_still(layer, now_us))
        elif clocked and layer.remaining_us is not None:
            result.append(_running_again(policy, layer, now_us, anchors))
        else:
            result.append(layer)
        stopped = stopped or policy.statuses[layer.status].stops_clock
    return tuple(reversed(result))


def _standing_still(layer: Layer, now_us: int) -> Layer:
    if layer.deadline is None or layer.remaining_us is not None:
        return layer
    return replace(layer, remaining_us=max(layer.deadline.at_us - now_us, 0))


def _running_again(policy: Policy, layer: Layer, now_us: int, anchors: dict[str, int]) -> Layer:
    rule = policy.statuses[layer.status].deadline
    if layer.deadline is None or layer.remaining_us is None or rule is None:
        return layer
    at_us = now_us + layer.remaining_us
    if layer.deadline.anchor in anchors and layer.deadline.anchor != CREATED:
        anchors[layer.deadline.anchor] = at_us - rule.when.span_us  # what is counted from it later on moves with it
    return replace(layer, deadline=replace(layer.deadline, at_us=at_us), remaining_us=None)


def with_plan(policy: Policy, account: Account, plan: str | None, now_us: int) -> Account:
    """The account on another plan: deadlines that only some plans have come or go, all others stay as stored."""
    layers: list[Layer] = []
    for layer in account.layers:
        rule = policy.statuses[layer.status].deadline
        if rule is not None and plan_fits(rule.plans, plan) != plan_fits(rule.plans, account.plan):
            layers.append(_with_deadline(policy, layer, plan, account.anchors))
        else:
            layers.append(layer)
    anchors = dict(account.anchors)
    stacked = _clocks(policy, tuple(layers), now_us, anchors)
    return replace(account, plan=plan, layers=stacked, anchors=anchors)


def with_anchor(policy: Policy, account: Account, anchor: str, at_us: int, now_us: int) -> Account:
    """The account with a moment that others tell: `period_end` by billing, `last_activity` by the consumers.

    Deadlines counted from it move; a date of the rulebook's own that is never before it moves up to it.
    """
    anchors = {**account.anchors, anchor: at_us}
    for layer in account.layers:
        for date in policy.dates.values():
            if date.at_least.get(layer.status) == anchor and date.name in anchors:
                anchors[date.name] = max(anchors[date.name], at_us)
    moved_anchors = {name for name, value in anchors.items() if account.anchors.get(name) != value}
    layers: list[Layer] = []
    for layer in account.layers:
        rule = policy.statuses[layer.status].deadline
        if rule is not None and rule.when.anchor in moved_anchors:
            layers.append(_with_deadline(policy, layer, account.plan, anchors))
        else:
            layers.append(layer)
    stacked = _clocks(policy, tuple(layers), now_us, anchors)
    return replace(account, layers=stacked, anchors=anchors)


def _with_deadline(policy: Policy, layer: Layer, plan: str | None, anchors: Mapping[str, int]) -> Layer:
    deadline = _deadline(policy, layer.status, plan, layer.entered_at_us, anchors)
    return replace(layer, deadline=deadline, remaining_us=None)


def answered(account: Account, index: int) -> Account:
    """The account with what layer `index` waited for answered: the alert ends, nothing else changes."""
    layers = list(account.layers)
    layers[index] = replace(layers[index], answered=True)
    return replace(account, layers=tuple(layers))


def recomputed(policy: Policy, account: Account, now_us: int) -> Account:
    """The account with all deadlines as if each status had been entered under `policy` at the moment it was."""
    anchors = dict(account.anchors)
    for layer in account.layers:
        if layer.status is Status.TRIAL and policy.trial_us is not None:
            anchors["trial_end"] = layer.entered_at_us + policy.trial_us
        for date in policy.dates.values():
            if layer.status in date.statuses:
                at_us = anchors.get(date.name, layer.entered_at_us + date.span_us)
                anchors[date.name] = max(at_us, anchors.get(date.at_least.get(layer.status, ""), 0))
    layers = tuple(_with_deadline(policy, layer, account.plan, anchors) for layer in account.layers)
    return replace(account, layers=_clocks(policy, layers, now_us, anchors), anchors=anchors)
