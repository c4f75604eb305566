"""Refusals, found and named keys from the command line."""

import json
import sqlite3


def test_refusals_are_listed_exported_and_verified_with_the_account_named(pixelgate, shop, tmp_path):
    assert pixelgate("account", "do", "shop", "resume", "--as", "member").code == 1
    assert pixelgate("account", "do", "shop", "resume", "--as", "member", "--dry-run").code == 1
    (row,) = pixelgate("account", "history", "shop", "--refusals", "--json").json
    assert (row["command"], row["role"], row["code"], row["version"]) == ("resume", "member", "role_refused", 1)
    assert row["rule"] in pixelgate("account", "history", "shop", "--refusals").out
    assert pixelgate("account", "history", "shop", "--refusals", "--before", row["sequence"], "--json").json == []
    assert pixelgate("account", "history", "shop", "--before", 1).code == 2
    file = tmp_path / "refusals.ndjson"
    assert pixelgate("history", "export", "--refusals", "--to", file, "--json").json["rows"] == 1
    head = pixelgate("history", "head", "--json").json["refusals"]
    assert json.loads(file.read_text())["digest"] == head["digest"]
    assert pixelgate("history", "verify", "--refusals-head", head["digest"]).code == 0
    with sqlite3.connect(next(pixelgate.data.rglob("ledger*.sqlite*"))) as connection:
        connection.execute("UPDATE refusals SET actor = 'eve'")
        connection.execute("UPDATE accounts SET status = 'PAUSED'")
    ran = pixelgate("history", "verify", "--json")
    assert ran.code == 1
    assert [(f["in"], f["version"], f["account"], f["what"]) for f in ran.json["faults"]] == [
        ("refusals", 1, "shop", "altered"), ("projections", 1, "shop", "differs"),
    ]  # fmt: skip


def test_a_key_is_named_and_found(pixelgate, shop):
    key = shop.keys("shop")[0]["write_key"]
    named = pixelgate("key", "name", "shop", "--key", key, "--source", "blog", "--json").json
    assert (named["source"], named["write_keys"], named["version"]) == ("blog", [key], 2)
    assert pixelgate("key", "name", "shop", "--source", "blog").code == 2
    assert pixelgate("key", "name", "shop", "--from", "blog", "--source", "news").out.split() == [key, "news"]
    (found,) = pixelgate("key", "find", f"https://px.example/p/{key}.gif?e=a", "--json").json
    assert (found["account"], found["source"], found["state"]) == ("shop", "news", "living")
    shop.revoke_key("shop", key=key)
    assert "revoked" in pixelgate("key", "find", key[:8]).out
    ran = pixelgate("key", "find", "Q" * 22)
    assert (ran.code, "no account has or had" in ran.error_line) == (1, True)
    assert pixelgate("key", "find", "").code == 2
