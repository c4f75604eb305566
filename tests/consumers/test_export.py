"""Exports: what stands in the files, and when a file appears."""

import csv
import hashlib
import io

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.event import Event
from consumers.errors import AccessDenied, ExportFailed
from consumers.export import COLUMNS, Format, cells_of, defused, export_file
from consumers.moments import ALWAYS
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.protocol import Audience, View
from gating.status import Access
from tests.consumers.events import HIDE, event, part

VIEW = View("shop", Audience.ACCOUNT, Access.FULL, 1)
EVENTS = [
    event(1, url="https://x.test/?a=1", name="=HYPERLINK(1)", params={"k": "\u2028", "n": [1, None]}),
    event(2, visitor='say "hi", you\nthere', user_agent="@SUM(1)", client_time=1_700_000_000_000_001),
    event(3, verdict=HIDE, version=9),
]


@pytest.fixture
def reader(tmp_path):
    warehouse = DuckDBWarehouse.open(tmp_path / "warehouse.duckdb")
    warehouse.append([part(EVENTS)], [])
    reader = warehouse.reader()
    yield reader
    reader.close()
    warehouse.close()


def nothing() -> None:
    pass


def test_ndjson_is_the_wires_own_json_a_line_an_event(reader, tmp_path):
    target = tmp_path / "out.ndjson"
    exported = export_file(reader, VIEW, ALWAYS, Format.NDJSON, target, nothing)
    lines = target.read_bytes().split(b"\n")
    assert [Event.decode(line) for line in lines[:-1]] == EVENTS[:2]
    assert lines[-1] == b""
    assert exported.events == 2
    assert exported.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()


def test_csv_has_a_header_and_every_cell_of_every_event(reader, tmp_path):
    target = tmp_path / "out.csv"
    assert export_file(reader, VIEW, ALWAYS, Format.CSV, target, nothing).events == 2
    rows = list(csv.DictReader(io.StringIO(target.read_text(), newline="")))
    assert rows[0].keys() == set(COLUMNS)
    assert (rows[0]["name"], rows[1]["user_agent"]) == ("'=HYPERLINK(1)", "'@SUM(1)")
    assert rows[1]["visitor"] == EVENTS[1].visitor
    assert (rows[0]["received_at"], rows[0]["verdict"], rows[0]["verified"]) == (
        "2023-11-14T22:13:20.000001Z", "ACCEPT", "true",
    )  # fmt: skip
    assert orjson.loads(rows[0]["params"]) == EVENTS[0].params


def test_parquet_opens_elsewhere_with_the_same_events(reader, tmp_path):
    target = tmp_path / "out.parquet"
    assert export_file(reader, VIEW, ALWAYS, Format.PARQUET, target, nothing).events == 2
    with duckdb.connect() as connection:  # not the module's own, which nobody closes: it outlives the interpreter
        query = f"SELECT id, verdict, name, epoch_us(client_time) FROM '{target}' ORDER BY id"
        rows = connection.execute(query).fetchall()
    assert rows == [(e.id, "ACCEPT", e.name, e.client_time) for e in EVENTS[:2]]


def test_an_operators_export_has_the_hidden_events_too_each_with_its_verdict(reader, tmp_path):
    target = tmp_path / "out"
    view = View("shop", Audience.OPERATOR, Access.NONE, 1)
    assert export_file(reader, view, ALWAYS, Format.NDJSON, target, nothing).events == 3
    assert b'"HIDE"' in target.read_bytes()


@pytest.mark.parametrize("format_", Format)
def test_a_file_appears_only_when_it_is_whole_and_allowed_to_the_end(reader, tmp_path, format_):
    """RULEBOOKS: access binds running exports. What was there before stays until then."""
    target = tmp_path / "out"
    target.write_text("before")

    def lost() -> None:
        assert target.read_text() == "before"
        raise AccessDenied("shop")

    with pytest.raises(AccessDenied):
        export_file(reader, VIEW, ALWAYS, format_, target, lost)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_directory_that_is_not_there_is_one_clear_error(reader, tmp_path):
    with pytest.raises(ExportFailed, match="nothing was written"):
        export_file(reader, VIEW, ALWAYS, Format.CSV, tmp_path / "none" / "out", nothing)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_gets_a_leading_quote(start):
    assert defused(f"{start}1+1") == f"'{start}1+1"
    assert defused(f"1{start}1") == f"1{start}1"


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_cell_of_any_event_starts_a_formula(name, visitor):
    cells = cells_of(event(1, name=name, visitor=visitor))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
