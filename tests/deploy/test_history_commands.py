"""`pixelgate history`: the chain from the command line."""

import json
import sqlite3


def test_a_history_is_exported_whole_and_verified_against_its_head(pixelgate, shop, tmp_path):
    shop.create_key("shop")
    head = pixelgate("history", "head", "--json").json
    assert head["version"] == 2
    file = tmp_path / "history.ndjson"
    assert pixelgate("history", "export", "--to", file, "--json").json["rows"] == 2
    assert [json.loads(line)["version"] for line in file.read_text().splitlines()] == [1, 2]
    assert [entry.name for entry in tmp_path.iterdir() if "ndjson" in entry.name] == [file.name]
    assert pixelgate("history", "export", "--to", file, "--since", 1, "--json").json["rows"] == 1
    assert pixelgate("history", "verify", "--head", head["digest"]).code == 0
    assert pixelgate("history", "verify", "--head", "12").code == 2
    with sqlite3.connect(next(pixelgate.data.rglob("ledger*.sqlite*"))) as connection:
        connection.execute("UPDATE history SET actor = 'eve' WHERE version = 1")
    ran = pixelgate("history", "verify")
    assert ran.code == 1
    assert "FAULT  history row 1 was altered" in ran.out
