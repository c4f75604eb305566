"""What every ledger promises about refusals: each is written down, by ids and codes alone, and no flood fills it."""

import asyncio

import pytest
from sqlalchemy import select

from gating.account import Request
from gating.datadir import DataDirectory
from gating.errors import AlreadyExists, InputInvalid, NotFound, Refused
from gating.ledger import Ledger, Who, tables
from gating.status import Role
from gating.tally import ACTOR_ROWS_MAX
from gating.webhooks.applier import Applier
from gating.webhooks.counts import Counts
from tests.contract.test_billing_events import Books
from tests.gating.led import led

OPERATOR = Who("person-1", Role.OPERATOR)


@pytest.fixture
async def house(url, tmp_path):
    """A service over the ledger with the account `shop`."""
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), led(directory, url) as house:
        await house.service.create_account("shop", rulebook="default", who=OPERATOR)
        yield house
        assert house.ledger.verify_history() == house.ledger.refusals.verify() == []


def told(house, account="shop"):
    return house.service.refusals.of(account)


async def refused(house, command, role=Role.OPERATOR, error=Refused, **more):
    with pytest.raises(error):
        await house.service.do("shop", Request(command, role, "person-1", **more))
    return next(iter(told(house)[::-1]), None)


async def test_a_refused_command_is_written_down_with_its_rule(house):
    await house.service.do("shop", Request("pause", Role.OPERATOR, "person-1"))
    row = await refused(house, "resume", Role.MEMBER, on_behalf="owner:Ana Example")
    assert row["at"] == row["until"]
    assert {name: row[name] for name in row if name not in ("at", "until")} == {
        "sequence": 1, "times": 1, "account": "shop", "version": 2, "command": "resume", "actor": "person-1",
        "role": "member", "for": "owner", "code": "role_refused", "rule": "default.toml:33",
    }  # fmt: skip
    assert (await refused(house, "delete"))["code"] == "needs_missing"
    assert (await refused(house, "unsuspend"))[
        "rule"
    ] == "default.toml:12"  # where PAUSED stands, which has no such row


@pytest.mark.parametrize(
    ("ask", "error", "command", "code"),
    [
        (lambda s: s.revoke_key("shop", key="nobodys-key", who=OPERATOR), NotFound, "revoke_key", "not_found"),
        (lambda s: s.rotate_key("shop", source="nothing", who=OPERATOR), NotFound, "rotate_key", "not_found"),
        (lambda s: s.name_key("shop", to="x", key="nobodys-key", who=OPERATOR), NotFound, "name_key", "not_found"),
        (lambda s: s.create_key("shop", source="", who=OPERATOR), InputInvalid, "create_key", "input_invalid"),
        (lambda s: s.move("shop", to_rulebook="nothing", who=OPERATOR), NotFound, "move", "not_found"),
        (lambda s: s.create_account("shop", rulebook="default", who=OPERATOR), AlreadyExists, "create",
         "already_exists"),
    ],
    ids=["revoke", "rotate", "name", "create_key", "move", "create"],
)  # fmt: skip
async def test_refused_key_actions_and_moves_are_written_down(house, ask, error, command, code):
    with pytest.raises(error):
        await ask(house.service)
    assert [(row["command"], row["code"], row["version"]) for row in told(house)] == [(command, code, 1)]


async def test_nothing_that_somebody_wrote_is_kept(house, url):
    """I12: a refusal outlives its account's purge, so it holds ids and codes alone."""
    words = "unforgettable"
    who = Who(f"{words}@example.org", Role.MEMBER, f"{words}:{words}")
    request = Request(
        f"pause {words}", Role.MEMBER, who.id, on_behalf=who.on_behalf, reason=words, values={"note": words}
    )  # fmt: skip
    with pytest.raises(Refused):
        await house.service.do("shop", request)
    with pytest.raises(InputInvalid):  # for the actor, who is no id
        await house.service.revoke_key("shop", key=house.ledger.keys("shop")[0].write_key, who=who)
    with pytest.raises(InputInvalid):
        await house.service.create_key("shop", source=words + "\n", who=who)
    rows = house.ledger._rows(select(tables.refusals))
    assert len(rows) == 3
    assert words not in repr([row._asdict() for row in rows])
    assert {(row.actor, row.on_behalf) for row in rows} == {("unknown", "unknown")}


async def test_a_dry_run_and_an_account_there_is_not_leave_nothing(house):
    with pytest.raises(Refused):
        await house.service.do("shop", Request("resume", Role.MEMBER, "person-1"), dry_run=True)
    with pytest.raises(NotFound):
        await house.service.do("nobody", Request("resume", Role.MEMBER, "person-1"))
    assert told(house) == []
    assert house.ledger.refusals.chain() == (0, bytes(32))
    with pytest.raises(NotFound):
        told(house, "nobody")


async def test_a_refused_command_leaves_account_and_history_as_they_were(house):
    before = (house.ledger.head(), house.ledger.account("shop"), house.ledger.outbox())
    await refused(house, "resume", Role.MEMBER)
    assert (house.ledger.head(), house.ledger.account("shop"), house.ledger.outbox()) == before


async def test_equal_refusals_of_a_minute_are_one_row_and_their_number(house, url):
    """Written as the service ends, at the latest."""
    await asyncio.gather(*(refused(house, "resume", Role.MEMBER) for _ in range(200)))
    assert [row["times"] for row in told(house)] == [1]
    house.service.refusals.close()
    assert [row["times"] for row in told(house)] == [1, 199]


async def test_a_flood_of_different_refusals_costs_a_bounded_number_of_rows_and_none_goes_uncounted(house):
    roles = (Role.MEMBER, Role.BILLING, Role.AUDITOR, Role.ADMIN)
    asked = [(role, command) for role in roles for command in ("pause", "resume", "cancel", "delete")]
    flood = [(role, command, f"owner+{n}") for n in range(3) for role, command in asked]
    for number in range(5):  # another version, another kind
        await house.service.create_key("shop", who=OPERATOR)
        await asyncio.gather(
            *(refused(house, command, role, on_behalf=whom) for role, command, whom in flood[number:])
        )  # fmt: skip
    house.service.refusals.close()
    rows = house.ledger._rows(select(tables.refusals).order_by(tables.refusals.c.sequence))
    assert sum(row.times for row in rows) == 5 * len(flood) - 10
    assert len([row for row in rows if row.account is not None]) <= 2 * ACTOR_ROWS_MAX
    assert [(row.code, row.account) for row in rows[-1:]] == [("suppressed", None)]
    counted = {sample.labels["command"]: sample.value for sample in house.service.refusals.collect()[0].samples}
    assert sum(counted.values()) == 5 * len(flood) - 10


async def test_a_ledger_that_is_opened_again_goes_on_with_the_chain(house, url):
    await refused(house, "resume", Role.MEMBER)
    with Ledger.open(url) as again:
        again.refusals.add(again.refusals.of("shop"))
        assert again.refusals.chain()[0] == 2
        assert again.refusals.verify() == []


async def test_refusals_are_paged_from_the_newest(house):
    for role in (Role.MEMBER, Role.BILLING, Role.AUDITOR):
        await refused(house, "resume", role)
    rows = house.ledger.refusals
    assert [row.sequence for row in rows.of("shop", limit=2)] == [2, 3]
    assert [row.sequence for row in rows.of("shop", before=2)] == [1]


async def test_a_deadline_that_had_come_is_not_made_durable_by_a_refusal(house):
    """The refused transaction is rolled back whole; the sweeper makes the deadline durable."""
    await house.service.do("shop", Request("cancel", Role.OPERATOR, "person-1", reason="other"))
    house.service.clock.now_us = lambda: 2_000_000_000_000_000
    row = await refused(house, "reactivate")
    assert (row["version"], row["code"], row["rule"]) == (2, "refused", "deleted")
    assert house.ledger.head().version == 2


async def test_what_a_payment_provider_asked_for_in_vain_is_written_down_once_its_event_is_settled(house):
    ledger, service = house.ledger, house.service
    await service.create_account("trial", rulebook="segmetrics", who=OPERATOR)
    books = object.__new__(Books)  # its events alone; both accounts are there
    books.ledger = ledger
    applier = Applier(ledger, service, Counts(), leads=lambda: True, keep_days=30)
    books.tell("evt_1", "invoice.payment_failed", 60, 1, metadata={"account": "trial"})
    books.tell("evt_2", "invoice.payment_failed", 60, 1, metadata={"account": "shop"})  # which has no such command
    await applied(applier)
    (row,) = told(house, "trial")
    assert (row["command"], row["actor"], row["role"], row["code"]) == (
        "payment_failed", "webhook:stripe", "system", "refused",
    )  # fmt: skip
    assert told(house) == []
    assert await applier.step() == 0


async def applied(applier):
    """All that waits: one look takes as many as there is time for."""
    while await applier.step():
        pass
