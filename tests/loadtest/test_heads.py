"""The browser heads: the same bytes for one seed, valid HTTP, as varied as a benchmark needs."""

import statistics
from collections import Counter
from urllib.parse import parse_qsl

import httptools
import pytest

from loadtest.heads import HEADS, heads, made_up_keys

KEYS = made_up_keys(3, 10)


class Parsed:
    """One head as llhttp reads it."""

    def __init__(self, head: bytes) -> None:
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.complete = self.keeps_alive = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(head)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode(), value.decode()))

    def on_message_complete(self) -> None:
        self.complete = True
        self.keeps_alive = self.parser.should_keep_alive()


def test_one_seed_gives_the_same_bytes_and_another_gives_others():
    assert heads(1, HEADS, KEYS) == heads(1, HEADS, KEYS)
    assert heads(1, HEADS, KEYS) != heads(2, HEADS, KEYS)


@pytest.mark.parametrize("close", [False, True])
def test_every_head_is_one_whole_get_that_llhttp_takes(close):
    for head in heads(1, HEADS, KEYS, close=close):
        parsed = Parsed(head)
        assert parsed.complete
        assert parsed.parser.get_method() == b"GET"
        assert parsed.keeps_alive is not close
        names = [name.lower() for name, _ in parsed.headers]
        assert names.count("host") == 1
        assert head.count(b"\r\n\r\n") == 1  # wrk's script splits the file there


def test_every_head_fires_a_known_key_with_a_readable_query():
    for head in heads(1, HEADS, KEYS):
        path, _, query = Parsed(head).target.decode().partition("?")
        assert path.removeprefix("/p/").removesuffix(".gif") in KEYS
        params = dict(parse_qsl(query, strict_parsing=True))
        assert {"e", "u", "v", "t"} <= params.keys()
        assert params["t"].isdigit()


def test_heads_differ_as_traffic_does():
    """Sizes, browsers, header orders, optional parameters and cookies all vary; each key is used."""
    written = heads(1, HEADS, KEYS)
    parsed = [Parsed(head) for head in written]
    assert len(set(written)) == HEADS
    assert 650 < statistics.median(map(len, written)) < 900
    orders = Counter(tuple(name for name, _ in one.headers) for one in parsed)
    assert len(orders) >= 12
    agents = [dict(one.headers)["User-Agent"] for one in parsed]
    assert all(any(browser in agent for agent in agents) for browser in ("Edg/", "Firefox/", "iPhone", "Android"))
    assert 0.15 < sum("Cookie" in dict(one.headers) for one in parsed) / HEADS < 0.45
    assert {one.target.split(b"?")[0] for one in parsed} == {f"/p/{key}.gif".encode() for key in KEYS}


def test_asking_to_close_changes_that_header_alone():
    for kept, closed in zip(heads(5, 64, KEYS), heads(5, 64, KEYS, close=True), strict=True):
        assert kept.replace(b"Connection: keep-alive", b"Connection: close") == closed


def test_made_up_keys_are_valid_and_all_different():
    keys = made_up_keys(1, 5000)
    assert len(set(keys)) == 5000
    assert all(len(key) == 22 and key.isalnum() for key in keys)
