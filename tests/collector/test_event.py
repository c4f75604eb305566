"""event.py: the wire format. What is written once must be readable for as long as anyone keeps it."""

from dataclasses import fields, replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.event import (
    SCHEMA_VERSION,
    TOPIC_EVENTS,
    TOPIC_HIDDEN,
    Event,
    event_id,
    rfc3339_us,
    time_text,
    wire_time_us,
)
from gating.status import Verdict

GOLDEN = Path(__file__).parent / "golden"
JOURNAL = "00112233445566778899aabbccddeeff"
FULL = Event(
    id=event_id(JOURNAL, 1),
    received_at=1_772_366_400_123_456,
    account="shop",
    write_key="9f8e7d6c5b4a39281706f5",
    verdict=Verdict.ACCEPT,
    verified=True,
    version=42,
    name="page_view",
    url="https://shop.example/products?color=blue&n=\u20ac",
    referrer="https://search.example/",
    visitor="4f1c2a9b",
    user="u-1",
    client_time=1_772_366_399_000_000,
    client_id="e-1",
    tracker="pixel",
    ip="203.0.113.0",
    user_agent='Mozilla/5.0 "quoted" \\',
    language="de-DE",
    params={"sw": "1920", "tags": ["a", "b"], "nested": {"deep": [1, 2.5, None, True]}, "": "\x00\u2028"},
)
BARE = Event(
    event_id(JOURNAL, 2**63), 0, "", "", Verdict.HIDE, False, 2**64 - 1, "x",
    None, None, None, None, None, None, "", None, None, None, {},
)  # fmt: skip
REVEALED = replace(FULL, id=event_id(JOURNAL, 3), verdict=Verdict.HIDE, revealed_at=1_772_452_800_000_000)
GOLDEN_EVENTS = (FULL, BARE, REVEALED)

TIMES = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)
TEXTS = st.text(max_size=20)
MAYBE = st.none() | TEXTS
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e300, 1e300) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.builds(
    Event,
    id=TEXTS, received_at=TIMES, account=TEXTS, write_key=TEXTS, verdict=st.sampled_from(Verdict),
    verified=st.booleans(), version=st.integers(0, 2**64 - 1), name=TEXTS, url=MAYBE, referrer=MAYBE, visitor=MAYBE,
    user=MAYBE, client_time=st.none() | TIMES, client_id=MAYBE, tracker=TEXTS, ip=MAYBE, user_agent=MAYBE,
    language=MAYBE, params=st.dictionaries(TEXTS, JSON, max_size=4), revealed_at=st.none() | TIMES,
)  # fmt: skip


def test_todays_code_writes_the_golden_file_byte_for_byte() -> None:
    """Bytes that changed are a new version, with a golden file of its own beside the older ones."""
    golden = (GOLDEN / f"event-v{SCHEMA_VERSION}.ndjson").read_bytes()
    assert b"".join(event.encode() + b"\n" for event in GOLDEN_EVENTS) == golden


def test_todays_code_reads_the_golden_file() -> None:
    golden = (GOLDEN / f"event-v{SCHEMA_VERSION}.ndjson").read_bytes()
    assert tuple(Event.decode(line) for line in golden.split(b"\n") if line) == GOLDEN_EVENTS


def test_the_json_has_designs_fields_in_designs_order() -> None:
    """DESIGN 8, Event; `revealed_at` stands last."""
    assert list(orjson.loads(BARE.encode())) == [field.name for field in fields(Event)] == [
        "id", "received_at", "account", "write_key", "verdict", "verified", "version", "name", "url", "referrer",
        "visitor", "user", "client_time", "client_id", "tracker", "ip", "user_agent", "language", "params",
        "revealed_at",
    ]  # fmt: skip


@given(EVENTS)
def test_decode_is_the_inverse_of_encode(event: Event) -> None:
    line = event.encode()
    assert Event.decode(line) == event
    assert b"\n" not in line


def test_a_key_of_a_newer_writer_is_passed_over() -> None:
    newer = orjson.dumps({**orjson.loads(FULL.encode()), "of_tomorrow": 1})
    assert Event.decode(newer) == FULL


@given(st.binary(max_size=60) | JSON.map(orjson.dumps))
def test_what_is_no_event_raises_value_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - decode words it, orjson words its own
        Event.decode(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 5), ("account", None), ("name", ["a"]), ("tracker", {}), ("url", 5), ("visitor", True), ("ip", []),
        ("verdict", "KEEP"), ("verdict", 1), ("verified", 1), ("version", "1"), ("version", True), ("params", None),
        ("received_at", None), ("received_at", 5), ("client_time", 5), ("revealed_at", "2026-03-01T12:00:00Z"),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Event.decode(orjson.dumps({**orjson.loads(FULL.encode()), name: value}))


@given(st.sampled_from([field.name for field in fields(Event)]), JSON)
def test_an_event_with_one_wrong_field_is_read_or_refused_with_value_error(name: str, value: object) -> None:
    data = orjson.dumps({**orjson.loads(FULL.encode()), name: value})
    try:
        event = Event.decode(data)
    except ValueError:
        return
    assert orjson.loads(event.encode()) == orjson.loads(data)


@pytest.mark.parametrize(
    ("changes", "topic"),
    [
        ({}, TOPIC_EVENTS),
        ({"verified": False}, TOPIC_HIDDEN),
        ({"verdict": Verdict.HIDE}, TOPIC_HIDDEN),
        ({"verdict": Verdict.HIDE, "revealed_at": 1}, TOPIC_EVENTS),
        ({"verified": False, "revealed_at": 1}, TOPIC_EVENTS),
    ],
)
def test_only_what_the_account_may_see_goes_to_pixel_events(changes: dict[str, object], topic: str) -> None:
    """DESIGN 8: a naive downstream reader of `pixel.events` cannot leak."""
    assert replace(FULL, **changes).topic == topic


def test_the_kafka_key_is_account_and_visitor_or_the_id() -> None:
    """CONTRACT, Kafka."""
    assert FULL.kafka_key == b"shop:4f1c2a9b"
    assert replace(FULL, visitor=None).kafka_key == FULL.id.encode()


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00.000000Z", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-03-01T12:00:00.000001Z", 1_772_366_400_000_001),
        ("0001-01-01T00:00:00.000000Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ],
)
def test_a_time_is_written_in_microseconds_utc(text: str, time_us: int) -> None:
    assert time_text(time_us) == text
    assert wire_time_us(text) == time_us


@pytest.mark.parametrize("time_us", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**64, -(2**80)])
def test_a_time_outside_four_digit_years_is_refused(time_us: int) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        time_text(time_us)


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2026-03-01T12:00:00Z", 1_772_366_400_000_000),
        ("2026-03-01t12:00:00.5z", 1_772_366_400_500_000),
        ("2026-03-01 14:00:00.1234569+02:00", 1_772_366_400_123_456),
        ("2026-02-29T00:00:00Z", None),
        ("2026-03-01T12:00:00", None),
        ("2026-03-01", None),
        ("2026-W09-7T12:00:00Z", None),
        ("2026-03-01T12:00:60Z", None),
        ("\u0662026-03-01T12:00:00Z", None),
        ("2026-03-01T12:00:00Z\n", None),
        ("", None),
    ],
)
def test_clients_write_rfc_3339(text: str, time_us: int | None) -> None:
    if time_us is not None:
        assert rfc3339_us(text) == time_us
    else:
        with pytest.raises(ValueError):  # noqa: PT011 - some are worded by datetime
            rfc3339_us(text)


@given(st.text(max_size=40))
def test_no_text_makes_the_time_readers_raise_anything_but_value_error(text: str) -> None:
    for read in (rfc3339_us, wire_time_us):
        with pytest.raises(ValueError):  # noqa: PT011
            read(text)
