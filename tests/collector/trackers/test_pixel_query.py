"""trackers/pixel.py: what a pixel's query says, and that nothing it says is lost."""

from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.addresses import Addresses
from collector.event import Event
from collector.journal.format import Record
from collector.refine import event_of
from collector.trackers.request import unescaped
from gating.status import Verdict

T0_US = 1_772_366_400_000_000
REFERER = "https://shop.example/"


def event_of_target(target: str | bytes, headers: bytes = b"") -> Event:
    raw = target.encode() if isinstance(target, str) else target
    head = b"GET " + raw + b" HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n"
    return event_of(Record(1, T0_US, Verdict.ACCEPT, True, 1, "shop", "203.0.113.9", head, None), "0" * 32, Addresses())


@pytest.mark.parametrize(
    ("query", "fields", "params"),
    [
        ("", {"name": "page_view", "url": None, "visitor": None, "user": None, "client_time": None}, {}),
        ("e=signup", {"name": "signup"}, {}),
        ("e=", {"name": "page_view"}, {}),
        ("e=a+b%20c%2B", {"name": "a b c+"}, {}),
        ("u=https%3A%2F%2Fx%2F%3Fa%3D1%26b%3D2", {"url": "https://x/?a=1&b=2"}, {}),
        ("u=https://x/?a=1", {"url": "https://x/?a=1"}, {}),
        ("u=%E2%82%AC", {"url": "\u20ac"}, {}),
        ("u=%FF%80", {"url": "\ufffd\ufffd"}, {}),
        ("u=a%5Cx41\\x41", {"url": "a\\x41\\x41"}, {}),
        ("v=v1&uid=u1", {"visitor": "v1", "user": "u1"}, {}),
        ("v=&uid", {"visitor": None, "user": None}, {}),
        ("t=1772366400123", {"client_time": T0_US + 123_000}, {}),
        ("t=1772366400123.4", {"client_time": T0_US + 123_400}, {}),
        ("t=", {"client_time": None}, {}),
        ("t=abc", {"client_time": None}, {"t": "abc"}),
        ("t=-1", {"client_time": None}, {"t": "-1"}),
        ("t=1e12", {"client_time": None}, {"t": "1e12"}),
        ("t=1772366400", {"client_time": None}, {"t": "1772366400"}),
        ("t=946684799999", {"client_time": None}, {"t": "946684799999"}),
        ("t=946684800000", {"client_time": 946_684_800_000_000}, {}),
        ("t=4102444800000", {"client_time": None}, {"t": "4102444800000"}),
        ("t=" + "9" * 400, {"client_time": None}, {"t": "9" * 400}),
        ("t=%D9%A1", {"client_time": None}, {"t": "\u0661"}),
        ("e=%zz&u=50%&v=%4", {"name": "page_view", "url": None}, {"e": "%zz", "u": "50%", "v": "%4"}),
        ("x=a%20b%zz+", {}, {"x": "a%20b%zz+"}),
        ("u=a&u=b&u=c", {"url": "a"}, {"u": ["b", "c"]}),
        ("u=%zz&u=b", {"url": "b"}, {"u": "%zz"}),
        ("e=a&x=1&y=2&x=3&x=4", {"name": "a"}, {"x": ["1", "3", "4"], "y": "2"}),
        ("flag&empty=&&=nameless&a=b=c", {}, {"flag": "", "empty": "", "": "nameless", "a": "b=c"}),
        ("%65=signup&a%20b=1&%zz=2", {"name": "signup"}, {"a b": "1", "%zz": "2"}),
        ("n=%00%0a", {}, {"n": "\x00\n"}),
        ("k=OTHER", {"write_key": "KEY"}, {"k": "OTHER"}),
        ("e=a;u=b", {"name": "a;u=b", "url": None}, {}),
    ],
)
def test_a_query_is_never_malformed(query: str, fields: dict[str, Any], params: dict[str, Any]) -> None:
    """CONTRACT, Collector: what does not read is kept as text under `params`, and so is every other name."""
    event = event_of_target(f"/p/KEY.gif?{query}")
    assert {name: getattr(event, name) for name in fields} == fields
    assert event.params == params
    assert event.tracker == "pixel"


@pytest.mark.parametrize(
    ("target", "key", "params"),
    [
        ("/p/KEY.gif", "KEY", {}),
        ("http://h/%70/K%45Y.gif?k=x", "KEY", {"k": "x"}),
        ("/p.gif?k=KEY", "KEY", {}),
        ("/p%2egif?k=KEY&k=B", "KEY", {"k": "B"}),
        ("/p.gif?k=%zz", "%zz", {"k": "%zz"}),
        ("/p.gif", "", {}),
        ("/p/.gif", "", {}),
    ],
)
def test_k_is_the_key_where_the_path_has_none(target: str, key: str, params: dict[str, str]) -> None:
    event = event_of_target(target)
    assert (event.write_key, event.params) == (key, params)


@pytest.mark.parametrize(
    ("query", "referrer"),
    [("", REFERER), ("r=https%3A%2F%2Fs%2F", "https://s/"), ("r=", None), ("r=%zz", REFERER)],
)
def test_referrer_is_r_or_else_the_referer_header(query: str, referrer: str | None) -> None:
    """CONTRACT: `r` referrer (default: the Referer header); an empty `r` says that there is none."""
    assert event_of_target(f"/p/K.gif?{query}", f"Referer: {REFERER}\r\n".encode()).referrer == referrer
    assert event_of_target("/p/K.gif").referrer is None


@given(st.text("abc+%20 \\x41/\u20ac\xff%", max_size=20), st.text(max_size=10))
def test_escapes_read_as_the_standard_library_reads_them(raw: str, text: str) -> None:
    assert unescaped(quote_plus(text, errors="replace")) == text.encode("utf-8", "replace").decode()
    read = unescaped(raw)
    if read is not None:
        assert read == unquote_plus(raw)
    else:
        assert "%" in raw


NAMES = st.sampled_from(["e", "u", "r", "v", "uid", "t", "k", "x", "y"])


@given(st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=8))
def test_every_value_stands_somewhere_in_the_event(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={quote_plus(value)}" for name, value in pairs)
    event = event_of_target(f"/p/KEY.gif?{query}")
    kept = [event.name, event.url, event.referrer, event.visitor, event.user]
    for value in event.params.values():
        kept.extend(value if isinstance(value, list) else [value])
    assert all(value in kept for name, value in pairs if value)
    assert len(event.params) <= len({name for name, _ in pairs})
