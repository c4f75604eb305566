"""I9: what was settled away is gone, its bytes too: the engine's own files are searched for them."""

import secrets

import pytest

from consumers.warehouse.clickhouse import ClickHouseWarehouse
from consumers.warehouse.protocol import Ruling, Settled, Tombstone
from tests.consumers.events import ACCEPT, DROP, SECOND, T0, event, part
from tests.consumers.parts import hurry
from tests.eventually import eventually


@pytest.fixture
def warehouse(clickhouse_url):
    warehouse = ClickHouseWarehouse.open(clickhouse_url)
    hurry(warehouse, "events", "unverified")
    yield warehouse
    warehouse.close()


@pytest.fixture
def marker():
    """Random letters, which no compression can say shorter: they stand in the files as they are."""
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") for _ in range(48))


def holding(engine, marker):
    """The files that hold the marker."""
    files = [path for path in engine.directory.rglob("*") if path.is_file()]
    return [path for path in files if marker.encode() in read(path)]


def read(path):
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a part that goes while it is looked at
        return b""


def keep_two(warehouse, marker):
    """One to be dropped and one to stay, in the same part."""
    dropped = event(1, verified=False, params={"m": marker}, write_key="gone")
    warehouse.append([part([dropped, event(2, verified=False, params={"m": marker[::-1]})])], [])


def await_old_parts_gone(warehouse):
    """Until no file of a replaced part is left."""
    replaced = "database = currentDatabase() AND table IN ('events', 'unverified') AND NOT active"
    eventually(lambda: warehouse._client.ask(f"SELECT count() FROM system.parts WHERE {replaced}") == 0, 90)


def test_the_bytes_of_what_was_settled_away_are_in_no_file(clickhouse_engine, warehouse, marker):
    """I9: a mutation writes the rows' part anew, and the old one is unlinked after its lifetime."""
    keep_two(warehouse, marker)
    assert holding(clickhouse_engine, marker)
    assert warehouse.settle([Ruling("gone", 0, "shop", DROP, 2)], T0 + SECOND, 10) == Settled(gone=1)
    await_old_parts_gone(warehouse)
    eventually(lambda: not holding(clickhouse_engine, marker))
    assert holding(clickhouse_engine, marker[::-1])
    assert warehouse.settle([Ruling("key", 0, "shop", ACCEPT, 2)], T0 + SECOND, 10) == Settled(visible=1)


def test_a_delete_that_only_marks_rows_would_leave_their_bytes(clickhouse_engine, warehouse, marker):
    """Why settlement deletes by a mutation: ClickHouse's DELETE FROM hides the row and keeps it in the files."""
    keep_two(warehouse, marker)
    warehouse._client.ask("DELETE FROM unverified WHERE write_key = 'gone'")
    await_old_parts_gone(warehouse)
    assert warehouse.unverified(T0 + SECOND) == 1
    assert holding(clickhouse_engine, marker)


def test_the_bytes_of_a_purged_account_are_in_no_file(clickhouse_engine, warehouse, marker):
    """I12: `purge` says so only once no replaced part is left."""
    mine = [event(1, params={"m": marker}), event(2, params={"m": marker}, verified=False, account="")]
    warehouse.append([part([*mine, event(3, params={"m": marker[::-1]}, account="else", write_key="other")])], [])
    assert holding(clickhouse_engine, marker)
    assert not warehouse.purge([Tombstone("shop", ("key",))])  # its rows are gone, their parts are not yet
    eventually(lambda: warehouse.purge([Tombstone("shop", ("key",))]), 90)
    assert holding(clickhouse_engine, marker) == []
    assert warehouse.append([part([event(4, params={"m": marker})])], []).purged == 1
    assert holding(clickhouse_engine, marker) == []
    assert holding(clickhouse_engine, marker[::-1])
