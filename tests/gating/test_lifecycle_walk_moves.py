"""Random lives in which clocks jump, sweepers are late, rulebooks are edited and accounts are moved between them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.account import Account, Decision
from gating.errors import Refused
from gating.lifecycle import carry_out, decide, due, open_account, standing
from gating.move import MOVE, move
from gating.policy import parse_rulebook
from gating.rulebook import ENTERED, Policy
from gating.status import DAY_US, LAPSE, Role, Status
from tests.gating.life import START_US
from tests.gating.test_lifecycle_walk import (
    IDS,
    PAUSES_US,
    PLANS,
    POLICIES,
    ROLES,
    STEPS,
    YEAR,
    request_of,
    rows_of,
    statuses,
    walk,
)


def edited(policy: Policy, factor: int) -> Policy:
    """A later version of the rulebook: every span of days that many times as long, 0: a day."""
    text = re.sub(r'"([1-9]\d{0,2})d"', lambda days: f'"{int(days[1]) * factor or 1}d"', policy.text)
    return parse_rulebook(text, policy.name)


EDITIONS = {policy.name: [policy, edited(policy, 3), edited(policy, 0)] for policy in POLICIES}
ALL = [edition for editions in EDITIONS.values() for edition in editions]
CLOCKS_US = st.lists(st.one_of(PAUSES_US, st.integers(-2 * YEAR, 100 * YEAR)), min_size=1, max_size=6)
books = pytest.mark.parametrize("policy", POLICIES, ids=IDS)


@books
@given(plan=st.sampled_from(PLANS), steps=STEPS, clocks=CLOCKS_US)
def test_deadlines_come_in_order_at_their_own_times_whenever_and_however_often_is_swept(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]], clocks: list[int]
) -> None:
    """Clocks that go back or jump years: sweeps by any clocks make what one sweep by the latest of them makes."""
    account = open_account(policy, "shop", plan, START_US).account
    for decision, _ in walk(policy, plan, steps):
        account = decision.account
    swept: list[Decision] = []
    after = account
    for jump_us in clocks:
        made = due(policy, after, account.changed_at_us + jump_us)
        swept += made
        after = made[-1].account if made else after
    assert swept == list(due(policy, account, account.changed_at_us + max(clocks)))
    times = [decision.at_us for decision in swept]
    assert times == sorted(times)
    assert all(at_us <= max(account.changed_at_us + max(clocks), account.changed_at_us) for at_us in times)


@books
@given(plan=st.sampled_from(PLANS), steps=STEPS)
def test_a_stored_deadline_is_moved_by_no_command_that_leaves_its_status_lying_and_by_no_edit(
    policy: Policy, plan: str | None, steps: list[tuple[int, Role, int]]
) -> None:
    """But by a suspension, which stops its clock; by billing's word; and by a plan that has none."""
    before = open_account(policy, "shop", plan, START_US).account
    for decision, _ in walk(policy, plan, steps):
        account = decision.account
        known = {(layer.status, layer.entered_at_us): layer for layer in before.layers}
        for layer in account.layers:
            was = known.get((layer.status, layer.entered_at_us))
            if was is None or was.deadline is None or was.deadline.anchor != ENTERED:
                continue
            if was.remaining_us is None and layer.remaining_us is None:
                assert layer.deadline == was.deadline
        for other in EDITIONS[policy.name]:
            assert standing(other, account).until_us == standing(policy, account).until_us
            if account.deadline is not None and account.deadline.at_us > account.changed_at_us:
                assert due(other, account, account.deadline.at_us - 1) == ()
                assert due(other, account, account.deadline.at_us)[0].at_us == account.deadline.at_us
        before = account


MOVES = st.lists(st.tuples(st.integers(0, 10_000), ROLES, PAUSES_US, st.integers(0, 99), st.booleans()), max_size=20)
Moved = list[tuple[int, Role, int, int, bool]]


def wander(policy: Policy, plan: str | None, steps: Moved) -> list[tuple[Decision, Policy, object]]:
    """Every decision of a life that is moved now and then: with the rulebook it was made under, and what was asked."""
    now_us, account = START_US, open_account(policy, "shop", plan, START_US).account
    made: list[tuple[Decision, Policy, object]] = []
    for choice, role, pause_us, target, recompute in steps:
        now_us = max(now_us + pause_us, 0)
        lapses = due(policy, account, now_us)
        made += [(lapse, policy, None) for lapse in lapses]
        account = lapses[-1].account if lapses else account
        editions = EDITIONS[policy.name]
        to = editions[target % 3] if target < 60 else ALL[target % len(ALL)]
        try:
            if target % 2:
                decision = move(to, account, now_us, recompute=recompute)
                made.append((decision, to, recompute))
                policy, account = to, decision.account
            else:
                rows = rows_of(policy)
                request = request_of(policy, rows[choice % len(rows)], role, now_us)
                for decision in carry_out(policy, account, request, now_us):
                    made.append((decision, policy, None if decision.command == LAPSE else request))
                    account = decision.account
        except Refused:
            continue
    return made


@books
@given(plan=st.sampled_from(PLANS), steps=MOVES)
def test_a_move_changes_what_statuses_mean_and_neither_status_nor_anchors_nor_stored_deadlines(
    policy: Policy, plan: str | None, steps: Moved
) -> None:
    """And it is recorded; DELETED is never moved (I8); nothing purges but deletion (I9); changes stay in order."""
    before, gone = open_account(policy, "shop", plan, START_US).account, False
    for decision, under, asked in wander(policy, plan, steps):
        account = decision.account
        assert decision.at_us >= before.changed_at_us
        assert (account.rulebook, account.rulebook_digest) == (under.name, under.digest)
        assert set(statuses(account)) <= set(under.statuses)
        assert Account.from_json(account.to_json()) == account
        if decision.command == MOVE:
            assert not gone
            assert statuses(account) == statuses(before)
            assert decision.effects == ()
            if not asked:
                assert account.anchors == before.anchors
                assert [layer.deadline for layer in account.layers] == [layer.deadline for layer in before.layers]
        purges = any(effect.name == "purge" for effect in decision.effects)
        assert purges == (decision.to is Status.DELETED and decision.from_ is not Status.DELETED)
        gone = gone or decision.to is Status.DELETED
        assert (account.status is Status.DELETED) == gone == standing(under, account).final
        before = account


@books
@given(plan=st.sampled_from(PLANS), steps=MOVES)
def test_a_replay_of_a_life_with_moves_gives_the_same_account(policy: Policy, plan: str | None, steps: Moved) -> None:
    account = open_account(policy, "shop", plan, START_US).account
    for decision, under, asked in wander(policy, plan, steps):
        if decision.command == LAPSE:
            account = due(under, account, decision.at_us)[0].account
        elif decision.command == MOVE:
            account = move(under, account, decision.at_us, recompute=bool(asked)).account
        elif decision.changed:
            account = decide(under, account, asked, decision.at_us).account  # type: ignore[arg-type]
        assert account == decision.account


@books
@given(plan=st.sampled_from(PLANS), steps=MOVES)
def test_wherever_a_life_with_moves_ends_some_way_leads_on_to_deleted(
    policy: Policy, plan: str | None, steps: Moved
) -> None:
    """No dead end but DELETED: by an operator's commands and the deadlines of the rulebook it has come to."""
    made = wander(policy, plan, steps)
    account = made[-1][0].account if made else open_account(policy, "shop", plan, START_US).account
    under = made[-1][1] if made else policy
    seen, todo = set(), [account]
    while todo:
        account = todo.pop(0)
        if account.status is Status.DELETED:
            return
        place = (tuple(statuses(account)), account.plan, account.answered)
        if place in seen:
            continue
        seen.add(place)
        if account.deadline is not None:
            todo.append(due(under, account, account.deadline.at_us)[-1].account)
        for row in rows_of(under):
            try:
                request = request_of(under, row, Role.OPERATOR, account.changed_at_us)
                todo.append(carry_out(under, account, request, account.changed_at_us + DAY_US)[-1].account)
            except Refused:
                continue
    raise AssertionError(f"no way leads from {sorted(seen)} to DELETED")
