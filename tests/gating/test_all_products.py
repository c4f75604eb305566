"""What is settled for all products, tried on each of them: `test_all_6_...[kustomer]` is the sixth, on Kustomer.

Each is tried from every stack of statuses that the product's rulebook can come to, on every plan.
"""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from collector.gate import Gate, boot_ns
from collector.outcome import Outcome
from consumers.purge_receipt import backups_due_us, receipt_document
from gating.errors import InputInvalid, Refused
from gating.ledger import Ledger, Owed, Who
from gating.lifecycle import carry_out, decide, due, open_account, standing
from gating.policy import load_rulebook, parse_rulebook, rulebooks
from gating.rulebook import PERIOD_END, Row, To
from gating.status import DAY_US, LAPSE, Access, Role, Status, Verdict
from gating.terms import SETTABLE
from tests.gating.life import START_US, Life
from tests.gating.reached import HOUR_US, OPERATOR, after, asked, reached, recorded, steps
from tests.gating.test_lifecycle_walk import rows_of, statuses

PRODUCTS = rulebooks()
on_each = pytest.mark.parametrize("product", PRODUCTS)
KEEPING = (Verdict.ACCEPT, Verdict.HIDE)


def with_deadline(product: str) -> list[Life]:
    return [life for life in reached(product) if life.account.deadline is not None]


@on_each
def test_all_1_a_day_is_24_hours_and_what_was_computed_on_entering_is_stored(product: str) -> None:
    counted = 0
    for life in reached(product):
        for _, made in steps(life):
            account = made[-1].account
            for layer in account.layers:
                rule = life.policy.statuses[layer.status].deadline
                if rule is None or rule.when.anchor != "entered" or layer.entered_at_us != made[-1].at_us:
                    continue
                assert layer.deadline is not None
                days = rule.when.span_us // (24 * 3600 * 1_000_000)
                assert layer.deadline.at_us == layer.entered_at_us + days * 24 * 3600 * 1_000_000
                counted += 1
                if account.deadline == layer.deadline:
                    assert due(life.policy, account, layer.deadline.at_us - 1) == ()
    entered = [rule.deadline for rule in load_rulebook(product).statuses.values() if rule.deadline]
    assert bool(counted) == any(rule.when.anchor == "entered" for rule in entered)


@on_each
def test_all_1_no_later_edit_of_the_rulebook_moves_a_deadline(product: str) -> None:
    """Every span of it is made longer, then shorter: whoever has entered before keeps the moment that was stored."""
    text = load_rulebook(product).text
    longer = parse_rulebook(re.sub(r'"(\d+)d"', lambda days: f'"{int(days[1]) + 9}d"', text), product)
    shorter = parse_rulebook(re.sub(r'"(\d+)d"', '"1d"', text), product)
    lives = with_deadline(product)
    for edited in (longer, shorter):
        assert edited.digest != load_rulebook(product).digest
        for life in lives:
            assert life.account.deadline is not None
            at_us = life.account.deadline.at_us
            assert standing(edited, life.account).until_us == life.standing.until_us
            assert due(edited, life.account, at_us - 1) == ()
            assert due(edited, life.account, at_us)[0].at_us == at_us
    assert lives or product == "segment"


@on_each
def test_all_2_at_its_instant_the_deadline_wins_over_every_command(product: str) -> None:
    for life in with_deadline(product):
        assert life.account.deadline is not None
        at_us = life.account.deadline.at_us
        for row in rows_of(life.policy):
            with pytest.raises(Refused, match="by its deadline"):
                decide(life.policy, life.account, asked(life, row), at_us)
            try:
                made = carry_out(life.policy, life.account, asked(life, row), at_us)
            except Refused:
                continue
            assert (made[0].command, made[0].at_us, made[0].to) == (LAPSE, at_us, life.account.deadline.then)


@on_each
def test_all_2_a_sweeper_that_was_off_for_years_catches_up_in_order_at_the_times_things_were_due(product: str) -> None:
    for life in with_deadline(product):
        one_by_one, account = [], life.account
        while account.deadline is not None:
            (*made,) = due(life.policy, account, account.deadline.at_us)
            one_by_one += made
            account = made[-1].account
        late = due(life.policy, life.account, life.now_us + 100 * 365 * DAY_US)
        assert list(late) == one_by_one
        assert [decision.at_us for decision in late] == sorted(decision.at_us for decision in late)


@on_each
def test_all_2_a_deadline_that_has_passed_on_entering_fires_at_once(product: str) -> None:
    """After whatever command, at whatever time, nothing that has come is left to come."""
    for life in reached(product):
        for row in rows_of(life.policy):
            for later_us in (HOUR_US, 20 * DAY_US, 400 * DAY_US):
                now_us = life.now_us + later_us
                try:
                    made = carry_out(life.policy, life.account, asked(life, row), now_us)
                except Refused:
                    continue
                deadline = made[-1].account.deadline
                assert deadline is None or deadline.at_us > now_us


@on_each
def test_all_3_commands_follow_their_roles_not_access(product: str) -> None:
    """Without any access every command that has a row is still carried out, by each whom the row names."""
    tried = 0
    for life in reached(product):
        if life.standing.access is not Access.NONE or life.status is Status.DELETED:
            continue
        for row, _ in steps(life):
            if row is None:
                continue
            for grant in row.by:
                request = asked(life, row, grant.by.role, grant)
                assert carry_out(life.policy, life.account, request, life.now_us + HOUR_US)[0].rule == str(row.place)
                tried += 1
    assert tried


@on_each
def test_all_4_returning_to_a_collecting_status_the_same_keys_work_again_unless_cycled(product: str, tmp_path) -> None:
    """By the ledger's changes and a worker's gate: the first key collects again, one that was cycled never does."""
    returns = 0
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        for number, life in enumerate(reached(product)):
            for _, made in steps(life):
                if life.verdict is not Verdict.ACCEPT and made[-1].verdict is Verdict.ACCEPT:
                    returns += 1
                    _comes_back(ledger, after(life, made), f"{number}-{returns}")
    assert returns


def _comes_back(ledger: Ledger, life: Life, account: str) -> None:
    gate = Gate(boot_ns, life.now_us)
    first, *rest = life.decisions
    changes = recorded(ledger, life.policy, (first,), account)
    (kept,) = changes[-1].keys
    with ledger.begin() as transaction:
        changes.append(transaction.add_key(account, at_us=START_US, who=OPERATOR, source="web"))
        cycled = changes[-1].keys[-1].write_key
        rotated = transaction.rotate_key(account, at_us=START_US, who=OPERATOR, source="web")
        changes.append(rotated.change)
        for decision in rest:
            named = replace(decision, account=replace(decision.account, id=account, version=changes[-1].version))
            changes.append(transaction.record(named, standing(life.policy, named.account), OPERATOR))
    for change in changes:
        gate.apply(change)
    outcomes = {key: gate.decide(key.encode(), life.now_us, leased=True)[0] for key in (kept.write_key, cycled)}
    assert outcomes == {kept.write_key: Outcome.ACCEPTED, cycled: Outcome.DROPPED_REVOKED_KEY}
    assert gate.decide(rotated.write_key.encode(), life.now_us, leased=True)[0] == Outcome.ACCEPTED


def suspensions(product: str) -> Iterator[tuple[Life, Life]]:
    """Each life that can be suspended, and it an hour later, suspended; not where that comes to lie beneath."""
    for life in reached(product):
        for row, made in steps(life):
            if row is not None and row.command == "suspend" and made[-1].account.status is Status.SUSPENDED:
                yield life, after(life, made)


@on_each
def test_all_6_operators_suspend_and_what_lay_beneath_comes_back_with_the_time_it_had_left(product: str) -> None:
    tried = 0
    for life, suspended in suspensions(product):
        assert (suspended.verdict, suspended.standing.access) == (Verdict.DROP, Access.NONE)
        assert "revoke_sessions" in suspended.effects
        suspended.wait(2)
        assert suspended.status is Status.SUSPENDED
        suspended.do("unsuspend", Role.OPERATOR)
        assert statuses(suspended.account) == statuses(life.account)
        before, now = life.account.deadline, suspended.account.deadline
        if before is not None:
            assert now is not None
            moved_us = 0 if before.anchor == PERIOD_END else 2 * DAY_US
            assert now.at_us - before.at_us == moved_us
        tried += 1
    assert tried


@on_each
def test_all_6_operators_alone_suspend_and_lift_it(product: str) -> None:
    for life, suspended in suspensions(product):
        for role in set(Role) - {Role.OPERATOR}:
            with pytest.raises(Refused, match="operator"):
                life.do("suspend", role, reason="abuse")
            with pytest.raises(Refused, match="operator"):
                suspended.do("unsuspend", role)


@on_each
def test_all_6_a_status_whose_deletion_clock_runs_cannot_be_suspended(product: str) -> None:
    tried = 0
    for life in reached(product):
        if life.account.deadline is not None and life.account.deadline.then is Status.DELETED:
            with pytest.raises(Refused, match="suspend is not possible"):
                life.do("suspend", Role.OPERATOR, reason="other")
            tried += 1
    assert tried or product == "clickport"  # there no clock ever deletes


@on_each
def test_all_6_the_customers_commands_wait_for_the_lifting_but_for_those_the_texts_promise(product: str) -> None:
    excepted = {"customertrackr": {"cancel", "find_owner", "refund"}, "clickport": {"request_deletion"}}
    people = set(Role) - {Role.OPERATOR, Role.SYSTEM}
    for _, suspended in suspensions(product):
        for row in rows_of(suspended.policy):
            if row.command in excepted.get(product, ()):
                continue
            for grant in row.by:
                if grant.by.role in people:
                    with pytest.raises(Refused):
                        carry_out(
                            suspended.policy, suspended.account, asked(suspended, row, grant.by.role, grant),
                            suspended.now_us,
                        )  # fmt: skip


@on_each
def test_all_6_a_failed_payment_changes_a_status_where_the_text_says_so_alone(product: str) -> None:
    changed = {
        decision.to
        for life in reached(product)
        for row, made in steps(life)
        for decision in made[:1]
        if row is not None and row.command == "payment_failed" and decision.from_ is not decision.to
    }
    assert changed == ({Status.FROZEN} if product in ("segmetrics", "customertrackr") else set())


@on_each
def test_all_7_a_command_repeated_in_the_status_it_leads_to_changes_nothing_and_sends_nothing_twice(
    product: str,
) -> None:
    tried = 0
    for life in reached(product):
        for row, made in steps(life):
            if row is None or row.to is To.SAME or made[-1].command == LAPSE:
                continue
            (again,) = carry_out(life.policy, made[-1].account, asked(life, row), made[-1].at_us + 1)
            if again.changed:  # another row of the command leaves it there and is a record alone, as of a payment
                assert again.to is again.from_
                assert again.rule != str(row.place)
            assert (statuses(again.account), again.effects) == (statuses(made[-1].account), ())
            assert again.changed or again.account == made[-1].account
            tried += 1
    assert tried


@on_each
def test_all_8_a_deletion_ends_in_a_receipt_that_names_the_term_of_backups_or_the_operators_own(product: str) -> None:
    months = {"customertrackr": 30, "clickport": 30}
    gone = 0
    for life in reached(product):
        for _, made in steps(life):
            if life.status is Status.DELETED or made[-1].account.status is not Status.DELETED:
                continue
            names = [effect.name for effect in made[-1].effects]
            assert {"purge", "receipt"} <= set(names)
            assert ("backups_due" in names) == (product in months)
            due_us = backups_due_us(life.policy, made[-1].account, made[-1].at_us)
            owed = Owed("shop", 1, made[-1].at_us, None)
            remains = receipt_document(
                owed, {}, made[-1].at_us, words=0, payments=0, payments_until_us=None, backups_due_us=due_us,
                postgres=False,
            )["remains"]  # fmt: skip
            if product in months:
                assert due_us == made[-1].at_us + months[product] * DAY_US
                assert "backups" not in remains
            else:
                assert (due_us, remains["backups"]) == (None, "the operator's own term: the rulebook names none")
            gone += 1
    assert gone


@on_each
def test_all_8_nobody_restores_a_deleted_account(product: str) -> None:
    """Its id stays a tombstone, whatever is asked for; what may be made from a backup is another account."""
    for life in reached(product):
        if life.status is not Status.DELETED:
            continue
        for _, made in steps(life):
            assert [decision.account.status for decision in made] == [Status.DELETED]
            assert [effect.name for effect in made[0].effects] == ["new_account"]


@on_each
def test_all_9_the_history_holds_ids_only_and_words_are_erased_with_the_account(product: str, tmp_path) -> None:
    file = tmp_path / "ledger.db"
    words = [*(f"word-{name}" for name in (*SETTABLE, "reason")), "ana@example.org"]
    said = {name: f"word-{name}" for name in (*SETTABLE, "reason")} | {"owner": "ana@example.org"}
    with Ledger.open(f"sqlite:///{file}") as ledger:
        accounts = 0
        for life in reached(product):
            for _, made in steps(life):
                if made[-1].account.status is Status.DELETED and life.status is not Status.DELETED:
                    accounts += 1
                    recorded(ledger, life.policy, (*life.decisions, *made), f"a{accounts}", said)
        assert accounts
        assert table_text(file, "history", words) == table_text(file, "accounts", words) == []
        assert set(table_text(file, "details", words)) == set(words)
        with ledger.begin() as transaction:
            for number in range(1, accounts + 1):
                assert transaction.give_receipt(f"a{number}", lambda *_: {}, None, START_US)
        assert [word for word in words if word.encode() in file.read_bytes()] == []
        assert ledger.verify_history() == []
        decision = open_account(load_rulebook(product), "b", None, START_US)
        stands = standing(load_rulebook(product), decision.account)
        with ledger.begin() as transaction, pytest.raises(InputInvalid, match="by an id"):
            transaction.create_account(decision, stands, Who("ana@example.org", Role.OWNER))


def table_text(file, table: str, words: list[str]) -> list[str]:
    """Which of the words stand anywhere in the table."""
    with sqlite3.connect(file) as connection:
        rows = str(connection.execute(f"SELECT * FROM {table}").fetchall())
    return [word for word in words if word in rows]


def lacking(life: Life, row: Row) -> Iterator[tuple[str, object]]:
    """The operator's request without each thing that the row needs: (what is missing, the request)."""
    whole = asked(life, row)
    for need in row.needs:
        if need.optional or need.name == "answered":
            continue
        if need.name == "reason":
            yield "--reason", replace(whole, reason=None)
        elif need.name == "confirm":
            yield "--confirm", replace(whole, confirm=False)
        else:
            values = {name: value for name, value in whole.values.items() if name != need.name}
            yield f"--set {need.name}=", replace(whole, values=values)
    if all(grant.wants_request for grant in row.by):
        yield "--for", replace(whole, on_behalf=None)


@on_each
def test_all_10_an_operator_carries_out_every_command_but_never_without_its_needs_and_its_request(product: str) -> None:
    carried, refused = set(), set()
    for life in reached(product):
        for row, _ in steps(life):
            if row is None:
                continue
            carried.add(row.place)
            for missing, request in lacking(life, row):
                with pytest.raises(Refused, match=f"{row.command} needs .*{re.escape(missing)}"):
                    carry_out(life.policy, life.account, request, life.now_us + HOUR_US)
                refused.add((row.place, missing))
    assert carried == {row.place for row in rows_of(load_rulebook(product))}
    assert refused
