"""The loop: bounded patience, nothing lost by an error, nothing left by a stop."""

import asyncio

import pytest

from consumers import loop as loop_module
from consumers.errors import WarehouseFailed
from consumers.loop import ATTEMPTS_MAX, Loop
from consumers.materialise import Materialiser, fresh
from consumers.moments import ALWAYS
from consumers.source import Part
from consumers.warehouse.protocol import Audience
from tests.consumers.events import JOURNAL, event, part
from tests.eventually import aeventually


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(loop_module, "BACKOFF_SECONDS_MAX", 0.001)
    monkeypatch.setattr(loop_module, "PACE_SECONDS", 0.001)


class Failing:
    """A warehouse that fails a number of times: before it has done anything, or after it has done it all."""

    def __init__(self, warehouse, failures: int, *, after: bool) -> None:
        self._warehouse = warehouse
        self.failures = failures
        self.after = after

    def highest(self):
        return self._warehouse.highest()

    def append(self, parts, missing, again=()):
        if not self.failures:
            return self._warehouse.append(parts, missing, again)
        self.failures -= 1
        if self.after:
            self._warehouse.append(parts, missing, again)
        raise WarehouseFailed("taking a batch", OSError("disk full"))


@pytest.fixture
async def service(house):
    house.create()
    service = house.service()
    yield service
    await service.close()


@pytest.mark.parametrize("after", [False, True])
async def test_a_warehouse_that_fails_for_a_while_ends_up_with_each_event_once(house, service, after):
    """I10: also where the COMMIT held and only its answer was an error."""
    house.hit("v=a", "v=b")
    materialiser = Materialiser(Failing(service.warehouse, 3, after=after))
    loop = Loop(service.loop.source, materialiser, service.loop.settler)
    running = asyncio.create_task(loop.run())
    await aeventually(lambda: materialiser.taken.events + materialiser.taken.repeated == 2)
    loop.stop()
    await running
    assert (await service.report("shop", Audience.OPERATOR, ALWAYS))["events"]["visible"] == 2


async def test_a_warehouse_that_keeps_failing_ends_the_loop_with_its_error(house, service):
    house.hit("v=a")
    failing = Failing(service.warehouse, 10**6, after=False)
    loop = Loop(service.loop.source, Materialiser(failing), service.loop.settler)
    with pytest.raises(WarehouseFailed, match="disk full"):
        await loop.run()
    assert 10**6 - failing.failures == ATTEMPTS_MAX


async def test_a_stop_ends_the_loop_while_nothing_comes(service):
    running = asyncio.create_task(service.loop.run())
    await asyncio.sleep(0)
    service.loop.stop()
    await asyncio.wait_for(running, 10)
    assert running.done()


@pytest.mark.parametrize(
    ("highest", "left"), [(0, [3, 4, 7]), (2, [3, 4, 7]), (3, [4, 7]), (5, [7]), (7, None), (9, None)]
)
def test_what_was_taken_already_is_cut_off(highest, left):
    """I10: at or below the highest sequence it is a duplicate."""
    found = fresh(part([event(3), event(4), event(7)]), highest)
    assert (found and list(found.sequences)) == left
    assert found is None or [e.id for e in found.events] == [f"{JOURNAL}-{n}" for n in left]


def test_a_part_without_events_still_moves_the_position():
    assert fresh(Part(JOURNAL, 9, [], []), 5) == Part(JOURNAL, 9, [], [])
    assert fresh(Part(JOURNAL, 9, [], []), 9) is None
