"""Which warehouse is opened, and what is said where it cannot be: one line, and never a password."""

import clickhouse_connect
import pytest

from consumers.errors import QuestionInvalid, ServerTooOld, WarehouseFailed, WarehouseUnknown
from consumers.warehouse import clickhouse_client
from consumers.warehouse.clickhouse import FORMAT, ClickHouseWarehouse
from consumers.warehouse.clickhouse_client import place_of, version_of
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.place import open_warehouse
from deploy.doctor_clickhouse import clickhouse
from gating.datadir import DataDirectory
from tests.processes import free_port


def test_a_url_chooses_clickhouse_and_its_absence_the_file(tmp_path, clickhouse_url):
    directory = DataDirectory.open(tmp_path / "data")
    for url, form in ((None, DuckDBWarehouse), ("", DuckDBWarehouse), (clickhouse_url, ClickHouseWarehouse)):
        warehouse = open_warehouse(directory, url)
        assert type(warehouse) is form
        warehouse.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:p%40s@h/db", ("https", "h", 8443, "u", "p@s", "db")),
        ("http://h", ("http", "h", 8123, "default", "", "default")),
        ("http://u@[::1]:9/a%20b", ("http", "::1", 9, "u", "", "a b")),
    ],
)
def test_a_servers_url_is_read_as_people_write_it(url, expected):
    place = place_of(url)
    names = ("interface", "host", "port", "username", "password", "database")
    assert tuple(place.arguments[name] for name in names) == expected
    assert "p@s" not in place.name
    assert place.arguments["connect_timeout"] < place.arguments["send_receive_timeout"]


@pytest.mark.parametrize(
    "url", ["mysql://u:s3cret@h/d", "http://u:s3cret@h:x/", "https:///d", "chdb://memory", "s3cret"]
)
def test_a_url_that_does_not_read_is_not_repeated(url):
    with pytest.raises(QuestionInvalid) as refused:
        place_of(url)
    assert "s3cret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_the_password():
    port = free_port()
    with pytest.raises(WarehouseFailed) as failed:
        ClickHouseWarehouse.open(f"http://pixelgate:s3cret@127.0.0.1:{port}/db")
    message = str(failed.value)
    assert f"http://127.0.0.1:{port}/db: " in message
    assert "s3cret" not in message
    assert "\n" not in message
    assert clickhouse(f"http://pixelgate:s3cret@127.0.0.1:{port}/db").result == "fail"


def test_a_database_of_somebody_else_is_left_alone(clickhouse_engine, clickhouse_url):
    with ask(clickhouse_engine, clickhouse_url) as client:
        client.command("CREATE TABLE theirs (n UInt8) ENGINE = Memory")
        with pytest.raises(WarehouseUnknown):
            ClickHouseWarehouse.open(clickhouse_url)
        assert client.command("SHOW TABLES") == "theirs"


def test_a_newer_releases_database_is_left_alone(clickhouse_engine, clickhouse_url):
    ClickHouseWarehouse.open(clickhouse_url).close()
    with ask(clickhouse_engine, clickhouse_url) as client:
        client.command(f"INSERT INTO about SELECT {FORMAT + 1}")
    with pytest.raises(WarehouseUnknown):
        ClickHouseWarehouse.open(clickhouse_url)


def test_a_database_that_is_not_there_is_said_to_be(clickhouse_url):
    with pytest.raises(WarehouseFailed, match="does not exist"):
        ClickHouseWarehouse.open(clickhouse_url + "_not")


def test_a_server_of_an_old_release_is_refused(clickhouse_url, monkeypatch):
    """The engine at hand, held to be too old."""
    monkeypatch.setattr(clickhouse_client, "VERSION_MIN", (99, 1))
    with pytest.raises(ServerTooOld, match=r"needs 99\.1 or newer"):
        ClickHouseWarehouse.open(clickhouse_url)
    assert version_of("24.8.4.13-lts") == (24, 8)


def test_the_doctor_finds_a_fit_server_fit_and_leaves_nothing_behind(clickhouse_engine, clickhouse_url):
    with ask(clickhouse_engine, clickhouse_url) as client:
        check = clickhouse(clickhouse_url)
        assert (check.result, check.name) == ("ok", "clickhouse"), check
        assert client.command("SHOW TABLES") == ""


def test_the_doctor_says_which_part_of_it_fails(clickhouse_url):
    check = clickhouse(clickhouse_url + "_not")
    assert check.result == "fail"
    assert "does not exist" in check.found
    assert "CLICKHOUSE_URL" in check.advice


def ask(engine, url):
    return clickhouse_connect.get_client(dsn=f"chdb://{engine.directory}", database=url.rpartition("=")[2])
