"""Random lives under every rulebook: what holds whatever is asked for, by whom and when."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.account import Account, Decision, Request
from gating.errors import Refused
from gating.lifecycle import carry_out, decide, due, open_account, standing
from gating.policy import load_rulebook, rulebooks
from gating.rulebook import Policy, Row, To
from gating.status import DAY_US, LAPSE, Role, Status, Verdict
from gating.times import rfc3339
from tests.gating.life import START_US

EVERYTHING = Path(__file__).parent / "rulebooks" / "everything.toml"
POLICIES = [*(load_rulebook(name) for name in rulebooks()), load_rulebook(EVERYTHING)]
PLANS = [None, "free", "pro", "Premium"]
IDS = [policy.name for policy in POLICIES]
YEAR = 365 * DAY_US

ROLES = st.sampled_from([Role.OPERATOR] * 4 + list(Role))
PAUSES_US = st.one_of(
    st.sampled_from([0, 1, DAY_US, 7 * DAY_US - 1, 7 * DAY_US, 30 * DAY_US, YEAR, -DAY_US, -YEAR, 40 * YEAR]),
    st.integers(min_value=-10 * DAY_US, max_value=60 * DAY_US),
)
STEPS = st.lists(st.tuples(st.integers(0, 10_000), ROLES, PAUSES_US), max_size=20)


def request_of(policy: Policy, row: Row, role: Role, now_us: int) -> Request:
    """A request with everything the row needs."""
    names = {need.name for need in row.needs}
    values = dict.fromkeys(names - {"reason", "confirm", "answered"}, "text")
    if "period_end" in names:
        values["period_end"] = rfc3339(now_us + 20 * DAY_US)
    if "plan" in names:
        values["plan"] = "pro"
    on_behalf = next((str(grant.on_behalf) for grant in row.by if grant.on_behalf), "anyone")
    return Request(
        row.command, role, "someone", on_behalf, "other", True, values, frozenset({"billing"}),
        {"company": "TEXT", "email": "text"},
    )  # fmt: skip


def rows_of(policy: Policy) -> list[Row]:
    return [row for rows in policy.commands.values() for row in rows]


def walk(policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]) -> Iterator[tuple[Decision, Request]]:
    """Every decision of a life, with the request that was asked just before it."""
    now_us, rows = START_US, rows_of(policy)
    account = open_account(policy, "shop", plan, now_us).account
    for choice, role, pause_us in steps:
        now_us = max(now_us + pause_us, 0)
        request = request_of(policy, rows[choice % len(rows)], role, now_us)
        try:
            decisions = carry_out(policy, account, request, now_us)
        except Refused:
            decisions = due(policy, account, now_us)
        for decision in decisions:
            account = decision.account
            yield decision, request


def statuses(account: Account) -> list[Status]:
    return [layer.status for layer in account.layers]


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_deleted_is_final(policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]) -> None:
    """I8: whatever is asked for after it; and a tombstone has nothing beneath it."""
    gone = False
    for decision, _ in walk(policy, plan, steps):
        gone = gone or decision.to is Status.DELETED
        final = standing(policy, decision.account).final
        assert (decision.account.status is Status.DELETED) == gone == final
        assert not gone or statuses(decision.account) == [Status.DELETED]


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_nothing_is_purged_but_by_deletion(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]
) -> None:
    """I9: what is hidden stays until then, and what is deleted is always purged."""
    for decision, _ in walk(policy, plan, steps):
        purges = any(effect.name == "purge" for effect in decision.effects)
        assert purges == (decision.to is Status.DELETED and decision.from_ is not Status.DELETED)


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_changes_are_dated_in_order_and_each_follows_from_the_last(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]
) -> None:
    """Clocks that go back or jump by years change no past decision."""
    at_us, before = START_US, [policy.start]
    for decision, _ in walk(policy, plan, steps):
        assert decision.at_us >= at_us
        assert decision.from_ in before
        assert decision.to in statuses(decision.account)
        assert len(set(statuses(decision.account))) == len(decision.account.layers)
        if decision.changed:
            assert decision.account.changed_at_us == decision.at_us
        at_us, before = decision.account.changed_at_us, statuses(decision.account)


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_a_replay_of_the_history_gives_the_same_account(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]
) -> None:
    life = list(walk(policy, plan, steps))
    account = open_account(policy, "shop", plan, START_US).account
    for decision, request in life:
        if decision.command == LAPSE:
            (account, *_) = [lapse.account for lapse in due(policy, account, decision.at_us)]
        elif decision.changed:
            account = decide(policy, account, request, decision.at_us).account
        assert account == decision.account
    assert Account.from_json(account.to_json()) == account


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_the_same_command_twice_changes_nothing_the_second_time(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]
) -> None:
    for decision, request in walk(policy, plan, steps):
        if decision.command == LAPSE:
            continue
        try:
            again = decide(policy, decision.account, request, decision.at_us)
        except Refused:
            continue
        assert statuses(again.account) == statuses(decision.account)
        stays = any(row.to is To.SAME for row in policy.commands[decision.command])
        assert stays or (again.changed, again.effects, again.account) == (False, (), decision.account)


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_the_edge_changes_over_exactly_when_the_ledger_does(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]
) -> None:
    """What a gate does at `until` by itself is what the deadline says there, to the microsecond."""
    for decision, _ in walk(policy, plan, steps):
        stands = standing(policy, decision.account)
        assert (stands.until_us is None) == (stands.then is None)
        if stands.until_us is not None and stands.until_us > decision.account.changed_at_us:
            assert due(policy, decision.account, stands.until_us - 1) == ()
            first, *_ = due(policy, decision.account, stands.until_us)
            assert (first.at_us, first.verdict) == (stands.until_us, stands.then)


def explore(policy: Policy) -> dict[tuple[Status, ...], set[tuple[Status, ...]]]:
    """Every stack of statuses the machine can come to, and the stacks one step leads to from each."""
    ways: dict[tuple[Status, ...], set[tuple[Status, ...]]] = {}
    seen: set[tuple[tuple[Status, ...], str | None, bool]] = set()
    todo = [open_account(policy, "shop", plan, START_US).account for plan in PLANS]
    while todo:
        account = todo.pop()
        stack = tuple(statuses(account))
        if (stack, account.plan, account.answered) in seen:
            continue
        seen.add((stack, account.plan, account.answered))
        after = [lapse.account for lapse in due(policy, account, account.deadline.at_us if account.deadline else 0)]
        for row in rows_of(policy):
            request = request_of(policy, row, Role.OPERATOR, account.changed_at_us)
            try:
                after.append(carry_out(policy, account, request, account.changed_at_us)[-1].account)
            except Refused:
                continue
        ways.setdefault(stack, set()).update(tuple(statuses(each)) for each in after)
        todo += after
    return ways


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
def test_every_status_is_reachable_and_only_deleted_is_a_dead_end(policy: Policy) -> None:
    """By the machine, not by the table: from every stack of statuses some way leads on to DELETED."""
    ways = explore(policy)
    assert {status for stack in ways for status in stack} == set(policy.statuses)
    ending = {(Status.DELETED,)}
    while grown := {stack for stack, after in ways.items() if stack not in ending and after & ending}:
        ending |= grown
    assert ending == set(ways)


@pytest.mark.parametrize("policy", POLICIES, ids=IDS)
def test_every_way_out_of_hiding_shows_or_keeps_or_deletes_but_never_purges_otherwise(policy: Policy) -> None:
    """I9: a status that hides is left for another only with the hidden hits still there, or by deletion."""
    hiding = {status for status, rule in policy.statuses.items() if rule.verdict is Verdict.HIDE}
    for row in rows_of(policy):
        if row.sources & hiding and row.to is not Status.DELETED:
            assert all(effect.name != "purge" for effect in row.effects)
    for target, effects in policy.lapse_effects.items():
        assert target is Status.DELETED or all(effect.name != "purge" for effect in effects)
