"""What an account may see: never what is hidden, unverified or dropped, however it asks."""

import asyncio
import json
import secrets

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.errors import AccessDenied
from consumers.export import Format
from consumers.moments import ALWAYS
from consumers.tail import Filter
from consumers.warehouse.protocol import Audience
from gating.errors import NotFound
from gating.ledger import new_write_key
from gating.status import Access, Verdict
from tests.consumers.house import House

STEPS = st.lists(
    st.sampled_from(["hit", "hit", "hit", "cut off", "pause", "resume", "cancel", "reactivate"]), max_size=12
)
FROM = {"pause": ("ACTIVE",), "resume": ("PAUSED",), "cancel": ("ACTIVE", "PAUSED"), "reactivate": ("CANCELED",)}


class Story:
    """An account's life as a list, beside what the product makes of it."""

    def __init__(self, house: House, account: str) -> None:
        self.house = house
        self.account = account
        self.key = new_write_key()
        self.version = house.create(account, self.key)
        self.status = "ACTIVE"
        self.hidden: list[tuple[str, int]] = []  # and the version that stood when it was
        self.visible: list[str] = []
        self.cut_off: list[str] = []
        self.hits = 0

    @property
    def verdict(self) -> Verdict:
        return {"ACTIVE": Verdict.ACCEPT, "PAUSED": Verdict.HIDE}.get(self.status, Verdict.DROP)

    def step(self, step: str) -> None:
        if step in FROM:
            if self.status in FROM[step]:
                self.flip(step)
        elif step == "cut off" or self.verdict is not Verdict.DROP:
            self.hit(verified=step == "hit")

    def flip(self, command: str) -> None:
        self.version = self.house.flip(command, self.account)
        self.status = self.house.ledger.account(self.account).status.value
        if self.verdict is Verdict.ACCEPT:
            self.visible += [visitor for visitor, version in self.hidden if version < self.version]
            self.hidden = [(visitor, version) for visitor, version in self.hidden if version >= self.version]

    def hit(self, *, verified: bool) -> None:
        self.hits += 1
        visitor = f"v{self.hits}"
        verdict = self.verdict if verified else Verdict.ACCEPT
        self.house.hit(
            f"v={visitor}",
            account=self.account,
            key=self.key,
            verdict=verdict,
            verified=verified,
            version=self.version,
        )
        if not verified:
            self.cut_off.append(visitor)
        elif verdict is Verdict.HIDE:
            self.hidden.append((visitor, self.version))
        else:
            self.visible.append(visitor)


@pytest.fixture(params=["duckdb", "clickhouse"])
def living(request, tmp_path):
    """One house and one service for all examples, each of which has an account of its own; either warehouse."""
    url = request.getfixturevalue("clickhouse_url") if request.param == "clickhouse" else None
    house = House(tmp_path / "data", clickhouse_url=url)
    with asyncio.Runner() as runner:
        service = runner.run(_opened(house))
        yield house, service, runner
        runner.run(service.close())
    house.close()


async def _opened(house):
    return house.service()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(steps=STEPS)
def test_an_account_sees_its_visible_events_and_nothing_else(living, steps):
    """I11: report, export and tail as account show accepted events and revealed ones; the operator counts the rest."""
    house, service, runner = living
    runner.run(_live_through(Story(house, f"shop-{secrets.token_hex(4)}"), service, steps))


async def _live_through(story, service, steps):
    tail = await service.tail(Filter(story.account, None, Audience.ACCOUNT))
    for step in steps:
        story.step(step)
    await service.loop.drain(30)
    operator = await service.report(story.account, Audience.OPERATOR, ALWAYS)
    assert operator["events"] == {
        "visible": len(story.visible),
        "hidden": len(story.hidden),
        "unverified": len(story.cut_off),
    }
    if operator["access"] == Access.NONE:
        await _sees_nothing(service, tail, story.account)
    else:
        await _sees(service, tail, story)
    tail.close()


async def _sees_nothing(service, tail, account):
    with pytest.raises(AccessDenied):
        await service.report(account, Audience.ACCOUNT, ALWAYS)
    with pytest.raises(AccessDenied):
        await service.export(account, Audience.ACCOUNT, ALWAYS, Format.NDJSON, service.data.root / "out")
    with pytest.raises(AccessDenied):
        tail.poll()
    assert not (service.data.root / "out").exists()


async def _sees(service, tail, story):
    seen = await service.report(story.account, Audience.ACCOUNT, ALWAYS)
    assert seen["events"] == {"visible": len(story.visible)}
    assert seen["visitors"] == seen["mtu"] == len(story.visible)
    out = service.data.root / story.account
    await service.export(story.account, Audience.ACCOUNT, ALWAYS, Format.NDJSON, out)
    exported = [json.loads(line) for line in out.read_bytes().split(b"\n")[:-1]]
    assert sorted(event["visitor"] for event in exported) == sorted(story.visible)
    assert all(event["verified"] for event in exported)
    assert {event["visitor"] for event in tail.poll()} <= set(story.visible)


async def test_an_account_with_export_access_has_reports_and_exports(house):
    """CONTRACT: access NONE alone is refused; `default` says EXPORT for CANCELED."""
    house.create()
    house.hit("v=a")
    house.flip("cancel")
    service = house.service()
    await service.loop.step(1)
    seen = await service.report("shop", Audience.ACCOUNT, ALWAYS)
    assert (seen["access"], seen["events"]) == ("EXPORT", {"visible": 1})
    exported = await service.export("shop", Audience.ACCOUNT, ALWAYS, Format.CSV, house.data.root / "out")
    assert exported.events == 1
    await service.close()


async def test_cancelling_out_of_a_pause_does_not_show_what_was_hidden(house):
    """DESIGN 8: only a change into an ACCEPT status reveals, whatever the access."""
    house.create()
    house.hit("v=a", verdict=Verdict.HIDE, version=house.flip("pause"))
    house.flip("cancel")
    service = house.service()
    await service.loop.step(1)
    assert (await service.report("shop", Audience.ACCOUNT, ALWAYS))["events"] == {"visible": 0}
    house.flip("reactivate")
    assert (await service.report("shop", Audience.ACCOUNT, ALWAYS))["events"] == {"visible": 1}
    await service.close()


async def test_an_account_that_nobody_has_is_not_found(house):
    service = house.service()
    with pytest.raises(NotFound):
        await service.report("nobody", Audience.OPERATOR, ALWAYS)
    await service.close()
