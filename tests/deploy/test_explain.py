"""Explain: the same reading and the same ruling as a real hit meets, told without one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import Misused
from deploy.explain import explain_request, parse, raw_request
from gating.datadir import DataDirectory
from gating.gateway import Gateway


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.open(tmp_path / "data")


@pytest.fixture
def shop(directory: DataDirectory) -> Iterator[tuple[Gateway, str]]:
    """A gateway, and the write key of the account `shop` under it."""
    with Gateway.open(directory) as gateway:
        yield gateway, gateway.create_account("shop", rulebook="default")["write_key"]


def told(directory: DataDirectory, request: str, at: str | None = None) -> dict[str, Any]:
    answer = explain_request(directory, request, at)
    return {name: answer.get(name) for name in ("account", "status", "verdict", "outcome", "rule")}


def test_a_pixel_is_told_with_its_account_verdict_event_and_the_rulebooks_line(
    directory: DataDirectory, shop: tuple[Gateway, str]
) -> None:
    gateway, key = shop
    url = f"https://px.example.org/p/{key}.gif?e=signup&plan=pro"
    answer = explain_request(directory, url, None)
    assert (answer["answer"], answer["account"], answer["verdict"]) == (200, "shop", "ACCEPT")
    assert answer["event"]["name"] == "signup"
    assert answer["event"]["params"] == {"plan": "pro"}
    assert answer["rule"].startswith("default.toml:")
    gateway.do("shop", "pause")
    assert told(directory, f"/p.gif?k={key}")["outcome"] == "hidden"


def test_the_verdict_is_that_of_the_time_asked_for_deadlines_to_come_included(
    directory: DataDirectory, shop: tuple[Gateway, str]
) -> None:
    gateway, key = shop
    gateway.do("shop", "cancel")
    opened, canceled = (change["at"] for change in gateway.history("shop"))
    assert told(directory, f"/p/{key}.gif", opened)["status"] == "ACTIVE"
    assert told(directory, f"/p/{key}.gif", canceled)["status"] == "CANCELED"
    assert told(directory, f"/p/{key}.gif", "2000-01-01T00:00:00Z")["outcome"] == "dropped_unknown_key"
    later = told(directory, f"/p/{key}.gif", "2199-01-01T00:00:00Z")
    assert (later["status"], later["verdict"]) == ("DELETED", "DROP")
    assert later["rule"].startswith("common.toml:")


def test_a_key_that_drops_is_told_with_its_own_reason(directory: DataDirectory, shop: tuple[Gateway, str]) -> None:
    gateway, key = shop
    gateway.rotate_key("shop", key=key)
    assert told(directory, f"/p/{key}.gif")["outcome"] == "dropped_revoked_key"
    assert told(directory, "/p/nobodys.gif")["outcome"] == "dropped_unknown_key"
    assert told(directory, "/p.gif")["outcome"] == "dropped_no_key"


def test_a_batch_is_told_hit_by_hit(directory: DataDirectory, shop: tuple[Gateway, str]) -> None:
    _, key = shop
    body = f'[{{"write_key": "{key}", "name": "a"}}, {{"name": "b"}}]'
    answer = explain_request(directory, f"POST /v1/events HTTP/1.1\nHost: x\n\n{body}", None)
    assert answer["answer"] == 202
    assert [hit["outcome"] for hit in answer["hits"]] == ["accepted", "dropped_no_key"]


REQUESTS = [
    ("GET /p/k.gif HTTP/1.1\nHost: x\n", 200),
    ("HEAD /p/k.gif HTTP/1.1\nHost: x\n", 200),
    ("POST /p/k.gif HTTP/1.1\nHost: x\n", 200),
    ("POST /p/k.gif HTTP/1.1\nHost: x\n\nbody", 400),
    ("PUT /p/k.gif HTTP/1.1\nHost: x\n", 405),
    ("GET /p/k.gif HTTP/1.1\nAccept: *\n", 400),
    ("GET /p/k.gif HTTP/1.1\nHost: x\nHost: y\n", 400),
    ("GET /elsewhere HTTP/1.1\nHost: x\n", 404),
    ("GET /v1/events HTTP/1.1\nHost: x\n", 405),
    ("POST /v1/events HTTP/1.1\nHost: x\n\n{", 400),
    (f"GET /p.gif?k={'x' * 9000} HTTP/1.1\nHost: x\n", 414),
    ("GET /p/k.gif HTTP/1.1\nHost: x\n" + "A: b\n" * 101, 431),
    ("nonsense is this", 400),
]


@pytest.mark.parametrize(("request_text", "status"), REQUESTS, ids=[text.split("\n")[0][:40] for text, _ in REQUESTS])
def test_a_request_is_answered_as_the_collector_would(request_text: str, status: int) -> None:
    assert parse(raw_request(request_text)).answer == status


def test_what_is_no_request_at_all_is_misuse(directory: DataDirectory) -> None:
    with pytest.raises(Misused, match="neither a URL"):
        raw_request("p/k.gif")
    with pytest.raises(Misused, match="--at"):
        explain_request(directory, "/p.gif", "tomorrow")
