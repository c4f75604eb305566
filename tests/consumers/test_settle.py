"""Settlement: what becomes of hits that a worker kept without being able to judge them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.moments import ALWAYS
from consumers.settle import MARGIN_US, Settler, rulings
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.protocol import Audience, Settled
from gating.errors import Unreachable
from gating.ledger.timeline import Change, Timeline, standing_at
from gating.status import SECOND_US, Status, Verdict
from tests.consumers.events import ACCEPT, HIDE, JOURNAL, T0, event, part
from tests.consumers.house import KEY, OPERATOR, House, now_us

MINUTE = 60 * SECOND_US
NEW_KEY = "N5cPx9BtD3yHi7QoS1gLe6"
CREATED = T0
PAUSED, RESUMED, CANCELED = T0 + MINUTE, T0 + 2 * MINUTE, T0 + 3 * MINUTE
JUST = SECOND_US  # a change counts from a second before its time


@pytest.fixture(params=["a file", "PostgreSQL"])
def house(request, tmp_path):
    """The ledger in either place: settlement cannot tell."""
    url = request.getfixturevalue("postgres_url") if request.param == "PostgreSQL" else None
    house = House(tmp_path / "data", url)
    yield house
    house.close()


@pytest.fixture
def warehouse(tmp_path):
    warehouse = DuckDBWarehouse.open(tmp_path / "warehouse.duckdb")
    yield warehouse
    warehouse.close()


def settled_by(house: House, warehouse, *received_at_us: int, key: str = KEY) -> list[tuple[Verdict, int] | None]:
    """The fate of an unverified hit at each instant: its verdict and version; None where it is gone."""
    events = [
        event(n, received_at=at, account="", write_key=key, verified=False) for n, at in enumerate(received_at_us, 1)
    ]
    warehouse.append([part(events)], [])
    service = house.service()
    settler = Settler(warehouse, service.accounts, lambda: max(received_at_us) + MARGIN_US + 1)
    assert settler.settle_some().events == len(events)
    view = replace(service.accounts.view("shop", Audience.OPERATOR), revealed_version=10**6)
    reader = warehouse.reader()
    left = {e.id: (e.verdict, e.version) for e in reader.events(view, ALWAYS)}
    reader.close()
    service.accounts.close()
    service.warehouse.close()
    return [left.get(e.id) for e in events]


@pytest.fixture
def lived(house):
    """ACTIVE, paused a minute later, resumed after another, canceled (DROP) after a third; deleted 30 days on."""
    house.create(at_us=CREATED)
    house.flip("pause", at_us=PAUSED)
    house.flip("resume", at_us=RESUMED)
    house.flip("cancel", at_us=CANCELED)
    return house


@pytest.mark.parametrize(
    ("received_at_us", "fate"),
    [
        (CREATED - JUST - 1, None),  # the key was not there yet
        (CREATED - JUST, (ACCEPT, 1)),
        (PAUSED - JUST - 1, (ACCEPT, 1)),
        (PAUSED - JUST, (HIDE, 2)),
        (PAUSED, (HIDE, 2)),
        (RESUMED - JUST - 1, (HIDE, 2)),
        (RESUMED - JUST, (ACCEPT, 3)),
        (CANCELED - JUST - 1, (ACCEPT, 3)),
        (CANCELED - JUST, None),
        (CANCELED + MINUTE, None),
    ],
)
def test_a_hit_meets_the_fate_that_held_when_it_came(lived, warehouse, received_at_us, fate):
    """DESIGN 6, I5: a change counts from a second before its time, either way it flips."""
    assert settled_by(lived, warehouse, received_at_us) == [fate]


def test_hits_on_both_sides_of_a_flip_are_settled_in_one_go(lived, warehouse):
    instants = [PAUSED - JUST - 1, PAUSED - JUST, RESUMED - JUST - 1, RESUMED, CANCELED]
    assert settled_by(lived, warehouse, *instants) == [(ACCEPT, 1), (HIDE, 2), (HIDE, 2), (ACCEPT, 3), None]


def test_a_hit_of_a_key_that_nobody_has_goes(lived, warehouse):
    assert settled_by(lived, warehouse, PAUSED, key="unknown") == [None]
    assert warehouse.sums()["journals"][JOURNAL] == {"settled_away": 1}


def test_a_key_made_meanwhile_counts_from_a_second_before_it(lived, warehouse):
    with lived.ledger.begin() as transaction:
        transaction.add_key("shop", NEW_KEY, at_us=CANCELED + MINUTE, who=OPERATOR)
    lived.flip("reactivate", at_us=CANCELED + 2 * MINUTE)
    instants = [RESUMED, CANCELED + 2 * MINUTE - JUST]
    assert settled_by(lived, warehouse, *instants, key=NEW_KEY) == [None, (ACCEPT, 6)]


def test_a_hit_of_a_deleted_account_goes_even_where_it_came_before(lived, warehouse):
    """I8, I12: what was purged gets no late company."""
    lived.flip("reactivate", at_us=CANCELED + MINUTE)
    lived.flip("delete", at_us=CANCELED + 2 * MINUTE)
    lived.lapse("shop", CANCELED + 40 * 24 * 60 * MINUTE)
    assert lived.ledger.account("shop").status is Status.DELETED
    assert settled_by(lived, warehouse, PAUSED - MINUTE // 2) == [None]


def test_nothing_is_settled_before_the_ledger_can_know(lived, warehouse):
    """Not before the margin is over, and not while the ledger cannot be read; nothing is shown meanwhile."""
    warehouse.append([part([event(1, received_at=PAUSED, write_key=KEY, verified=False)])], [])
    service = lived.service()
    clock = PAUSED + MARGIN_US
    settler = Settler(warehouse, service.accounts, lambda: clock)
    assert settler.settle_some() == Settled()
    clock += 1

    class Away:
        def await_writers(self):
            raise Unreachable("it is away")

    assert Settler(warehouse, Away(), lambda: clock).settle_some() == Settled()
    assert settler.waiting(PAUSED) == 1
    assert settler.settle_some() == Settled(hidden=1)
    service.accounts.close()
    service.warehouse.close()


def test_a_deadline_that_came_between_counts_before_anybody_recorded_it(house, warehouse):
    """DESIGN 6: deadlines included."""
    house.create(at_us=CREATED)
    timeline = house.ledger.timeline(KEY)
    change = replace(timeline.changes[0], until_us=PAUSED, then=HIDE)
    made = list(rulings(replace(timeline, changes=(change,)), KEY, CREATED, CANCELED))
    assert [(ruling.since_us, ruling.verdict) for ruling in made] == [(CREATED, ACCEPT), (PAUSED - JUST, HIDE)]


VERDICTS = st.sampled_from(Verdict)
MOMENTS = st.integers(0, 20 * SECOND_US)


@st.composite
def timelines(draw):
    changes = []
    for version, at in enumerate(sorted(draw(st.lists(MOMENTS, max_size=4))), 1):
        until = draw(st.none() | MOMENTS.filter(lambda moment, at=at: moment > at))
        changes.append(Change(version, at, draw(VERDICTS), until, None if until is None else draw(VERDICTS)))
    created = draw(MOMENTS)
    revoked = draw(st.none() | st.integers(created, 20 * SECOND_US))
    return Timeline("shop", "key", created, revoked, tuple(changes))


@given(timelines() | st.none(), st.lists(MOMENTS, min_size=1, max_size=20))
def test_the_rulings_say_for_every_instant_what_the_timeline_says(timeline, instants):
    """DESIGN 6: intervals are only a cheaper way to ask `standing_at`."""
    made = list(rulings(timeline, "key", min(instants), max(instants)))
    assert made[0].since_us == min(instants)
    for instant in instants:
        ruling = [ruling for ruling in made if ruling.since_us <= instant][-1]
        held = standing_at(timeline, instant)
        assert (ruling.account, ruling.verdict, ruling.version) == (held.account, held.verdict, held.version)


async def test_settled_waits_for_hits_of_a_worker_whose_clock_is_ahead(house):
    """DESIGN 6: clocks are up to a second apart; a hit answered before the question may carry a later time."""
    house.create()
    house.hit("v=a", account="", verified=False, at_us=now_us() + SECOND_US * 9 // 10)
    service = house.service()
    await service.loop.settle_alone(30)
    events = (await service.report("shop", Audience.OPERATOR, ALWAYS))["events"]
    await service.close()
    assert events == {"visible": 1, "hidden": 0, "unverified": 0}
