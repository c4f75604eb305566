"""Batch: the body of POST /v1/events, read, checked and cut into the hits it holds. All or nothing.

Called by the app for each such request, before anything is journalled; so it is the place where a client is told what
is wrong, by the field's name. Pure. The Content-Type is not looked at, because it lies (sendBeacon sends text/plain).

The body is one event, a list of events, or `{"write_key": ..., "events": [...]}`. An event is an object that says what
the pixel's query says, in longer names; the pixel's own names are read too, where the longer one is missing:

    name         text                    (e)    what happened; page_view where it is missing or empty
    url          text                    (u)    the page
    referrer     text                    (r)    where the visitor came from
    visitor      text or whole number    (v)    the visitor's id, from the page
    user         text or whole number    (uid)  who is signed in
    client_time  ms since 1970, or text  (t)    by the client's clock; text is RFC 3339 with its offset
    client_id    text or whole number           the client's own id of this event: one sent twice is counted once
    write_key    text                    (k)    whose event it is
    params       object                         anything else; fields that are not in this table are kept there too

Where `write_key` is missing, the envelope's counts, then the user of `Authorization: Bearer` or `Basic`; where there is
none at all, the event is a hit without a key. null is the same as missing.
"""

import binascii
import re
import zlib
from typing import Any, Final

import orjson

from collector.errors import CollectorError
from collector.event import rfc3339_us

EVENTS_MAX: Final = 500  # CONTRACT; Segment's clients send up to 100, RudderStack's 20
INFLATED_BYTES_MAX: Final = 1024 * 1024  # CONTRACT; the cap is on what gzip yields, not on what it takes
EVENT_BYTES_MAX: Final = 32 * 1024  # Segment's limit for one event is the same
WRITE_KEY_BYTES_MAX: Final = 64  # gating mints 22 and more; an account's whole list of keys must fit a datagram
DEPTH_MAX: Final = 250  # orjson writes 254 levels, and an event is nested again on its way

KeyedEvent = tuple[bytes, bytes]
"""Write key, and the event's JSON."""

_SHORT_NAMES: Final = {
    "name": "e", "url": "u", "referrer": "r", "visitor": "v", "user": "uid", "client_time": "t", "write_key": "k",
}  # fmt: skip
_TEXTS: Final = ("name", "url", "referrer", "write_key")
_IDS: Final = ("visitor", "user", "client_id")
_HEX2: Final = rb"[0-9a-fA-F]{2}"
# An escaped surrogate: a whole pair, or (group 2) a lone one. The backslashes before it are pairs, taken as a whole
# run, so that the "u" after an escaped backslash is never mistaken for an escape, and a run is looked at once.
_surrogate = re.compile(
    rb"(?<!\\)((?:\\\\)*+)\\u(?:[dD][89abAB]%b\\u[dD][c-fC-F]%b|([dD][89a-fA-F]%b))" % (_HEX2, _HEX2, _HEX2)
)


class BatchMalformed(CollectorError):
    """A batch that is refused whole, with 400. `field` names the culprit, such as `events[3].name`."""

    http_status = 400
    code = "malformed"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class BatchTooLarge(BatchMalformed):
    """A body of more than INFLATED_BYTES_MAX bytes, as sent or once inflated: 413."""

    http_status = 413
    code = "too_large"


def parse_events(content: bytes, content_encoding: bytes = b"", authorization: bytes = b"") -> list[KeyedEvent]:
    """Cut a batch into (write key, event's JSON) pairs, in its order; the key is b"" where none was given.

    content: the body. content_encoding, authorization: those headers' values, b"" where missing; an authorization
    that does not read is no reason to refuse a hit.
    The JSON is at most EVENT_BYTES_MAX bytes, holds its `write_key`, and has the longer names only.
    Raises BatchMalformed naming the field, BatchTooLarge for the body's size.
    """
    document = _loaded(_inflated(content, content_encoding))
    key = _key_of_authorization(authorization)
    if type(document) is dict and "events" in document:
        key = _envelope_key(document) or key
        events = document["events"]
        if type(events) is not list:
            raise BatchMalformed("events", "must be a list")
    elif type(document) is list:
        events = document
    else:
        return [_checked(document, "", key)]
    if len(events) > EVENTS_MAX:
        raise BatchMalformed("events", f"are {len(events)}, at most {EVENTS_MAX} are taken at once")
    return [_checked(event, f"events[{place}]", key) for place, event in enumerate(events)]


def _inflated(content: bytes, content_encoding: bytes) -> bytes:
    """The body without its Content-Encoding, never holding more than the cap in memory."""
    encoding = content_encoding.strip().lower()
    if len(content) > INFLATED_BYTES_MAX:
        raise BatchTooLarge("body", f"is {len(content)} bytes, at most {INFLATED_BYTES_MAX} are taken")
    if encoding in (b"", b"identity"):
        return content
    if encoding not in (b"gzip", b"x-gzip"):
        raise BatchMalformed("Content-Encoding", "must be gzip or absent")
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: a gzip header and trailer, not zlib's
    try:
        plain = inflater.decompress(content, INFLATED_BYTES_MAX + 1)
    except zlib.error as error:
        raise BatchMalformed("body", "is not gzip, as its Content-Encoding says") from error
    if len(plain) > INFLATED_BYTES_MAX:
        raise BatchTooLarge("body", f"inflates to more than {INFLATED_BYTES_MAX} bytes")
    # RFC 1952 allows several members; nobody sends them, and 50,000 empty ones in a body would hold the loop for long.
    if not inflater.eof or inflater.unused_data:
        raise BatchMalformed("body", "is not one whole gzip member")
    return plain


def _loaded(content: bytes) -> Any:
    """The body's JSON. A lone surrogate, which JavaScript writes for half an emoji, becomes U+FFFD."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if "surrogate" not in error.msg:
            raise BatchMalformed("body", f"is not JSON: {error}") from error
    try:
        return orjson.loads(_surrogate.sub(lambda found: found[1] + rb"\ufffd" if found[2] else found[0], content))
    except orjson.JSONDecodeError as error:
        raise BatchMalformed("body", f"is not JSON: {error}") from error


def _key_of_authorization(authorization: bytes) -> bytes:
    """The write key of `Bearer KEY` or of Basic's user; b"" for anything else (RFC 6750 section 2.1, RFC 7617)."""
    scheme, _, value = authorization.strip().partition(b" ")
    value = value.strip()
    if scheme.lower() == b"bearer":
        return value
    if scheme.lower() != b"basic":
        return b""
    try:
        return binascii.a2b_base64(value + b"==").partition(b":")[0]  # too much padding is ignored, too little is not
    except binascii.Error:
        return b""


def _envelope_key(document: dict[str, Any]) -> bytes:
    key = document.get("write_key", document.get("k"))
    if key is not None and type(key) is not str:
        raise BatchMalformed("write_key", "must be text")
    return (key or "").encode()


def _checked(event: Any, field: str, key: bytes) -> KeyedEvent:
    """One event's key and JSON. field: its name in messages, "" where the body is the event."""
    if type(event) is not dict:
        raise BatchMalformed(field or "body", "must be an object")
    for name, short in _SHORT_NAMES.items():
        if short in event and event.get(name) is None:
            event[name] = event.pop(short)
    if (fault := _fault(event)) is not None:
        name, reason = fault
        raise BatchMalformed(f"{field}.{name}" if field else name, reason)
    if own := event.get("write_key"):
        key = own.encode()
    else:
        key = key[: WRITE_KEY_BYTES_MAX + 1]  # somebody else's bearer token may be long; cut, it is unknown as before
        event["write_key"] = key.decode("utf-8", "replace")
    if (content := written(event)) is None:
        raise BatchMalformed(field or "body", f"is nested more than {DEPTH_MAX} levels deep")
    if len(content) > EVENT_BYTES_MAX:
        raise BatchMalformed(field or "body", f"is {len(content)} bytes of JSON, at most {EVENT_BYTES_MAX} are taken")
    return key, content


def _fault(event: dict[str, Any]) -> tuple[str, str] | None:
    """The first field that does not read, and why."""
    for name in _TEXTS:
        if type(event.get(name, "")) not in (str, type(None)):
            return name, "must be text"
    for name in _IDS:
        if type(event.get(name, "")) not in (str, int, type(None)):
            return name, "must be text or a whole number"
    if type(event.get("params", {})) not in (dict, type(None)):
        return "params", "must be an object"
    return _time_fault(event.get("client_time"))


def _time_fault(client_time: Any) -> tuple[str, str] | None:
    if type(client_time) is str:
        try:
            rfc3339_us(client_time)
        except ValueError:
            return "client_time", "must be milliseconds since 1970, or RFC 3339 text with its offset"
    elif type(client_time) not in (int, float, type(None)):
        return "client_time", "must be milliseconds since 1970, or RFC 3339 text with its offset"
    return None


def written(event: Any) -> bytes | None:
    """The event's JSON; None where it is nested more than DEPTH_MAX levels deep.

    orjson reads 1,024 levels without recursing, but writes 254: so the depth is told by writing the event within the
    levels that are to be left: in C, since walking a megabyte of brackets here would hold the loop for 60 ms more.
    """
    try:
        return orjson.dumps([[[[event]]]])[4:-4]
    except TypeError:
        return None
