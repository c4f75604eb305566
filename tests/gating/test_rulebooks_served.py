"""Promises that take a ledger to keep, through the service: what is on file, keys of a source, accounts apart."""

import pytest

from gating.account import Request
from gating.datadir import DataDirectory
from gating.errors import Refused
from gating.ledger import Who
from gating.process import Leading
from gating.status import Role

OPERATOR = Who("tests", Role.OPERATOR)


@pytest.fixture
async def service(tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), Leading(directory) as leading:
        yield leading.service


async def opened(service, rulebook, account="shop", **given):
    return (await service.create_account(account, rulebook=rulebook, who=OPERATOR, **given))["write_key"]


async def do(service, command, role=Role.OWNER, account="shop", **more):
    return await service.do(account, Request(command, role, actor="tests", **more))


async def alive(service, account="shop"):
    return {key["write_key"] for key in await service.keys(account) if key["revoked_at"] is None}


async def test_customertrackr_1_company_and_email_are_compared_with_what_the_ledger_holds(service):
    await opened(service, "customertrackr", owner="ana@example.org", name="Acme")
    for wrong in ({"company": "Acne", "email": "ana@example.org"}, {"company": "Acme", "email": "eve@example.org"}):
        with pytest.raises(Refused, match="as it is on file"):
            await do(service, "cancel", Role.SUPPORT, on_behalf="owner", values=wrong)
    matching = {"company": "ACME", "email": "Ana@Example.org"}
    done = await do(service, "cancel", Role.SUPPORT, on_behalf="owner", values=matching)
    assert done["status"] == "CANCELED"


async def test_customertrackr_1_with_nothing_on_file_nothing_matches(service):
    await opened(service, "customertrackr")
    with pytest.raises(Refused, match="as it is on file"):
        await do(service, "cancel", Role.SUPPORT, on_behalf="owner", values={"company": "None", "email": "None"})


async def test_segment_9_a_cycled_key_stops_and_all_others_go_on(service):
    first = await opened(service, "segment")
    web = (await service.create_key("shop", source="web", who=OPERATOR))["write_key"]
    ios = (await service.create_key("shop", source="ios", who=OPERATOR))["write_key"]
    await do(service, "delete", confirm=True)
    await do(service, "rotate_key", values={"source": "web"})
    now = await alive(service)
    assert web not in now
    assert {first, ios} < now
    assert len(now) == 3


async def test_clickport_14_keys_work_until_the_processing(service):
    key = await opened(service, "clickport")
    await do(service, "request_deletion", confirm=True)
    assert key in await alive(service)
    assert (await service.account("shop"))["verdict"] == "ACCEPT"


async def test_clickport_12_other_accounts_stay_as_they_are(service):
    await opened(service, "clickport")
    other = await opened(service, "clickport", "club")
    before = await service.account("club")
    await do(service, "request_deletion", confirm=True)
    await do(service, "answer", Role.SUPPORT)
    done = await do(service, "confirm_deletion", Role.SUPPORT, on_behalf="owner", values={"reply": "yes"})
    assert done["status"] == "DELETED"
    assert await service.account("club") == before
    assert other in await alive(service, "club")


async def test_clickport_15_a_restore_within_the_day_leaves_the_tombstone(service):
    await opened(service, "clickport")
    await do(service, "request_deletion", confirm=True)
    await do(service, "answer", Role.SUPPORT)
    await do(service, "confirm_deletion", Role.SUPPORT, on_behalf="owner", values={"reply": "yes"})
    done = await do(service, "restore_backup", Role.OPERATOR, on_behalf="owner")
    assert (done["effects"], done["status"]) == (["new_account"], "DELETED")
    assert (await service.account("shop"))["status"] == "DELETED"
    assert (await service.history("shop"))[-1]["command"] == "restore_backup"
