"""The command line and its processes with DATABASE_URL set: the same commands, the ledger on a server."""

import os

import pytest

from gating.ledger import Ledger
from tests.deploy.console import Console
from tests.eventually import eventually
from tests.processes import Process, answers


@pytest.fixture
def leader(tmp_path, postgres_url, redis_url):
    """A gating process on another host, whose leases a flip on this one waits for."""
    settings = {"database_url": postgres_url, "redis_url": redis_url, "admin_port": 0}
    process = Process(["-m", "gating"], tmp_path / "elsewhere", tmp_path / "gating.log", **settings)
    eventually(lambda: process.must_live() and answers(tmp_path / "elsewhere" / "gating.sock"), 30)
    yield process
    process.kill()


@pytest.fixture
def pixelgate(tmp_path, postgres_url):
    class OnPostgres(Console):
        def environment(self, **more):
            return super().environment(**{"DATABASE_URL": postgres_url, **more})

    return OnPostgres(tmp_path / "data")


def test_an_account_lives_on_the_server_and_no_file_is_made(leader, pixelgate, postgres_url):
    made = pixelgate("account", "create", "--id", "shop", "--rulebook", "default", "--json")
    assert (made.code, made.json["version"]) == (0, 1), made.err
    assert pixelgate("account", "do", "shop", "pause", "--json").json["version"] == 2
    shown = pixelgate("account", "show", "shop", "--json").json
    assert (shown["status"], shown["verdict"]) == ("PAUSED", "HIDE")
    assert [row["command"] for row in pixelgate("account", "history", "shop", "--json").json] == ["create", "pause"]
    explained = pixelgate("explain", f"/p/{made.json['write_key']}.gif", "--json").json
    assert (explained["account"], explained["verdict"]) == ("shop", "HIDE")
    assert not (pixelgate.data / "ledger.sqlite").exists()
    with Ledger.open_reading(postgres_url) as ledger:
        assert ledger.head().version == 2


def test_verify_report_and_doctor_read_the_server(leader, pixelgate):
    pixelgate("account", "create", "--id", "shop", "--rulebook", "default")
    verified = pixelgate("verify", "--json")
    assert (verified.code, verified.json["ok"], verified.json["history"]) == (0, True, 1), verified.err
    assert pixelgate("report", "shop", "--json").json["account"] == "shop"
    checks = {check["name"]: check for check in pixelgate("doctor", "--json").json}
    assert "1 changes, the history is whole" in checks["ledger"]["found"]


def test_where_no_ledger_was_made_yet_nothing_is_wrong(pixelgate):
    pixelgate.data.mkdir()
    (pixelgate.data / "VERSION").write_text("1\n")
    assert pixelgate("verify", "--json").json["history"] == 0
    checks = {check["name"]: check for check in pixelgate("doctor", "--json").json}
    assert checks["ledger"]["found"] == "none yet"


@pytest.mark.parametrize(
    ("url", "code"), [("postgresql://me:secret@127.0.0.1:1/x", 3), ("nonsense", 1), ("mysql://me:secret@h/x", 1)]
)
def test_a_server_that_cannot_be_had_is_one_line_and_its_code(pixelgate, url, code):
    """CONTRACT: 3 a needed server cannot be reached."""
    ran = pixelgate("account", "create", "--rulebook", "default", DATABASE_URL=url)
    assert ran.code == code
    assert "secret" not in ran.error_line
    assert not os.path.exists(pixelgate.data / "ledger.sqlite")


def test_the_password_is_masked_where_settings_are_told(pixelgate):
    told = pixelgate("settings", "--json", DATABASE_URL="postgresql://me:opensesame@db.example/x")
    assert "db.example" in told.out
    assert "opensesame" not in told.out
