"""A command from end to end, on a real ledger file, led in this process."""

import pytest

from gating.account import Request
from gating.commits import Waiting
from gating.datadir import DataDirectory
from gating.errors import AlreadyExists, InputInvalid, NotFound, Refused
from gating.ledger import Who
from gating.lifecycle import open_account, standing
from gating.policy import load_rulebook, parse_rulebook
from gating.process import Leading
from gating.status import DAY_US, Role
from tests.gating.led import jump

OPERATOR = Who("tests", Role.OPERATOR)


@pytest.fixture
async def leading(tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), Leading(directory) as leading:
        yield leading


@pytest.fixture
def service(leading):
    return leading.service


async def open_shop(service, account="shop", rulebook="default"):
    return await service.create_account(account, rulebook=rulebook, who=OPERATOR)


def command(name, role=Role.OPERATOR, **more):
    return Request(name, role, actor="tests", **more)


async def test_a_new_account_has_its_rulebooks_start_status_and_one_write_key(service):
    made = await open_shop(service)
    shown = await service.account("shop")
    assert (made["status"], made["version"], made["enforced"]) == ("ACTIVE", 1, True)
    assert [key["write_key"] for key in shown["keys"]] == [made["write_key"]]
    assert (shown["status"], shown["verdict"], shown["access"]) == ("ACTIVE", "ACCEPT", "FULL")


async def test_an_account_without_a_name_gets_an_unguessable_id(service):
    one, two = await open_shop(service, None), await open_shop(service, None)
    assert one["account"] != two["account"]


async def test_an_id_is_never_given_twice(service):
    """I8"""
    await open_shop(service)
    with pytest.raises(AlreadyExists):
        await open_shop(service)


@pytest.mark.parametrize("rulebook", ["nosuch", "../default", "/etc/passwd", "./default.toml"])
async def test_a_rulebook_is_named_and_never_a_path(service, rulebook):
    with pytest.raises(NotFound, match="no rulebook"):
        await open_shop(service, rulebook=rulebook)


async def test_a_flip_answers_with_what_holds_now(service):
    await open_shop(service)
    flipped = await service.do("shop", command("pause"))
    assert {
        name: flipped[name] for name in ("account", "command", "from", "to", "verdict", "access", "version", "enforced")
    } == {
        "account": "shop", "command": "pause", "from": "ACTIVE", "to": "PAUSED", "verdict": "HIDE", "access": "NONE",
        "version": 2, "enforced": True,
    }  # fmt: skip


async def test_a_repeated_command_changes_nothing(service, leading):
    await open_shop(service)
    await service.do("shop", command("pause"))
    again = await service.do("shop", command("pause"))
    assert (again["changed"], again["version"], leading.lead.head) == (False, 2, 2)
    assert len(await service.history("shop")) == 2


async def test_a_refused_command_leaves_no_trace(service, leading):
    await open_shop(service)
    with pytest.raises(Refused):
        await service.do("shop", command("resume", Role.MEMBER))
    assert (len(await service.history("shop")), leading.lead.head, leading.ledger.head().version) == (1, 1, 1)


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(service, leading):
    await open_shop(service)
    told = await service.do("shop", command("cancel"), dry_run=True)
    assert (told["to"], told["verdict"], told["enforced"]) == ("CANCELED", "DROP", False)
    assert (await service.account("shop"))["status"] == "ACTIVE"
    assert leading.ledger.head().version == 1


async def test_no_wait_commits_and_answers_at_once(service):
    await open_shop(service)
    assert (await service.do("shop", command("pause"), waiting=Waiting(wait=False)))["enforced"] is False
    assert (await service.account("shop"))["status"] == "PAUSED"


async def test_a_deadline_is_shown_at_once_and_swept_with_its_own_moment(service):
    """CONTRACT: a change by deadline appears in the history with the deadline's moment."""
    await open_shop(service)
    await service.do("shop", command("cancel"))
    due_at = (await service.account("shop"))["deadline"]["at"]
    jump(service.clock, 31 * DAY_US)
    assert (await service.account("shop"))["status"] == "DELETED"
    assert await service.sweep() == 1
    last = (await service.history("shop"))[-1]
    assert (last["command"], last["to"], last["at"], last["role"]) == ("lapse", "DELETED", due_at, "system")
    assert await service.sweep() == 0


async def test_at_its_instant_the_deadline_wins_over_any_command(service):
    await open_shop(service)
    await service.do("shop", command("cancel"))
    jump(service.clock, 30 * DAY_US)
    with pytest.raises(Refused):
        await service.do("shop", command("reactivate"))


async def test_a_rotated_key_drops_at_once_and_the_new_one_is_of_the_same_source(service):
    await open_shop(service)
    blog = await service.create_key("shop", source="blog", who=OPERATOR)
    rotated = await service.rotate_key("shop", source="blog", who=OPERATOR)
    keys = {key["write_key"]: key for key in await service.keys("shop")}
    assert rotated["revoked"] == blog["write_key"]
    assert keys[blog["write_key"]]["revoked_at"] is not None
    assert keys[rotated["write_key"]]["source"] == "blog"


async def test_a_revoked_key_stays_listed_and_the_others_live(service):
    made = await open_shop(service)
    other = await service.create_key("shop", who=OPERATOR)
    await service.revoke_key("shop", key=made["write_key"], who=OPERATOR)
    living = [key["write_key"] for key in await service.keys("shop") if key["revoked_at"] is None]
    assert living == [other["write_key"]]


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), 1e12])
async def test_a_grace_that_is_no_time_is_refused(service, grace):
    await open_shop(service)
    with pytest.raises(InputInvalid, match="grace"):
        await service.rotate_key("shop", grace_seconds=grace, who=OPERATOR)


async def test_accounts_are_listed_by_the_status_they_have_now(service):
    await open_shop(service)
    await open_shop(service, "other")
    await service.do("other", command("pause"))
    assert [line["account"] for line in await service.accounts(status="paused")] == ["other"]


@pytest.mark.parametrize("ask", ["account", "history", "keys"])
async def test_an_unknown_account_is_said_to_be_unknown(service, ask):
    with pytest.raises(NotFound, match="nobody"):
        await getattr(service, ask)("nobody")


async def test_an_account_keeps_the_rulebook_version_it_was_created_under(service, leading):
    """RULEBOOKS, all five, 1: a later edit of the rulebook moves nothing."""
    older = parse_rulebook(load_rulebook("default").text.replace('span = "30d"', 'span = "3d"'), "default")
    with leading.ledger.begin() as transaction:
        decision = open_account(older, "shop", None, leading.service.clock.now_us())
        transaction.keep_rulebook(older.digest, older.name, older.text)
        transaction.create_account(decision, standing(older, decision.account), OPERATOR)
    await service.do("shop", command("cancel"))
    jump(service.clock, 4 * DAY_US)
    assert (await service.account("shop"))["status"] == "DELETED"


async def test_changes_that_are_announced_are_owed_to_nobody_any_more(service, leading):
    await open_shop(service)
    await service.do("shop", command("pause"))
    leading.note_delivered()
    assert [row.kind for row in leading.ledger.outbox()] == ["stop_integrations"]
