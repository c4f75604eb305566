"""batch.py: POST /v1/events is taken whole or refused whole, and the refusal names the field."""

import base64
import gzip
import zlib
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.batch import (
    DEPTH_MAX,
    EVENT_BYTES_MAX,
    EVENTS_MAX,
    INFLATED_BYTES_MAX,
    BatchMalformed,
    BatchTooLarge,
    parse_events,
)
from collector.hit import is_write_key


def keys_of(document: Any, authorization: bytes = b"") -> list[bytes]:
    return [key for key, _ in parse_events(orjson.dumps(document), b"", authorization)]


def event_in(document: Any) -> dict[str, Any]:
    ((_, content),) = parse_events(orjson.dumps(document))
    return orjson.loads(content)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


BASIC = b"Basic " + base64.b64encode(b"HEAD:")


@pytest.mark.parametrize(
    ("document", "authorization", "keys"),
    [
        ({}, b"", [b""]),
        ({"write_key": "K"}, b"", [b"K"]),
        ({"k": "K"}, b"", [b"K"]),
        ({"k": "S", "write_key": "L"}, b"", [b"L"]),
        ({"write_key": None}, b"", [b""]),
        ([{"write_key": "A"}, {"write_key": "B"}, {}], b"", [b"A", b"B", b""]),
        ({"write_key": "E", "events": [{}, {"write_key": "A"}]}, b"", [b"E", b"A"]),
        ({"k": "E", "events": [{}]}, b"", [b"E"]),
        ({"events": []}, b"", []),
        ([], b"", []),
        ({}, b"Bearer HEAD", [b"HEAD"]),
        ({}, b"bearer  HEAD ", [b"HEAD"]),
        ({}, BASIC, [b"HEAD"]),
        ({}, BASIC.rstrip(b"="), [b"HEAD"]),
        ({"write_key": "K"}, BASIC, [b"K"]),
        ({"write_key": "E", "events": [{}]}, BASIC, [b"E"]),
        ({"events": [{}, {"write_key": "A"}]}, BASIC, [b"HEAD", b"A"]),
        ({}, b"Basic \xff", [b""]),
        ({}, b"Basic a", [b""]),
        ({}, b"Digest x", [b""]),
        ({}, b"Bearer", [b""]),
    ],
)
def test_the_nearest_write_key_counts(document: Any, authorization: bytes, keys: list[bytes]) -> None:
    """CONTRACT: key in the body or as a Bearer or Basic user; without one, a hit without a key."""
    assert keys_of(document, authorization) == keys


def test_the_key_stands_in_each_events_json() -> None:
    """The journal holds one event at a time: what the envelope or a header said must be in it."""
    content = orjson.dumps({"write_key": "E", "events": [{}, {"write_key": "A"}]})
    assert [orjson.loads(event)["write_key"] for _, event in parse_events(content)] == ["E", "A"]
    assert orjson.loads(parse_events(b"{}", b"", b"Bearer K")[0][1]) == {"write_key": "K"}


def test_somebody_elses_long_token_is_cut_to_what_is_surely_no_key() -> None:
    """A bad bearer never rejects a hit (CLIENTS 5)."""
    (key,) = keys_of({}, b"Bearer " + b"a" * 60_000)
    assert not is_write_key(key)
    assert len(key) < 100


def test_the_pixels_short_names_stand_in_for_missing_longer_ones() -> None:
    short = {"e": "signup", "u": "/a", "r": "/b", "v": "v1", "uid": "u1", "t": 5, "k": "K"}
    assert event_in(short) == {
        "name": "signup", "url": "/a", "referrer": "/b", "visitor": "v1", "user": "u1", "client_time": 5,
        "write_key": "K",
    }  # fmt: skip
    assert event_in({"name": "long", "e": "short"}) == {"name": "long", "e": "short", "write_key": ""}


def test_lone_surrogates_are_replaced_and_everything_else_is_kept() -> None:
    """JavaScript writes half an emoji as a lone escape; an escaped backslash before `u` is none."""
    content = (
        rb'{"params":{"lone":"a\ud83d!","low":"\udE00","pair":"\ud83d\ude00","text":"\\ud83d",'
        rb'"two":"\\\ud83d\n\ud83d","\ud800":1}}'
    )
    ((_, event),) = parse_events(content)
    assert orjson.loads(event)["params"] == {
        "lone": "a\ufffd!", "low": "\ufffd", "pair": "\U0001f600", "text": "\\ud83d", "two": "\\\ufffd\n\ufffd",
        "\ufffd": 1,
    }  # fmt: skip


MALFORMED = [
    (b"", "body"), (b"nope", "body"), (b'{"a":1}x', "body"), (b"1", "body"), (b'"a"', "body"), (b"null", "body"),
    (b'"\xff"', "body"), (b'{"name":NaN}', "body"), (b"[" * 2000, "body"), (rb'"\ud800', "body"),
    (b'{"events":{}}', "events"), (b'{"events":null}', "events"),
    (b'{"write_key":5,"events":[]}', "write_key"), (b'{"write_key":5}', "write_key"), (b'{"k":[]}', "write_key"),
    (b'{"name":5}', "name"), (b'{"e":5}', "name"), (b'{"url":["a"]}', "url"), (b'{"referrer":false}', "referrer"),
    (b'{"visitor":1.5}', "visitor"), (b'{"user":true}', "user"), (b'{"client_id":{}}', "client_id"),
    (b'{"client_time":"abc"}', "client_time"), (b'{"client_time":true}', "client_time"), (b'{"t":[]}', "client_time"),
    (b'{"client_time":"2026-03-01T12:00:00"}', "client_time"), (b'{"params":[]}', "params"),
    (b'[{},{},{},{"name":5}]', "events[3].name"), (b'{"events":[{},7]}', "events[1]"), (b"[[]]", "events[0]"),
    (orjson.dumps([{}] * (EVENTS_MAX + 1)), "events"),
    (orjson.dumps({"params": {"a": "x" * EVENT_BYTES_MAX}}), "body"),
    (orjson.dumps([{"params": {"a": "x" * EVENT_BYTES_MAX}}]), "events[0]"),
    (orjson.dumps({"params": {"a": nested(DEPTH_MAX - 1)}}), "body"),
    (orjson.dumps([{"x": nested(DEPTH_MAX)}]), "events[0]"),
    (b'{"x":' + b"[" * 1000 + b"]" * 1000 + b"}", "body"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "field"), MALFORMED)
def test_a_malformed_batch_names_the_field(content: bytes, field: str) -> None:
    """CONTRACT: 400 with a problem document that names the field; all or nothing."""
    with pytest.raises(BatchMalformed) as raised:
        parse_events(content)
    assert (raised.value.field, raised.value.http_status) == (field, 400)
    assert str(raised.value).startswith(field + " ")


def test_the_deepest_event_is_taken() -> None:
    deepest = {"params": {"a": nested(DEPTH_MAX - 2)}}
    assert event_in(deepest)["params"] == deepest["params"]


def test_the_largest_batch_is_taken() -> None:
    events = [{"name": "n" * 1900, "params": {"a": nested(3)}} for _ in range(EVENTS_MAX)]
    content = orjson.dumps(events)
    assert len(parse_events(content)) == EVENTS_MAX
    assert len(parse_events(content + b" " * (INFLATED_BYTES_MAX - len(content)))) == EVENTS_MAX


@pytest.mark.parametrize("encoding", [b"gzip", b"GZIP", b" x-gzip "])
def test_gzip_is_taken(encoding: bytes) -> None:
    assert parse_events(gzip.compress(b'{"name":"a"}', mtime=0), encoding) == parse_events(b'{"name":"a"}')


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b" " * (INFLATED_BYTES_MAX + 1), b""),
        (b" " * (INFLATED_BYTES_MAX + 1), b"gzip"),
        (gzip.compress(b" " * (INFLATED_BYTES_MAX + 1)), b"gzip"),
        (gzip.compress(b" " * (64 * INFLATED_BYTES_MAX)), b"gzip"),
    ],
)
def test_more_than_the_cap_is_too_large_whether_sent_or_inflated(content: bytes, encoding: bytes) -> None:
    """The cap is on the output (CLIENTS 0): a small body that inflates without end is stopped there."""
    with pytest.raises(BatchTooLarge) as raised:
        parse_events(content, encoding)
    assert raised.value.http_status == 413


@pytest.mark.parametrize(
    ("content", "encoding", "field"),
    [
        (b"{}", b"gzip", "body"),
        (gzip.compress(b"{}", mtime=0)[:-1], b"gzip", "body"),
        (gzip.compress(b"{}", mtime=0) + b"x", b"gzip", "body"),
        (gzip.compress(b"{}", mtime=0) * 2, b"gzip", "body"),
        (zlib.compress(b"{}"), b"gzip", "body"),
        (b"", b"gzip", "body"),
        (b"{}", b"br", "Content-Encoding"),
        (b"{}", b"gzip, gzip", "Content-Encoding"),
    ],
)
def test_what_is_not_one_gzip_member_is_malformed(content: bytes, encoding: bytes, field: str) -> None:
    with pytest.raises(BatchMalformed) as raised:
        parse_events(content, encoding)
    assert raised.value.field == field


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["name", "e", "url", "visitor", "user", "client_time", "t", "client_id", "write_key", "k", "params", "x"]
)
ANY_EVENTS = st.dictionaries(NAMES, JSON | st.sampled_from(["2026-03-01T12:00:00Z", "K"]), max_size=5)


@given(ANY_EVENTS | st.lists(ANY_EVENTS, max_size=4) | st.fixed_dictionaries({"events": st.lists(ANY_EVENTS)}))
def test_whatever_is_taken_is_taken_again_unchanged(document: Any) -> None:
    """An event's JSON is a batch of its own: it reads as the same event with the same key."""
    try:
        taken = parse_events(orjson.dumps(document))
    except BatchMalformed:
        return
    for key, content in taken:
        assert parse_events(content) == [(key, content)]
        assert len(content) <= EVENT_BYTES_MAX


@given(st.binary(max_size=100), st.sampled_from([b"", b"gzip", b"br"]), st.binary(max_size=40))
@example(b"{}", b"", b"Basic ====")
@example(rb'"\ud800"x', b"", b"")
def test_no_bytes_raise_anything_but_batch_malformed(content: bytes, encoding: bytes, authorization: bytes) -> None:
    taken = None
    with suppress(BatchMalformed):
        taken = parse_events(content, encoding, authorization)
    assert taken is None or 1 <= len(taken) <= EVENTS_MAX
