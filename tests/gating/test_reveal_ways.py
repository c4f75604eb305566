"""Every way out of hiding, under every rulebook: what the ledger and a view of the account show of the hidden hits.

A hidden hit is revealed, for good, by the first change of its account to an ACCEPT verdict with a higher version; by
nothing else, whatever access there is. And what the ledger says the reports show, on either warehouse.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from consumers.accounts import Accounts
from consumers.errors import AccessDenied
from consumers.moments import ALWAYS
from consumers.reports import report
from consumers.warehouse.clickhouse import ClickHouseWarehouse
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.protocol import Audience
from gating.account import Account, Decision
from gating.errors import Refused
from gating.ledger import SYSTEM, Ledger, Who
from gating.lifecycle import carry_out, due, open_account, standing
from gating.policy import load_rulebook, rulebooks
from gating.rulebook import Policy
from gating.status import Access, Role, Status, Verdict
from tests.consumers.events import event, part
from tests.gating.life import START_US
from tests.gating.test_lifecycle_walk import EVERYTHING, request_of, rows_of, statuses

OPERATOR = Who("tests", Role.OPERATOR)
POLICIES = [*(load_rulebook(name) for name in rulebooks()), load_rulebook(EVERYTHING)]
HIDING = [policy for policy in POLICIES if any(r.verdict is Verdict.HIDE for r in policy.statuses.values())]
STEPS_AFTER_HIDING = 2

Way = tuple[Decision, ...]


def steps(policy: Policy, account: Account) -> Iterator[Way]:
    """Everything that may happen next: each command, and the deadline."""
    for row in rows_of(policy):
        request = request_of(policy, row, Role.OPERATOR, account.changed_at_us)
        try:
            made = carry_out(policy, account, request, account.changed_at_us + 1)
        except Refused:
            continue
        if all(decision.changed for decision in made):
            yield made
    if account.deadline is not None:
        yield due(policy, account, account.deadline.at_us)


def ways_into_hiding(policy: Policy) -> list[Way]:
    """A shortest way to every stack of statuses that hides."""
    first = open_account(policy, "shop", "pro", START_US)
    seen, todo, found = {tuple(statuses(first.account))}, [(first,)], []
    while todo:
        way = todo.pop(0)
        if way[-1].verdict is Verdict.HIDE:
            found.append(way)
        for made in steps(policy, way[-1].account):
            stack = tuple(statuses(made[-1].account))
            if stack not in seen:
                seen.add(stack)
                todo.append((*way, *made))
    return found


def ways_out(policy: Policy, way: Way, left: int = STEPS_AFTER_HIDING) -> Iterator[Way]:
    """The way, followed by all that may happen in so many steps more."""
    if not left:
        yield way
        return
    ends = True
    for made in steps(policy, way[-1].account):
        ends = False
        yield from ways_out(policy, (*way, *made), left - 1)
    if ends:
        yield way


def recorded(ledger: Ledger, policy: Policy, way: Way, account: str) -> list[tuple[int, Verdict]]:
    """Write the way down as an account's history; (version, verdict) of each change."""
    changes = []
    with ledger.begin() as transaction:
        transaction.keep_rulebook(policy.digest, policy.name, policy.text)
        for place, decision in enumerate(way):
            named = _named(decision, account, changes[-1][0] if changes else 0)
            stands = standing(policy, named.account)
            change = (
                transaction.record(named, stands, SYSTEM) if place else
                transaction.create_account(named, stands, OPERATOR)
            )  # fmt: skip
            changes.append((change.version, decision.verdict))
    return changes


def _named(decision: Decision, account: str, version: int) -> Decision:
    return replace(decision, account=replace(decision.account, id=account, version=version))


@pytest.mark.parametrize("policy", HIDING, ids=[policy.name for policy in HIDING])
def test_a_hidden_hit_is_revealed_by_the_next_change_to_accept_and_by_no_other_way_out(policy, tmp_path):
    hidden = [way for way in ways_into_hiding(policy) if way[-1].verdict is Verdict.HIDE]
    assert {way[-1].account.status for way in hidden} >= {
        status for status, rule in policy.statuses.items() if rule.verdict is Verdict.HIDE
    }
    shown = kept = 0
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        for way in hidden:
            for number, out in enumerate(ways_out(policy, way)):
                account = f"{hidden.index(way)}-{number}"
                changes = recorded(ledger, policy, out, account)
                hit_version = changes[len(way) - 1][0]
                after = [version for version, verdict in changes[len(way) :] if verdict is Verdict.ACCEPT]
                revealed = ledger.revealed_version(account) > hit_version
                assert revealed == bool(after), [decision.command for decision in out]
                shown, kept = shown + revealed, kept + (not revealed)
        assert ledger.verify_history() == []
        assert ledger.verify_projections() == []
    assert shown
    assert kept
    assert Status.DELETED in {out[-1].account.status for way in hidden for out in ways_out(policy, way)}


@pytest.mark.parametrize("form", ["duckdb", "clickhouse"])
@pytest.mark.parametrize("policy", HIDING, ids=[policy.name for policy in HIDING])
def test_a_report_shows_a_hidden_hit_after_those_ways_out_alone(policy, form, request, tmp_path):
    """I9, I11: what `revealed_version` says is what a view holds, by every way of a product on DuckDB, by a share of
    the others; an account without access gets no report, and the operator finds each hit, shown or hidden."""
    url = request.getfixturevalue("clickhouse_url") if form == "clickhouse" else None
    warehouse = ClickHouseWarehouse.open(url) if url else DuckDBWarehouse.open(tmp_path / "warehouse.duckdb")
    shown = kept = refused = 0
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        accounts = Accounts(lambda: ledger, lambda: 0)  # the moment is the last change's: no deadline has come since
        hits, expected = [], {}
        for number, (way, out) in enumerate(_some_ways(policy, form)):
            account = f"a{number}"
            changes = recorded(ledger, policy, out, account)
            hits.append(event(number + 1, account=account, verdict=Verdict.HIDE, version=changes[len(way) - 1][0]))
            expected[account] = any(verdict is Verdict.ACCEPT for _, verdict in changes[len(way) :])
        warehouse.append([part(hits)], [])
        reader = warehouse.reader()
        for account, visible in expected.items():
            told = report(reader, accounts.view(account, Audience.OPERATOR), ALWAYS, START_US)["events"]
            assert told == {"visible": int(visible), "hidden": int(not visible), "unverified": 0}
            view = accounts.view(account, Audience.ACCOUNT)
            if view.access is Access.NONE:
                with pytest.raises(AccessDenied):
                    report(reader, view, ALWAYS, START_US)
                refused += 1
            assert len(list(reader.events(view, ALWAYS))) == visible
            shown, kept = shown + visible, kept + (not visible)
        reader.close()
    warehouse.close()
    assert shown
    assert kept
    assert refused


def _some_ways(policy: Policy, form: str) -> list[tuple[Way, Way]]:
    """Each way into hiding with each way out of it; evenly chosen where they are too many."""
    ways = [(way, out) for way in ways_into_hiding(policy) for out in ways_out(policy, way)]
    most = 60 if form == "duckdb" else 12
    return ways[:: -(-len(ways) // most)]
