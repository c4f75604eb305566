"""The command line as scripts hold on to it: exit codes, one-line errors, JSON and nothing else."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from consumers.export import Format
from consumers.warehouse.protocol import Audience
from deploy.cli import app
from deploy.commands import data as data_commands
from gating.gateway import Gateway
from tests.deploy.console import Console

PACKAGES_THAT_COST = ("duckdb", "fastapi", "pydantic", "rich", "sqlalchemy", "starlette", "uvicorn")


def every_command() -> list[tuple[str, ...]]:
    """The words of each command, such as ("account", "person", "add")."""
    return commands_below(get_command(app), ())


def commands_below(one: object, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    below = getattr(one, "commands", None)
    if not below:
        return [words]
    return [found for name, sub in below.items() for found in commands_below(sub, (*words, name))]


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_help_of_every_command_ends_with_an_example_of_it(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    last = re.sub(r"\s+", " ", shown.output.rpartition("Example:")[2])
    assert f"pixelgate {' '.join(words)}" in last
    for option in ("--data", "--json"):
        assert option in shown.output


def test_every_command_that_the_contract_names_is_there() -> None:
    named = """run, collector, gating, consumer materialise, account create, account list, account show,
    account history, account do, key create, key list, key rotate, key revoke, report, export, tail, explain,
    journal check, journal show, verify, rulebook list, rulebook show, rulebook check, settings, doctor"""
    assert {tuple(words.split()) for words in named.split(",")} <= set(every_command())


def test_help_loads_no_package_that_is_slow_to_load() -> None:
    """`pixelgate --help` and a flip start fast: what costs is loaded by the command that needs it."""
    code = "import sys, deploy.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.partition(".")[0] for name in loaded} & set(PACKAGES_THAT_COST)


def test_the_release_is_told(pixelgate: Console) -> None:
    ran = pixelgate("--version")
    assert (ran.code, ran.out) == (0, f"pixelgate {version('pixelgate')}\n")


def test_a_role_that_becomes_another_process_names_a_setting_that_does_not_read(pixelgate: Console) -> None:
    for arguments in (("gating",), ("consumer", "materialise")):
        variable = "PIXELGATE_ADMIN_PORT" if arguments == ("gating",) else "PIXELGATE_METRICS_PORT"
        ran = pixelgate(*arguments, **{variable: "x"})
        assert ran.code == 2
        assert f"{variable} is 'x'" in ran.error_line


def test_choices_said_twice_are_the_same() -> None:
    assert set(get_args(data_commands.Eyes)) == {one.value for one in Audience}
    assert set(get_args(data_commands.Format)) == {one.value for one in Format}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["account", "show", "nobody"], 1),
        (["account", "create", "--rulebook", "no-such"], 1),
        (["rulebook", "show", "defualt"], 1),
        (["journal", "show", ".", "--seq", "7"], 1),
        (["account", "do", "nobody", "pause", "--set", "plan"], 2),
        (["tail", "--as", "account"], 2),
        (["explain", "/p.gif", "--at", "yesterday"], 2),
    ],
)
def test_a_refusal_is_one_line_on_stderr_with_its_exit_code(
    pixelgate: Console, arguments: list[str], code: int
) -> None:
    ran = pixelgate(*arguments)
    assert ran.code == code
    assert ran.error_line.startswith("pixelgate: ")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["account", "show"], ["run", "--port", "70000"], ["account", "do", "a", "b", "--as", "king"],
     ["report", "a", "--as", "spy"], ["journal", "check", "/no/such/directory"]],
)  # fmt: skip
def test_misuse_is_exit_code_2_and_names_what_is_wrong(pixelgate: Console, arguments: list[str]) -> None:
    ran = pixelgate(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Error: " in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [["account", "list"], ["report", "shop"], ["verify"], ["tail"], ["explain", "/p.gif"], ["key", "list", "a"]],
)
def test_a_question_about_no_data_directory_is_exit_code_3_and_makes_none(
    pixelgate: Console, arguments: list[str]
) -> None:
    ran = pixelgate(*arguments)
    assert ran.code == 3
    assert str(pixelgate.data) in ran.error_line
    assert not pixelgate.data.exists()


def test_a_data_directory_of_a_newer_release_is_refused_in_one_line(pixelgate: Console) -> None:
    pixelgate.data.mkdir()
    (pixelgate.data / "VERSION").write_text("99\n")
    for arguments in (["account", "list"], ["run", "--port", "0", "--admin-port", "0"]):
        ran = pixelgate(*arguments)
        assert ran.code == 1
        assert "99" in ran.error_line


def test_a_setting_that_does_not_read_is_named_in_one_line(pixelgate: Console) -> None:
    ran = pixelgate("settings", PIXELGATE_PORT="eighty")
    assert ran.code == 2
    assert "PIXELGATE_PORT" in ran.error_line
    assert "eighty" in ran.error_line


def test_json_is_accepted_before_and_after_the_command_and_is_all_there_is_on_stdout(pixelgate: Console) -> None:
    created = pixelgate("account", "create", "--id", "shop", "--rulebook", "default", "--json")
    assert created.json.keys() >= {"account", "rulebook", "plan", "status", "write_key", "version"}
    before, after = pixelgate("--json", "account", "show", "shop"), pixelgate("account", "show", "shop", "--json")
    assert before.json == after.json
    assert before.json.keys() >= {"status", "verdict", "access", "deadline", "keys", "version"}


def test_data_is_taken_before_and_after_the_command_and_wins_over_the_environment(
    pixelgate: Console, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert pixelgate("--data", elsewhere, "account", "create", "--id", "a", "--rulebook", "default").code == 0
    assert [row["account"] for row in pixelgate("account", "list", "--data", elsewhere, "--json").json] == ["a"]
    assert not pixelgate.data.exists()


def test_a_flip_is_told_as_the_contract_has_it(pixelgate: Console, shop: Gateway) -> None:
    flip = pixelgate("account", "do", "shop", "pause", "--json").json
    told = {name: flip[name] for name in ("account", "command", "from", "to", "verdict", "access", "enforced")}
    assert told == {
        "account": "shop", "command": "pause", "from": "ACTIVE", "to": "PAUSED", "verdict": "HIDE", "access": "NONE",
        "enforced": True,
    }  # fmt: skip
    assert flip["version"] > 0
    assert flip["workers"] == 0
    assert flip["waited_ms"] >= 0
    dry = pixelgate("account", "do", "shop", "cancel", "--dry-run")
    assert "nothing changed" in dry.out
    assert shop.account("shop")["status"] == "PAUSED"
    assert [change["command"] for change in shop.history("shop")] == ["create", "pause"]
    refused = pixelgate("account", "do", "shop", "delete")  # its rulebook wants --confirm
    assert refused.code == 1
    assert "--confirm" in refused.error_line


def test_write_keys_are_made_listed_rotated_and_revoked(pixelgate: Console, shop: Gateway) -> None:
    blog = pixelgate("key", "create", "shop", "--source", "blog", "--json").json
    rotated = pixelgate("key", "rotate", "shop", "--source", "blog", "--json").json
    assert rotated["revoked"] == blog["write_key"]
    assert rotated["enforced"]
    pixelgate("key", "revoke", "shop", "--key", rotated["write_key"])
    live = [key for key in shop.keys("shop") if key["revoked_at"] is None]
    assert len(live) == 1
    assert pixelgate("key", "rotate", "shop", "--key", "a", "--source", "b").code == 2


def test_an_account_without_access_gets_no_report(pixelgate: Console, shop: Gateway, tmp_path: Path) -> None:
    """I11: as account, access NONE is exit 1; the operator still sees."""
    shop.do("shop", "pause")
    refused = pixelgate("report", "shop", "--as", "account")
    assert refused.code == 1
    assert "no access" in refused.error_line
    assert pixelgate("report", "shop", "--json").json["events"] == {"visible": 0, "hidden": 0, "unverified": 0}
    file = tmp_path / "shop.ndjson"
    exported = pixelgate("export", "shop", "--to", file, "--json").json
    assert exported == {"file": str(file), "events": 0, "sha256": exported["sha256"]}
    assert file.read_bytes() == b""


def test_a_faulty_rulebook_is_named_with_line_and_reason(pixelgate: Console, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('title = "Mine"\nstart = "ACTIVE"\n\n[status.ACTIVE]\nverdict = "MAYBE"\naccess = "FULL"\n')
    ran = pixelgate("rulebook", "check", file)
    assert ran.code == 1
    assert "mine.toml:5" in ran.err
    assert "MAYBE" in ran.err
    told = pixelgate("rulebook", "check", file, "--json")
    assert told.code == 1
    assert not told.json["ok"]


def test_a_rulebook_is_drawn_as_mermaid_and_as_svg(pixelgate: Console, tmp_path: Path) -> None:
    assert pixelgate("rulebook", "show", "default", "--diagram").out.startswith("stateDiagram-v2\n")
    file = tmp_path / "default.svg"
    assert pixelgate("rulebook", "show", "default", "--svg", file, "--json").json == {
        "rulebook": "default",
        "file": str(file),
    }
    assert file.read_text().startswith("<svg ")
    assert pixelgate("rulebook", "show", "default", "--svg", "-").out == file.read_text()
    nowhere = pixelgate("rulebook", "show", "default", "--svg", tmp_path / "none" / "x.svg")
    assert (nowhere.code, "cannot be written" in nowhere.error_line) == (3, True)


def test_tables_are_plain_columns_when_piped(pixelgate: Console) -> None:
    head, *rows = pixelgate("rulebook", "list").out.splitlines()
    assert head.split()[:2] == ["rulebook", "title"]
    assert "default" in [row.split()[0] for row in rows]
    assert all(row.isascii() for row in rows)


def test_whoever_closes_the_pipe_early_sees_no_complaint(pixelgate: Console) -> None:
    with pixelgate.start("rulebook", "show", "default", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
    assert complaint == ""
    assert process.returncode in (0, 1)


def test_settings_tell_value_source_and_meaning_with_secrets_masked(pixelgate: Console) -> None:
    told = {row["name"]: row for row in pixelgate("settings", "--json", PIXELGATE_PORT="9000").json}
    assert (told["PIXELGATE_PORT"]["value"], told["PIXELGATE_PORT"]["source"]) == ("9000", "environment")
    assert told["PIXELGATE_DATA"]["source"] == "environment"
    assert told["PIXELGATE_DURABILITY"]["source"] == "default"
    assert all(row["meaning"] for row in told.values())
    assert json.dumps(told).count("PIXELGATE_DATA") == 2  # once, whichever packages read it
