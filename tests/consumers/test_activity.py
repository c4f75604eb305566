"""What the consumers report of accounts' activity: never more than is known, and nothing forgotten."""

import pytest

from consumers.activity import Activity
from consumers.settle import MARGIN_US
from gating.ledger import Ledger, ledger_url
from tests.consumers.house import now_us

OTHER = "Q7pXc2MnRt9LwZ4bKd8Hsy"


@pytest.fixture
async def service(house):
    house.create()
    house.create("other", OTHER)
    service = house.service()
    yield service
    await service.close()


@pytest.fixture
def rows(house):
    return house.ledger.activity


def known(rows):
    return rows.known_us(now_us())


async def taken(service):
    while await service.loop.step(0):
        pass


async def test_an_account_was_last_active_when_its_newest_kept_hit_was_received(house, service, rows):
    """customertrackr 6; whatever hid it, and however late it is taken."""
    began_us = now_us()
    at_us = began_us - 10_000_000
    house.hit("v=a", at_us=at_us)
    house.hit("v=b", account="other", key=OTHER, at_us=at_us - 5)
    await taken(service)
    assert await service.activity.step() == 2
    assert rows.of("shop", now_us()).at_us == at_us
    assert rows.of("other", now_us()).at_us == at_us - 5
    assert began_us - MARGIN_US <= known(rows) <= now_us()
    assert await service.activity.step() == 0


async def test_while_hits_are_on_their_way_nothing_is_known(house, service, rows):
    house.hit("v=a")
    await service.activity.step()
    assert known(rows) == 0
    await taken(service)
    await service.activity.step()
    assert known(rows) > 0


async def test_what_waits_unverified_is_not_known(house, service, rows):
    """A hit that a worker could not judge may prove to be the account's last sign of life."""
    at_us = now_us() - 10_000_000
    house.hit("v=a", verified=False, at_us=at_us)
    await service.loop.on_worker(service.loop.materialiser.take, await service.loop.source.poll(1))
    await service.activity.step()
    assert known(rows) == at_us
    assert rows.of("shop", now_us()).at_us == 0
    await taken(service)  # settles it
    await service.activity.step()
    assert rows.of("shop", now_us()).at_us == at_us
    assert known(rows) > at_us


async def test_a_consumer_that_died_before_it_said_how_far_it_knows_reports_again(house, service, rows):
    at_us = now_us() - 10_000_000
    house.hit("v=a", at_us=at_us)
    await taken(service)
    service.activity._note_all(0)
    assert (rows.of("shop", now_us()).at_us, known(rows)) == (at_us, 0)
    again = Activity(
        lambda: Ledger.open_existing(ledger_url(house.data, None)), service.loop, service.warehouse, now_us,
        place="another process of it", seconds=1,
    )  # fmt: skip
    assert await again.step() == 1
    again.close()
    assert known(rows) > at_us


async def test_a_ledger_that_cannot_be_reached_is_told_and_tried_again(house, service, rows):
    house.hit("v=a")
    await taken(service)
    house.ledger.close()
    aside = house.data.ledger.rename(house.data.root / "aside")
    assert await service.activity.step() == 0
    assert "ledger" in service.activity.trouble
    aside.rename(house.data.ledger)
    assert await service.activity.step() == 1
    assert service.activity.trouble == ""
