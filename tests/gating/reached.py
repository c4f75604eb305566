"""Lives of one product: a shortest one to each stack of statuses that its rulebook knows, on each plan."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from gating.account import Decision, Request
from gating.errors import Refused
from gating.feed import StatusChange
from gating.ledger import SYSTEM, Ledger, Who
from gating.lifecycle import carry_out, due, standing
from gating.policy import load_rulebook
from gating.rulebook import Grant, Policy, Row
from gating.status import LAPSE, Role
from tests.gating.life import Life
from tests.gating.test_lifecycle_walk import PLANS, request_of, rows_of, statuses

HOUR_US = 3_600_000_000
OPERATOR = Who("tests", Role.OPERATOR)
Way = tuple[Decision, ...]


def asked(life: Life, row: Row, role: Role = Role.OPERATOR, grant: Grant | None = None) -> Request:
    """A request with everything the row needs; grant: in those terms alone."""
    request = request_of(life.policy, row, role, life.now_us)
    if "plan" in request.values and life.account.plan == request.values["plan"]:
        request = replace(request, values={**request.values, "plan": "business"})
    if grant is None:
        return request
    on_behalf = "anyone" if grant.anyone else str(grant.on_behalf) if grant.on_behalf else None
    permissions = frozenset({grant.by.permission}) if grant.by.permission else frozenset()
    return replace(request, on_behalf=on_behalf, permissions=permissions)


def steps(life: Life) -> Iterator[tuple[Row | None, Way]]:
    """Everything that may happen an hour later, and the deadline; None is the deadline."""
    for row in rows_of(life.policy):
        now_us = life.now_us + HOUR_US
        try:
            made = carry_out(life.policy, life.account, asked(life, row), now_us)
        except Refused:
            continue
        if made[0].command == row.command and made[0].changed and made[0].rule == str(row.place):
            yield row, made
    if life.account.deadline is not None:
        yield None, due(life.policy, life.account, life.account.deadline.at_us)


def after(life: Life, made: Way) -> Life:
    """The life, and what was made of it."""
    return Life(life.policy, max(life.now_us, made[-1].at_us), [*life.decisions, *made])


@cache
def reached(product: str) -> tuple[Life, ...]:
    """One life a stack of statuses, plan and answer."""
    policy = load_rulebook(product)
    todo, found = [Life.begin(policy, plan) for plan in PLANS], {}
    while todo:
        life = todo.pop(0)
        place = (tuple(statuses(life.account)), life.account.plan, life.account.answered)
        if place not in found:
            found[place] = life
            todo += [after(life, made) for _, made in steps(life)]
    return tuple(found.values())


def recorded(
    ledger: Ledger, policy: Policy, way: Way, account: str, details: Mapping[str, str] | None = None
) -> list[StatusChange]:
    """Write the way down as an account's history. details: what people said at each command."""
    changes: list[StatusChange] = []
    with ledger.begin() as transaction:
        transaction.keep_rulebook(policy.digest, policy.name, policy.text)
        for decision in way:
            version = changes[-1].version if changes else 0
            named = replace(decision, account=replace(decision.account, id=account, version=version))
            stands = standing(policy, named.account)
            if not changes:
                changes.append(transaction.create_account(named, stands, OPERATOR))
            else:
                who, said = (SYSTEM, None) if decision.command == LAPSE else (OPERATOR, details)
                changes.append(transaction.record(named, stands, who, details=said))
    return changes
