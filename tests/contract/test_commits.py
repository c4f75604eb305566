"""Changes that wait together share one transaction, and each stands or falls by itself: on either ledger."""

import asyncio
import contextlib

import pytest

from gating.account import Request
from gating.commits import GROUP_MAX, Commits, Waiting
from gating.datadir import DataDirectory
from gating.errors import NotFound, PixelgateError, Refused
from gating.ledger import Who
from gating.status import Role
from tests.gating.led import led
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name

OPERATOR = Who("tests", Role.OPERATOR)
NO_WAIT = Waiting(wait=False)


@pytest.fixture
async def leading(url, tmp_path):  # noqa: F811
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), led(directory, url) as leading:
        yield leading
        assert leading.ledger.verify_history() == []
        assert leading.ledger.verify_projections() == []


@pytest.fixture
def transactions(leading, monkeypatch):
    """How many write transactions there were; what is done in them is done."""
    seen = []
    change = leading.ledger.change

    def counted(block):
        seen.append(block)
        return change(block)

    monkeypatch.setattr(leading.ledger, "change", counted)
    return seen


def asked(leading, account, command, **more):
    return leading.service.do(account, Request(command, Role.OPERATOR, actor="tests", **more), waiting=NO_WAIT)


async def open_shops(leading, number):
    names = [f"shop-{n}" for n in range(number)]
    await asyncio.gather(
        *(leading.service.create_account(name, rulebook="default", who=OPERATOR, waiting=NO_WAIT) for name in names)
    )
    return names


async def test_flips_that_come_together_share_a_commit(leading, transactions):
    names = await open_shops(leading, GROUP_MAX)
    del transactions[:]
    answers = await asyncio.gather(*(asked(leading, name, "pause") for name in names))
    assert len(transactions) <= 2  # the first goes alone where the thread is free
    assert sorted(answer["version"] for answer in answers) == list(range(GROUP_MAX + 1, 2 * GROUP_MAX + 1))
    assert leading.lead.head == leading.ledger.head().version == 2 * GROUP_MAX


async def test_a_group_has_a_bound(leading, transactions):
    await open_shops(leading, 4 * GROUP_MAX)
    assert 4 <= len(transactions) <= 6


async def test_what_is_refused_among_others_changes_nothing_and_holds_none_of_them_up(leading):
    names = await open_shops(leading, 4)
    await asked(leading, names[0], "suspend", reason="abuse")
    before = leading.ledger.history(names[0])
    outcomes = await asyncio.gather(
        asked(leading, names[1], "pause"),
        asked(leading, names[0], "pause"),  # not while suspended
        asked(leading, "nobody", "pause"),
        asked(leading, names[2], "no_such_command"),
        asked(leading, names[2], "cancel"),
        asked(leading, names[3], "pause"),
        return_exceptions=True,
    )
    assert [outcome["to"] for outcome in outcomes if isinstance(outcome, dict)] == ["PAUSED", "CANCELED", "PAUSED"]
    assert isinstance(outcomes[1], Refused)
    assert isinstance(outcomes[2], NotFound)
    assert isinstance(outcomes[3], PixelgateError)
    assert leading.ledger.history(names[0]) == before
    assert leading.lead.head == leading.ledger.head().version


async def test_flips_of_one_account_that_come_together_are_carried_out_in_order(leading):
    (name,) = await open_shops(leading, 1)
    commands = ["pause", "resume", "pause", "resume", "resume", "cancel", "pause", "reactivate"]
    outcomes = await asyncio.gather(*(asked(leading, name, command) for command in commands), return_exceptions=True)
    assert [isinstance(outcome, Refused) for outcome in outcomes] == [False] * 6 + [True, False]
    assert [row.command for row in leading.ledger.history(name)][1:] == [
        "pause", "resume", "pause", "resume", "cancel", "reactivate",
    ]  # fmt: skip


async def test_a_bug_in_one_change_is_its_askers_alone(leading):
    names = await open_shops(leading, 2)

    def broken(transaction):
        transaction.add_key(names[0], at_us=1, who=OPERATOR)
        raise ZeroDivisionError

    keys = len(leading.ledger.keys(names[0]))
    outcomes = await asyncio.gather(
        asked(leading, names[0], "pause"), leading.service.commit(broken), asked(leading, names[1], "pause"),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(outcome) for outcome in outcomes] == [dict, ZeroDivisionError, dict]
    assert len(leading.ledger.keys(names[0])) == keys


async def test_somebody_who_goes_away_leaves_the_others_and_the_head_right(leading):
    names = await open_shops(leading, 8)
    tasks = [asyncio.create_task(asked(leading, name, "pause")) for name in names]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False] * 4
    assert leading.lead.head == leading.ledger.head().version


class Unannounced:
    """A lead that cannot tell its workers, once."""

    def __init__(self, lead):
        self._lead, self.failed = lead, False

    def __getattr__(self, name):
        return getattr(self._lead, name)

    def announce(self, changes):
        if not self.failed:
            self.failed = True
            raise OSError("no socket")
        self._lead.announce(changes)


async def test_a_commit_that_could_not_be_announced_is_told_and_holds_up_none_after_it(leading):
    names = await open_shops(leading, 2)
    commits = Commits(leading.ledger, Unannounced(leading.lead))
    try:
        for name, outcome in ((names[0], OSError), (names[1], None)):

            def change(transaction, name=name):
                return {}, [transaction.add_key(name, at_us=1, who=OPERATOR)]

            with pytest.raises(outcome) if outcome else contextlib.nullcontext():
                await commits.commit(change, NO_WAIT)
            assert leading.lead.head == leading.ledger.head().version
    finally:
        commits.close(lambda: None)
