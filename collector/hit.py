"""Hit: what a request head says, for every path a hit can take.

Called by the fast protocol and the reference app (which key, is it a pixel at all), and by the consumers, who read the
journalled heads (`parse_head`). Pure: bytes in, values out, no clock, no I/O, and no bytes make it raise.
It must stay light, since it is on each hit's way: what costs more than a look at the target is done by the consumers.
What the body of a batch says is read by `batch.py`, whose names are handed on here.

A pixel is `/p/{write_key}.gif` or `/p.gif?k={write_key}`. The path is percent-decoded once, as a server does before it
routes. What stands in the key's place need not be one: `is_write_key` tells, and a key nobody has is simply unknown.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from collector.batch import (
    EVENT_BYTES_MAX,
    EVENTS_MAX,
    INFLATED_BYTES_MAX,
    WRITE_KEY_BYTES_MAX,
    BatchMalformed,
    BatchTooLarge,
    parse_events,
)

__all__ = [
    "EVENTS_MAX",
    "EVENTS_PATH",
    "EVENT_BYTES_MAX",
    "HEADERS_MAX",
    "HEAD_BYTES_MAX",
    "INFLATED_BYTES_MAX",
    "TARGET_BYTES_MAX",
    "WRITE_KEY_BYTES_MAX",
    "BatchMalformed",
    "BatchTooLarge",
    "Head",
    "Header",
    "head_from_scope",
    "host_fault",
    "is_pixel_path",
    "is_write_key",
    "key_of",
    "parse_events",
    "parse_head",
    "request_of",
    "split_target",
]

HEAD_BYTES_MAX: Final = 16 * 1024  # DESIGN 10; h11's default and Node's --max-http-header-size are the same
HEADERS_MAX: Final = 100  # Apache's LimitRequestFields, and http.client's own limit
TARGET_BYTES_MAX: Final = 8 * 1024  # nginx's large_client_header_buffers; Apache's LimitRequestLine is 8,190
EVENTS_PATH: Final = b"/v1/events"

if TARGET_BYTES_MAX >= HEAD_BYTES_MAX:  # not `assert`: python -O would drop it
    raise ValueError(f"a target ({TARGET_BYTES_MAX} bytes) must leave room for headers in a head ({HEAD_BYTES_MAX})")

Header = tuple[bytes, bytes]
_plain_pixel = re.compile(rb"/p/([A-Za-z0-9_-]{1,%d})\.gif" % WRITE_KEY_BYTES_MAX).fullmatch
_is_write_key = re.compile(rb"[A-Za-z0-9_-]{1,%d}" % WRITE_KEY_BYTES_MAX).fullmatch
# RFC 9112 section 3.2.2, absolute-form, as proxies send it: everything up to the path is dropped.
_authority = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+").match


class Head(NamedTuple):
    """A request head, read: `path` and `query` still percent-encoded, header names in lower case, values stripped."""

    method: bytes
    path: bytes
    query: bytes
    headers: tuple[Header, ...]

    @property
    def target(self) -> bytes:
        """The target in origin-form, without a fragment."""
        return self.path + b"?" + self.query if self.query else self.path


def key_of(path: bytes, query: bytes) -> bytes | None:
    """The write key of a pixel request; None where the path is no pixel's, b"" where a pixel carries no key.

    path, query: as they stand in the request target, percent-encoded, without "?" (`split_target`).
    The bytes returned may be no possible key (`is_write_key`): then the key is unknown, and the hit a pixel still.
    """
    if found := _plain_pixel(path):  # the likely case; one match costs less than slicing and three looks at the key
        return found[1]
    path = _decoded(path)
    if path == b"/p.gif":
        return _key_of_query(query)
    if path[:3] == b"/p/" and path[-4:] == b".gif" and b"/" not in (key := path[3:-4]):
        return key
    return None


def is_pixel_path(path: bytes) -> bool:
    """Whether the path is a pixel's, whatever the method: what is no pixel is 404, a pixel's wrong method 405."""
    return key_of(path, b"") is not None


def is_write_key(key: bytes) -> bool:
    """Whether these bytes can be a write key at all; one that cannot is nobody's, now and later."""
    return _is_write_key(key) is not None


def _decoded(path: bytes) -> bytes:
    """The path as uvicorn's `urllib.parse.unquote` of the ASCII path gives it, in UTF-8; no ASCII, no path (llhttp)."""
    return unquote_to_bytes(path).decode("utf-8", "replace").encode() if path.isascii() else b""


def _key_of_query(query: bytes) -> bytes:
    """The first `k`; empty or missing: b"". A broken escape stays as it was sent, so that such a key is unknown."""
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"k" or (b"%" in name and unquote_to_bytes(name) == b"k"):
            return unquote_to_bytes(value.replace(b"+", b" "))
    return b""


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target in origin-form or absolute-form; a fragment is dropped."""
    if target[:1] != b"/" and (found := _authority(target)):
        target = target[found.end() :]
    if b"#" in target:
        target = target[: target.index(b"#")]
    path, _, query = target.partition(b"?")
    return path, query


def parse_head(head: bytes) -> Head:
    """Read a head that llhttp accepted; of any other bytes whatever can be had, since it never raises.

    Tolerates what llhttp does: empty lines before the request line, several spaces in it, a missing version, bytes
    above 127 in values. Bare LF, folded lines and NUL do not occur: llhttp refuses them.
    """
    method, target = request_of(head)
    path, query = split_target(target)
    fields = (line.partition(b":") for line in head.lstrip(b"\r\n").split(b"\r\n")[1:] if line)
    return Head(method, path, query, tuple((name.lower(), value.strip(b" \t")) for name, _, value in fields))


def request_of(head: bytes) -> tuple[bytes, bytes]:
    """Method and target of a head that llhttp accepted: its first two words. b"" for what is missing."""
    method, target, *_ = [*head.split(None, 2), b"", b""]
    return method, target


def head_from_scope(scope: Mapping[str, Any]) -> bytes:
    """The raw head of an ASGI request, normalised: `parse_head` reads the same from it as from what the client sent.

    What an ASGI scope no longer has is not in it: the fragment, an absolute-form's authority, spaces round values.
    It is at most HEADERS_MAX bytes and a request line's spaces longer than the client's.
    """
    target: bytes = scope.get("raw_path") or quote(scope["path"]).encode()  # raw_path is optional in ASGI
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    version = scope.get("http_version", "1.1").encode()
    parts = [b"%b %b HTTP/%b" % (scope["method"].encode(), target, version)]
    parts.extend(b"%b: %b" % (name, value) for name, value in scope["headers"])
    return b"\r\n".join(parts) + b"\r\n\r\n"


def host_fault(headers: Iterable[Header], http_version: str = "1.1") -> str | None:
    """Why this request must be answered 400 for its Host, or None. The one place that says so.

    headers: names in lower case. RFC 9112 section 3.2: 400 for any HTTP/1.1 request without a Host, and for any request
    with more than one. Its value is not looked at: nothing here is decided by it.
    """
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1:
        return "more than one Host header"
    if hosts == 0 and http_version not in ("1.0", "0.9"):
        return "no Host header"
    return None
