"""DuckDBWarehouse takes plain batches by a short cut: what it leaves behind is what the careful way leaves."""

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.warehouse.duckdb import DuckDBWarehouse
from tests.consumers.events import ACCEPT, HIDE, event, part

HIT = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from([ACCEPT, HIDE]),
        "verified": st.sampled_from([True, True, True, True, False]),
        "client_id": st.sampled_from([None, None, None, None, "c", "d"]),
    }
)
BATCHES = st.lists(st.lists(HIT, min_size=1, max_size=4), min_size=1, max_size=6)


def taken(path, batches, *, careful):
    """What the warehouse says after these batches of one stream."""
    warehouse = DuckDBWarehouse.open(path)
    sequence, stored = 0, []
    for batch in batches:
        warehouse._plain_after = sys.maxsize if careful else 0
        events = [event(sequence + number, **hit) for number, hit in enumerate(batch, 1)]
        sequence += len(batch)
        stored.append(warehouse.append([part(events)], []))
    found = stored, warehouse.sums(), warehouse._connection.execute("FROM events ORDER BY sequence").fetchall()
    warehouse.close()
    return found


@given(batches=BATCHES)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_short_cut_leaves_what_the_careful_way_leaves(tmp_path_factory, batches):
    folder = tmp_path_factory.mktemp("short-cut")
    assert taken(folder / "short", batches, careful=False) == taken(folder / "careful", batches, careful=True)


@pytest.mark.parametrize(
    ("hit", "short"), [({}, True), ({"verdict": HIDE}, True), ({"verified": False}, False), ({"client_id": "c"}, False)]
)
def test_the_short_cut_is_for_events_that_need_no_look(tmp_path, hit, short):
    """The engine's numbering of rows not yet committed, which it hangs on, still holds."""
    warehouse = DuckDBWarehouse.open(tmp_path / "w")
    warehouse.append([part([event(number, **hit) for number in (1, 2)])], [])
    assert (warehouse._plain_after <= 0) is short
    warehouse.close()
