"""Usage is what was kept, counted where it lies: hits through a real gate, journal and warehouse, either form of it."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from collector.outcome import Outcome
from consumers.errors import AccessDenied
from consumers.export import Format
from consumers.moments import ALWAYS
from consumers.tail import Filter
from consumers.warehouse.protocol import Audience, Period
from gating.policy import load_rulebook, rulebooks
from gating.status import Access, Status, Verdict
from tests.consumers.collected import Collected
from tests.consumers.house import House
from tests.gating.life import Life
from tests.gating.reached import reached

KEPT = {Verdict.ACCEPT: Outcome.ACCEPTED, Verdict.HIDE: Outcome.HIDDEN, Verdict.DROP: Outcome.DROPPED_STATUS}
HOUR_US = 3_600_000_000
on_each = pytest.mark.parametrize("product", rulebooks())
on_both = pytest.mark.parametrize("form", ["duckdb", "clickhouse"])


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def month(text: str) -> Period:
    """The calendar month of that day, UTC."""
    year, number = int(text[:4]), int(text[5:7])
    after = f"{year + number // 12}-{number % 12 + 1:02}-01"
    return Period(at(f"{text[:7]}-01"), at(after))


@pytest.fixture
def house(request, tmp_path):
    form = request.node.callspec.params.get("form", "duckdb")
    url = request.getfixturevalue("clickhouse_url") if form == "clickhouse" else None
    house = House(tmp_path / "data", clickhouse_url=url)
    yield house
    house.close()


@asynccontextmanager
async def taken(house):
    """A consumer that has taken all that was kept into its warehouse."""
    service = house.service()
    try:
        await service.loop.step(0.3)
        while service.owed():
            await service.loop.step(0.3)
        yield service
    finally:
        await service.close()


@pytest.mark.parametrize(
    ("product", "form"),
    [*((product, "duckdb") for product in rulebooks()), ("segmetrics", "clickhouse"), ("default", "clickhouse")],
)
async def test_all_5_dropped_hits_are_no_usage_and_kept_ones_are_hidden_too(house, product, form):
    """In every status the product knows: three visitors' hits count where the verdict keeps them, and nowhere else."""
    collected = Collected(house, load_rulebook(product))
    kept: dict[str, int] = {}
    stood = {}
    for life in reached(product):
        stood.setdefault((life.status, life.account.beneath, life.verdict), life)
    for number, life in enumerate(stood.values()):
        account = f"a{number}"
        collected.take(account, tuple(life.decisions))
        for visitor in ("ana", "bo", "ana", "cy"):
            outcome = collected.hit(collected.keys[account], visitor, life.now_us + HOUR_US)
            assert outcome is KEPT[life.verdict]
        kept[account] = 0 if life.verdict is Verdict.DROP else 3
    assert {0, 3} <= set(kept.values())
    async with taken(house) as service:
        for account, life in zip(kept, stood.values(), strict=True):
            report = await service.report(account, Audience.OPERATOR, _hour(life))
            assert (report["mtu"], sum(report["events"].values())) == (kept[account], 4 if kept[account] else 0)


def _hour(life):
    return Period(life.now_us, life.now_us + 2 * HOUR_US)


@on_both
async def test_segment_5_usage_is_distinct_visitors_of_kept_hits_a_calendar_month_utc_and_overage_is_seen(house, form):
    book = load_rulebook("segment")
    collected = Collected(house, book)
    life = Life.begin(book, "team", at("2026-01-10"))
    collected.take("shop", tuple(life.decisions))
    key = collected.keys["shop"]
    for moment, visitor in (
        ("2026-03-31 23:59:59", "late"),  # still March, whatever the zone of whoever looks
        ("2026-04-01 00:00:00", "early"),
        ("2026-04-15 12:00:00", "early"),
        ("2026-04-30 23:59:59", "last"),
        ("2026-05-01 00:00:00", "next"),
    ):
        assert collected.hit(key, visitor, at(moment)) is Outcome.ACCEPTED
    async with taken(house) as service:
        for name, users in (("2026-03", 1), ("2026-04", 2), ("2026-05", 1)):
            report = await service.report("shop", Audience.OPERATOR, month(name))
            assert (report["mtu"], report["mtu_included"], report["mtu_overage"]) == (users, 10_000, 0)
        report = await service.report("shop", Audience.OPERATOR, Period(at("2026-04-30"), at("2026-05-01")))
        assert (report["visitors"], report["mtu"]) == (1, 2)  # of the month that the period ends in


@on_both
async def test_segment_8_tracked_users_are_counted_on_every_plan_and_nothing_is_cut_off_for_overage(house, form):
    """Beyond the free plan's 1,000 all goes on being kept; how much that is stands in the report, the account's too."""
    book = load_rulebook("segment")
    collected = Collected(house, book)
    free, team, none = Life.begin(book, "Free"), Life.begin(book, "team"), Life.begin(book)
    team.do("downgrade", confirm=True)
    for account, life in (("free", free), ("was-team", team), ("no-plan", none)):
        collected.take(account, tuple(life.decisions))
        for number in range(1_003):
            assert collected.hit(collected.keys[account], f"v{number}", life.now_us + HOUR_US) is Outcome.ACCEPTED
    async with taken(house) as service:
        for audience in Audience:
            for account, included, overage in (("free", 1000, 3), ("was-team", 1000, 3), ("no-plan", None, None)):
                report = await service.report(account, audience, _hour(free))
                assert (report["mtu"], report["mtu_included"], report["mtu_overage"]) == (1003, included, overage)


@on_both
async def test_segment_9_hits_on_a_cycled_key_or_on_none_add_no_usage(house, form):
    book = load_rulebook("segment")
    collected = Collected(house, book)
    life = Life.begin(book, "team")
    collected.take("shop", tuple(life.decisions))
    web = collected.add_key("shop", "web", life.now_us)
    assert collected.hit(web, "before", life.now_us + 1) is Outcome.ACCEPTED
    fresh = collected.rotate("shop", "web", life.now_us + 2)
    assert collected.hit(web, "on-the-cycled-key", life.now_us + 3) is Outcome.DROPPED_REVOKED_KEY
    assert collected.hit("removed-code", "of-removed-code", life.now_us + 3) is Outcome.DROPPED_UNKNOWN_KEY
    assert collected.hit(fresh, "after", life.now_us + 3) is Outcome.ACCEPTED
    assert collected.hit(collected.keys["shop"], "elsewhere", life.now_us + 3) is Outcome.ACCEPTED
    async with taken(house) as service:
        report = await service.report("shop", Audience.OPERATOR, _hour(life))
    assert (report["mtu"], report["events"]["visible"]) == (3, 3)


@on_each
async def test_all_3_access_binds_reports_exports_and_tails_alike(house, product):
    """In every status of the product; an operator may look at all times."""
    collected = Collected(house, load_rulebook(product))
    lives = {}
    for life in reached(product):
        if life.status is not Status.DELETED:
            lives.setdefault((life.status, life.standing.access, life.account.beneath), life)
    service, seen = house.service(), set()
    for number, life in enumerate(lives.values()):
        account, access = f"a{number}", _now(life)
        collected.take(account, tuple(life.decisions))
        ways = (
            lambda account=account: service.report(account, Audience.ACCOUNT, ALWAYS),
            lambda account=account: service.export(
                account, Audience.ACCOUNT, ALWAYS, Format.CSV, house.data.root / account
            ),
            lambda account=account: _followed(service, account),
        )
        for way in ways:
            if access is Access.NONE:
                with pytest.raises(AccessDenied):
                    await way()
            else:
                await way()
        assert (house.data.root / account).exists() == (access is not Access.NONE)
        assert (await service.report(account, Audience.OPERATOR, ALWAYS))["access"] == access
        seen.add(access)
    assert {Access.FULL, Access.NONE} <= seen
    await service.close()


def _now(life):
    """The access as it is by the clock on the wall: deadlines of a life in the past have come since."""
    now = Life(life.policy, life.now_us, list(life.decisions))
    now.now_us = max(now.now_us, at(datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")))
    now.wait(0)
    return now.standing.access


async def _followed(service, account):
    tail = await service.tail(Filter(account, None, Audience.ACCOUNT))
    tail.poll()
    tail.close()
