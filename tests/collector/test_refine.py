"""refine.py: every journalled record becomes an event, whatever bytes it holds, by the same steps every time."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.addresses import Addresses, IpPolicy
from collector.batch import BatchMalformed, parse_events
from collector.event import Event
from collector.hit import head_from_scope, parse_head
from collector.journal.format import Record
from collector.refine import STEPS, TIME_MAX_US, event_of
from gating.status import Verdict

JOURNAL = "00112233445566778899aabbccddeeff"
T0_US = 1_772_366_400_000_000
ADDRESSES = Addresses(proxies=("10.0.0.0/8",))
PIXEL = Record(
    sequence=7,
    received_at_us=T0_US,
    verdict=Verdict.HIDE,
    verified=False,
    version=42,
    account="shop",
    peer="203.0.113.9",
    head=b"GET /p/KEY.gif?e=signup HTTP/1.1\r\nHost: h\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
    body=None,
)
BATCH_HEAD = b"POST /v1/events HTTP/1.1\r\nHost: h\r\nReferer: https://shop.example/\r\n\r\n"


def of_head(headers: bytes) -> Event:
    return event_of(PIXEL._replace(head=b"GET /p/K.gif HTTP/1.1\r\n" + headers + b"\r\n"), JOURNAL, ADDRESSES)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def of_event(event: dict[str, Any]) -> Event:
    ((_, body),) = parse_events(orjson.dumps(event))
    return event_of(PIXEL._replace(head=BATCH_HEAD, body=body), JOURNAL, ADDRESSES)


def test_what_the_collector_decided_is_stamped_on_the_event() -> None:
    event = event_of(PIXEL, JOURNAL, ADDRESSES)
    assert (event.id, event.received_at, event.account) == (f"{JOURNAL}-7", T0_US, "shop")
    assert (event.verdict, event.verified, event.version) == (Verdict.HIDE, False, 42)
    assert (event.write_key, event.name, event.ip, event.tracker) == ("KEY", "signup", "203.0.113.0", "pixel")


@pytest.mark.parametrize(
    ("headers", "user_agent", "language"),
    [
        (b"User-Agent: Mozilla/5.0\r\nAccept-Language: de-DE,de;q=0.9\r\n", "Mozilla/5.0", "de-DE"),
        (b"USER-AGENT:a\r\naccept-language:\ten;q=0.5, fr\r\n", "a", "en"),
        (b"User-Agent: a\r\nUser-Agent: b\r\n", "a", None),
        (b"User-Agent: \xc3\xa4\xff  \r\nAccept-Language: *\r\n", "\xe4\ufffd", None),
        (b"User-Agent:\r\nAccept-Language: ,\r\n", None, None),
        (b"X-User-Agent: a\r\nY: User-Agent: b\r\n", None, None),
        (b"", None, None),
    ],
)
def test_the_client_is_described_by_its_own_headers(
    headers: bytes, user_agent: str | None, language: str | None
) -> None:
    event = of_head(headers)
    assert (event.user_agent, event.language) == (user_agent, language)


def test_forwarded_for_may_be_spread_over_several_lines() -> None:
    """RFC 9110 section 5.3: lines of one list are that list, joined by commas."""
    head = b"GET /p/K.gif HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 198.51.100.9, 10.0.0.2\r\n\r\n"
    addresses = Addresses(IpPolicy.FULL, ("10.0.0.0/8",))
    assert event_of(PIXEL._replace(head=head, peer="10.0.0.1"), JOURNAL, addresses).ip == "198.51.100.9"
    assert event_of(PIXEL._replace(head=head), JOURNAL, addresses).ip == "203.0.113.9"


@pytest.mark.parametrize(
    ("event", "fields", "params"),
    [
        ({}, {"name": "page_view", "write_key": "", "url": None, "referrer": None}, {}),
        ({"name": "signup", "url": "/a", "referrer": "/b"}, {"name": "signup", "url": "/a", "referrer": "/b"}, {}),
        ({"e": "signup", "uid": "u"}, {"name": "signup", "user": "u"}, {}),
        ({"name": "", "visitor": "", "user": None}, {"name": "page_view", "visitor": None, "user": None}, {}),
        ({"visitor": 0, "user": 2**64 - 1, "client_id": -1},
         {"visitor": "0", "user": "18446744073709551615", "client_id": "-1"}, {}),
        ({"client_time": 1772366400123}, {"client_time": T0_US + 123_000}, {}),
        ({"client_time": 1772366400123.456}, {"client_time": T0_US + 123_456}, {}),
        ({"client_time": "2026-03-01T13:00:00.5+01:00"}, {"client_time": T0_US + 500_000}, {}),
        ({"client_time": 5}, {"client_time": None}, {"client_time": 5}),
        ({"client_time": 1e300}, {"client_time": None}, {"client_time": 1e300}),
        ({"client_time": "1999-12-31T23:59:59Z"}, {"client_time": None}, {"client_time": "1999-12-31T23:59:59Z"}),
        ({"params": {"a": [1, {"b": None}]}, "c": 2.5}, {}, {"a": [1, {"b": None}], "c": 2.5}),
        ({"params": {"a": 1}, "a": 2}, {}, {"a": [1, 2]}),
        ({"deep": nested(249)}, {}, {"deep": nested(249)}),
        ({"params": None, "write_key": "K"}, {"write_key": "K"}, {}),
    ],
)  # fmt: skip
def test_a_batchs_event_says_what_a_pixel_says_in_longer_names(
    event: dict[str, Any], fields: dict[str, Any], params: dict[str, Any]
) -> None:
    refined = of_event(event)
    assert {name: getattr(refined, name) for name in fields} == fields
    assert refined.params == params
    assert refined.tracker == "events"
    assert Event.decode(refined.encode()) == refined


@pytest.mark.parametrize("path", [b"/v1/events", b"/v1/%65vents", b"http://h/v1/events?x#y"])
def test_an_event_is_known_by_its_route(path: bytes) -> None:
    record = PIXEL._replace(head=b"POST " + path + b" HTTP/1.1\r\n\r\n", body=b'{"name":"signup"}')
    event = event_of(record, JOURNAL, ADDRESSES)
    assert (event.tracker, event.name) == ("events", "signup")


@pytest.mark.parametrize("body", [b"", b"nope", b"[1]", b"\xff", b'{"a":' + b"[" * 250 + b"]" * 250 + b"}"])
def test_a_body_that_does_not_read_is_kept_as_text(body: bytes) -> None:
    event = event_of(PIXEL._replace(head=BATCH_HEAD, body=body), JOURNAL, ADDRESSES)
    assert event.params == {"body": body.decode("utf-8", "replace")}


RECORDS = st.builds(
    Record,
    sequence=st.integers(0, 2**64 - 1),
    received_at_us=st.integers(0, 2**64 - 1),
    verdict=st.sampled_from(Verdict),
    verified=st.booleans(),
    version=st.integers(0, 2**64 - 1),
    account=st.text(max_size=10),
    peer=st.text(max_size=10) | st.sampled_from(["10.0.0.1", "::1"]),
    head=st.binary(max_size=120)
    | st.builds(
        lambda start, query, headers: start + query + b" HTTP/1.1\r\n" + headers,
        st.sampled_from([b"GET /p/K.gif?", b"GET /p.gif?k=", b"POST /v1/events", b"POST /v1/%65vents?"]),
        st.binary(max_size=40),
        st.sampled_from([b"", b"X-Forwarded-For: "]).flatmap(lambda name: st.binary(max_size=20).map(name.__add__)),
    ),
    body=st.none() | st.binary(max_size=60),
)


@given(RECORDS)
@example(PIXEL._replace(received_at_us=2**64 - 1))
@example(PIXEL._replace(head=b"\xff\r\n\r\n", body=b"{}"))
def test_every_record_becomes_one_event_that_can_be_written(record: Record) -> None:
    """I10: a kept hit reaches the warehouse, so no journalled bytes may stop it; and it is the same event each time."""
    event = event_of(record, JOURNAL, ADDRESSES)
    assert Event.decode(event.encode()) == event == event_of(record, JOURNAL, ADDRESSES)
    assert event.received_at == min(record.received_at_us, TIME_MAX_US)


@given(st.binary(max_size=80))
@example(b'{"client_time": 1e999}')
@example(b'{"visitor": 18446744073709551616}')
def test_every_event_that_a_batch_takes_is_an_event_of_its_key(content: bytes) -> None:
    try:
        taken = parse_events(content)
    except BatchMalformed:
        return
    for key, body in taken:
        event = event_of(PIXEL._replace(head=BATCH_HEAD, body=body), JOURNAL, ADDRESSES)
        assert event.write_key.encode() == key


def test_both_paths_heads_make_the_same_event() -> None:
    """DESIGN 4: the raw head of the fast path, and the one rebuilt from the reference path's scope."""
    raw = (
        b"\r\nPOST  http://h/p/K.gif?e=a%20b#frag HTTP/1.1\r\nHOST:h\r\nReferer:  https://x/ \r\n"
        b"X-FORWARDED-FOR:198.51.100.9\r\nuser-agent:\xff\r\n\r\n"
    )
    head = parse_head(raw)
    scope = {
        "method": "POST", "raw_path": head.path, "query_string": head.query, "http_version": "1.1",
        "headers": list(head.headers),
    }  # fmt: skip
    record = PIXEL._replace(peer="10.0.0.1", head=raw)
    rebuilt = record._replace(head=head_from_scope(scope))
    assert event_of(rebuilt, JOURNAL, ADDRESSES) == event_of(record, JOURNAL, ADDRESSES)


def test_the_steps_have_names_to_be_timed_by() -> None:
    assert [step.__name__ for step in STEPS] == ["track", "describe_client", "anonymise"]
