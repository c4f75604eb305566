"""A wrong clock must not destroy: what a service does while its clock is not believed, on either ledger."""

import pytest
from sqlalchemy import select, update

from gating.account import Request
from gating.clock import Reading
from gating.datadir import DataDirectory
from gating.errors import ClockInDoubt, Refused
from gating.heartbeat import confirmed
from gating.ledger import Who, tables
from gating.ledger.activity import Activity
from gating.status import DAY_US, Role
from tests.gating.led import jump, led
from tests.gating.ledger.places import url  # noqa: F401  a fixture is found by its name

OPERATOR = Who("tests", Role.OPERATOR)


@pytest.fixture
async def leading(url, tmp_path):  # noqa: F811
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), led(directory, url) as leading:
        await leading.service.create_account("shop", rulebook="default", who=OPERATOR)
        yield leading


@pytest.fixture
def service(leading):
    return leading.service


def beat(leading):
    """What each renewal of the leader's term does."""
    assert leading.ledger.renew_term(leading.ledger.lead().term, 0, leading.service.clock.reading())


async def do(service, command, **more):
    return await service.do("shop", Request(command, Role.OPERATOR, actor="tests", **more))


async def canceled_then(leading, days):
    """The account's 30 days to DELETED begin, a heartbeat is stored, and the clock then stands so many days on."""
    await do(leading.service, "cancel")
    beat(leading)
    jump(leading.service.clock, days * DAY_US)


async def sweep_all(service):
    swept = 0
    while changes := await service.sweep():
        swept += changes
    return swept


async def test_a_clock_more_than_a_day_ahead_holds_a_deletion_that_is_shown_all_the_same(leading, service):
    await canceled_then(leading, 31)
    assert await sweep_all(service) == 0
    assert (await service.account("shop"))["status"] == "DELETED"  # shown, and at the edge enforced by `until`/`then`
    assert leading.ledger.account("shop").status == "CANCELED"
    shown = await service.clock_desk.show()
    assert (shown["in_doubt"], shown["waiting"]) == ("ahead", 1)
    assert "days past" in service.clock_desk.not_ready()[0]


async def test_no_command_passes_a_deletion_by_that_may_have_come(leading, service):
    await canceled_then(leading, 31)
    for change in (
        do(service, "reactivate"),
        service.create_key("shop", who=OPERATOR),
        service.move("shop", who=OPERATOR),
    ):
        with pytest.raises(ClockInDoubt, match="clock confirm"):
            await change
    assert leading.ledger.head().version == 2


async def test_once_an_operator_confirms_the_clock_the_deletion_is_durable_at_its_own_moment(leading, service):
    await canceled_then(leading, 31)
    due_at = leading.ledger.account("shop").account.deadline.at_us
    assert await sweep_all(service) == 0
    assert (await service.clock_desk.confirm("ana"))["was_in_doubt"] == "ahead"
    assert await sweep_all(service) == 1
    assert leading.ledger.history("shop")[-1].at_us == due_at
    assert (await service.clock_desk.show())["in_doubt"] is None
    assert service.clock_desk.not_ready() == []


async def test_a_clock_set_right_again_has_destroyed_nothing(leading, service):
    await canceled_then(leading, 400)
    beat(leading)
    assert await sweep_all(service) == 0
    jump(service.clock, -400 * DAY_US)
    beat(leading)
    assert await sweep_all(service) == 0
    assert (await do(service, "reactivate"))["to"] == "ACTIVE"


async def test_what_can_be_undone_is_made_durable_by_a_clock_ahead(leading, service):
    """A trial's end goes on hold; the account's deletion after it would wait."""
    await service.create_account("trial", rulebook="segmetrics", who=OPERATOR)
    beat(leading)
    jump(service.clock, 20 * DAY_US)
    assert await sweep_all(service) == 1
    assert leading.ledger.account("trial").status == "ON_HOLD"


async def test_what_waits_holds_up_nobody_elses_deadline(leading, service):
    for number in range(3):
        await service.create_account(f"gone-{number}", rulebook="default", who=OPERATOR)
        await service.do(f"gone-{number}", Request("cancel", Role.OPERATOR, actor="tests"))
    await service.create_account("trial", rulebook="customertrackr", who=OPERATOR)
    beat(leading)
    jump(service.clock, 31 * DAY_US)
    assert await sweep_all(service) == 1
    assert leading.ledger.account("trial").status == "ON_HOLD"
    assert service.clock_desk.waiting() == 3


async def test_a_clock_behind_the_last_heartbeat_holds_every_deadline(leading, service):
    await service.create_account("trial", rulebook="segmetrics", who=OPERATOR)
    jump(service.clock, 20 * DAY_US)
    beat(leading)
    jump(service.clock, -5 * DAY_US)  # 15 days on: the trial's end has come by this clock too
    assert await sweep_all(service) == 0
    assert leading.ledger.account("trial").status == "TRIAL"
    with pytest.raises(ClockInDoubt, match="behind"):
        await service.do("trial", Request("cancel", Role.OPERATOR, actor="tests", reason="other"))
    shown = await service.clock_desk.show()
    assert (shown["in_doubt"], shown["waiting"]) == ("behind", 1)
    assert (await do(service, "pause"))["to"] == "PAUSED"  # no deadline: nothing is passed by
    jump(service.clock, 6 * DAY_US)
    assert await sweep_all(service) == 1


async def test_a_day_of_steady_running_is_as_good_as_a_word(leading, service):
    await canceled_then(leading, 31)
    beat(leading)
    before = leading.ledger.beat.read()
    ran = Reading(before.reading.wall_us + DAY_US, before.reading.boot_id, before.reading.boot_ns + DAY_US * 1000)
    jump(service.clock, DAY_US)
    leading.ledger.renew_term(leading.ledger.lead().term, 0, ran)
    assert leading.ledger.beat.read() == confirmed(ran)
    assert await sweep_all(service) == 1


async def test_a_clock_that_the_service_and_the_host_disagree_on_is_not_confirmed(leading, service):
    wall_ns = service.clock._wall_ns
    service.clock._wall_ns = lambda: wall_ns() + 3600 * 10**9
    with pytest.raises(Refused, match="Restart the gating service"):
        await service.clock_desk.confirm("ana")


async def test_a_free_account_ends_only_where_its_silence_is_known(leading, service):
    """customertrackr 6: 365 days without activity, as the consumers report it."""
    ledger = leading.ledger
    await service.create_account("free", rulebook="customertrackr", plan="free", who=OPERATOR)
    await service.do("free", Request("set_free", Role.OPERATOR, actor="tests"))
    began_us = ledger.account("free").account.anchors["last_activity"]
    hit_us = began_us + 100 * DAY_US
    ledger.activity.note({"free": hit_us, "nobody": 1})
    ledger.activity.note({"free": hit_us - DAY_US})  # late: moves nothing back
    beat(leading)
    jump(service.clock, 366 * DAY_US)
    await service.clock_desk.confirm("tests")
    assert await sweep_all(service) == 0  # nobody has reported up to now
    assert ledger.account("free").status == "ACTIVE"
    ledger.activity.note_known("here", service.clock.now_us(), service.clock.now_us())
    service.sweeper.look_again()
    await sweep_all(service)
    assert ledger.account("free").status == "ACTIVE"
    assert ledger.account("free").account.deadline.at_us == hit_us + 365 * DAY_US
    jump(service.clock, 101 * DAY_US)
    await service.clock_desk.confirm("tests")
    ledger.activity.note_known("here", service.clock.now_us(), service.clock.now_us())
    assert await sweep_all(service) == 1
    last = ledger.history("free")[-1]
    assert (last.to_status, last.at_us) == ("CANCELED", hit_us + 365 * DAY_US)


@pytest.mark.parametrize("seen_days", [-2, 2])
def test_a_reporter_that_is_silent_or_from_the_future_knows_nothing(leading, seen_days):
    now_us = leading.service.clock.now_us()
    leading.ledger.activity.note_known("here", now_us, now_us)
    leading.ledger.activity.note_known("there", now_us - 5, now_us)
    assert leading.ledger.activity.of("shop", now_us) == Activity(0, now_us)
    for place in ("here", "there"):
        leading.ledger.activity.note_known(place, now_us, now_us + seen_days * DAY_US)
    assert leading.ledger.activity.known_us(now_us) == 0


async def test_an_account_whose_rulebook_is_lost_holds_up_nobody_elses_deadline(leading, service):
    for name in ("a-trial", "lost", "z-trial"):
        await service.create_account(name, rulebook="segmetrics", who=OPERATOR)
    with leading.ledger.begin() as transaction:  # as a ledger that another release wrote: its text is nowhere any more
        columns = tables.accounts.c
        state = transaction.connection.execute(select(columns.state).where(columns.id == "lost")).scalar_one()
        digest = leading.ledger.account("lost").account.rulebook_digest
        moved = update(tables.accounts).where(columns.id == "lost").values(state=state.replace(digest, "f" * 64))
        transaction.connection.execute(moved)
    jump(service.clock, 15 * DAY_US)
    assert await sweep_all(service) == 2
    assert {name: leading.ledger.account(name).status for name in ("a-trial", "lost", "z-trial")} == {
        "a-trial": "ON_HOLD", "lost": "TRIAL", "z-trial": "ON_HOLD",
    }  # fmt: skip
