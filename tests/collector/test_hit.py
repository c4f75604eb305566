"""hit.py: which requests are pixels, whose key they carry, and heads that read the same whichever way they came."""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import httptools
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from collector.hit import (
    Head,
    head_from_scope,
    host_fault,
    is_pixel_path,
    is_write_key,
    key_of,
    parse_head,
    request_of,
    split_target,
)


@pytest.mark.parametrize(
    ("path", "query", "key"),
    [
        (b"/p/KEY.gif", b"", b"KEY"),
        (b"/p/KEY.gif", b"k=OTHER", b"KEY"),
        (b"/p/a-b_C9.gif", b"e=x&u=y", b"a-b_C9"),
        (b"/p/a.b.gif", b"", b"a.b"),
        (b"/p/%4bEY.gif", b"", b"KEY"),
        (b"/%70/KEY%2egif", b"", b"KEY"),
        (b"/p/%254b.gif", b"", b"%4b"),
        (b"/p/%zz.gif", b"", b"%zz"),
        (b"/p/%ff.gif", b"", "\ufffd".encode()),
        (b"/p/" + b"a" * 65 + b".gif", b"", b"a" * 65),
        (b"/p/.gif", b"", b""),
        (b"/p.gif", b"k=KEY", b"KEY"),
        (b"/p%2egif", b"k=KEY", b"KEY"),
        (b"/p.gif", b"e=x&%6b=KEY", b"KEY"),
        (b"/p.gif", b"k=A&k=B", b"A"),
        (b"/p.gif", b"k=&k=B", b""),
        (b"/p.gif", b"k=a+b%20c", b"a b c"),
        (b"/p.gif", b"k", b""),
        (b"/p.gif", b"K=KEY", b""),
        (b"/p.gif", b"", b""),
    ],
)
def test_a_pixels_key_is_read_from_its_path_or_from_k(path: bytes, query: bytes, key: bytes) -> None:
    """CONTRACT, Collector: `/p/{write_key}.gif` and `/p.gif?k={write_key}`; without a known key it is a pixel too."""
    assert key_of(path, query) == key
    assert is_pixel_path(path)


@pytest.mark.parametrize(
    "path",
    [
        b"/p/a/b.gif", b"/p/a%2fb.gif", b"/p/KEY.GIF", b"/P/KEY.gif", b"/p/KEY", b"/p/KEY.gix", b"/p/KEY.gif/",
        b"/p/KEY.gif%0a", b"//p/KEY.gif", b"/p/gif", b"/p.gi", b"/p.gif/", b"/", b"", b"*",
        b"/p/\xc3.gif", b"/p/%41\xc3.gif", b"/v1/events",
    ],
)  # fmt: skip
def test_every_other_path_is_no_pixel(path: bytes) -> None:
    assert key_of(path, b"k=KEY") is None
    assert not is_pixel_path(path)


def key_by_routing(path: bytes, query: bytes) -> bytes | None:
    """What uvicorn and a router make of it: unquote the ASCII path once, match, read the query with the standard's."""
    plain = unquote(path.decode("ascii")) if path.isascii() else ""
    if plain == "/p.gif":
        values = parse_qsl(query.decode("ascii"), keep_blank_values=True)
        return next((value for name, value in values if name == "k"), "").encode()
    found = re.fullmatch(r"/p/([^/]*)\.gif", plain, re.DOTALL)
    return found[1].encode() if found else None


PATH_PIECES = st.sampled_from(
    [b"/", b"p", b"/p/", b".gif", b"KEY", b"k", b"%", b"%2", b"%2f", b"%2e", b"%70", b"%00", b"%e2%82%ac", b"%ff", b"~"]
)
QUERY_PIECES = st.sampled_from([b"k", b"=", b"&", b"KEY", b"%6b", b"%3d", b"%26", b"+", b"%", b"%4", b"%41", b"e"])


@given(st.lists(PATH_PIECES, max_size=6).map(b"".join), st.lists(QUERY_PIECES, max_size=8).map(b"".join))
@example(b"/p/KEY.gif", b"")
@example(b"/p.gif", b"k=%4")
def test_the_key_is_the_one_a_server_would_route(path: bytes, query: bytes) -> None:
    """DESIGN 4: the fast path and the reference route agree on every input."""
    assert key_of(path, query) == key_by_routing(path, query)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_make_key_of_raise(path: bytes, query: bytes) -> None:
    assert key_of(path, query) is None or is_pixel_path(path)


@pytest.mark.parametrize(
    ("key", "can_be"),
    [
        (b"a", True),
        (b"a" * 64, True),
        (b"-_9Z", True),
        (b"", False),
        (b"a" * 65, False),
        (b"a b", False),
        (b"a\n", False),
    ],
)
def test_a_write_key_is_1_to_64_token_bytes(key: bytes, can_be: bool) -> None:
    assert is_write_key(key) is can_be


TARGET_STARTS = st.sampled_from(
    [b"/", b"//", b"*", b"http://h", b"http://h/", b"HTTP://h:80/", b"ws://u@h/p", b"https://[::1]/"]
)
TARGET_PIECES = st.sampled_from([b"/", b"?", b"#", b"http://", b"a=b", b"&", b"%20", b"@", b"[::1]", b".", b"p.gif"])


@given(st.builds(bytes.__add__, TARGET_STARTS, st.lists(TARGET_PIECES, max_size=6).map(b"".join)))
@example(b"http://h/p/k.gif?a#b")
def test_a_target_splits_as_llhttp_splits_it(target: bytes) -> None:
    """RFC 9112 section 3.2: origin-form and absolute-form; uvicorn answers 400 where llhttp finds no path."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        assume(False)
    assume(url.path is not None)
    assert split_target(target) == (url.path, url.query or b"")


def scope_of(raw: bytes) -> dict[str, Any] | None:
    """The ASGI scope that uvicorn's httptools protocol makes of a head; None where it answers 400."""

    class Callbacks:
        url = b""
        done = False

        def __init__(self) -> None:
            self.headers: list[tuple[bytes, bytes]] = []

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name.lower(), value))

        def on_headers_complete(self) -> None:
            self.done = True

    callbacks = Callbacks()
    parser = httptools.HttpRequestParser(callbacks)
    try:
        parser.feed_data(raw)
        url = httptools.parse_url(callbacks.url)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if not callbacks.done or url.path is None:
        return None
    return {
        "type": "http", "method": parser.get_method().decode(), "http_version": parser.get_http_version(),
        "raw_path": url.path, "path": unquote(url.path.decode("ascii")), "query_string": url.query or b"",
        "headers": callbacks.headers,
    }  # fmt: skip


TOKEN = st.text("abcXYZ019-_.!#$%&'*+^`|~", min_size=1, max_size=8).map(str.encode)
VALUE = st.binary(max_size=20).map(lambda raw: bytes(byte for byte in raw if byte == 9 or 32 <= byte != 127))
HEADERS = st.lists(
    st.tuples(st.one_of(st.sampled_from([b"Host", b"REFERER", b"x-Forwarded-For", b"User-Agent"]), TOKEN),
              st.sampled_from([b":", b": ", b":\t  "]), VALUE, st.sampled_from([b"\r\n", b" \t\r\n"])).map(b"".join),
    max_size=6,
)  # fmt: skip
TARGETS = st.one_of(
    st.sampled_from([b"/p/KEY.gif?e=x", b"http://h/p.gif?k=a#f", b"HTTPS://h:1?x", b"/p/KEY.gif?", b"//a", b"*"]),
    st.text("/pk.gif?&=%+#'\"<>\\^{}|;:@[]", min_size=1, max_size=20).map(lambda text: b"/" + text.encode()),
)
RAW_HEADS = st.builds(
    lambda lead, method, gap, target, version, headers: (
        lead + method + gap + target + version + b"\r\n" + b"".join(headers) + b"\r\n"
    ),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]),
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.sampled_from([b" ", b"   "]),
    TARGETS,
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0"]),
    HEADERS,
)


@given(RAW_HEADS)
@example(b"GET /\r\n\r\n")
@example(b"\r\n\r\nGET  http://h/p/K.gif?a#b HTTP/1.1\r\nHOST:a\r\nhost: b \t\r\nx:\xff\r\nx:\r\n\r\n")
def test_a_head_rebuilt_from_a_scope_reads_as_the_raw_one(raw: bytes) -> None:
    """DESIGN 4: both paths journal heads that make the same event."""
    scope = scope_of(raw)
    assume(scope is not None)
    rebuilt = head_from_scope(scope)
    assert parse_head(rebuilt) == parse_head(raw)
    assert scope_of(rebuilt) is not None
    assert parse_head(raw).headers == tuple((name, value.strip(b" \t")) for name, value in scope["headers"])
    assert request_of(raw)[0].decode() == scope["method"]


def test_a_scope_without_raw_path_has_its_path_quoted() -> None:
    scope = {"method": "GET", "path": "/p/a b.gif", "query_string": b"", "headers": [(b"host", b"h")]}
    assert head_from_scope(scope) == b"GET /p/a%20b.gif HTTP/1.1\r\nhost: h\r\n\r\n"


@given(st.binary(max_size=200))
@example(b"")
@example(b"GET")
@example(b"GET /a\r\n:\r\n: x\r\nnocolon")
def test_no_bytes_make_parse_head_raise(raw: bytes) -> None:
    head = parse_head(raw)
    assert isinstance(head, Head)
    assert head.target.startswith(head.path)


@pytest.mark.parametrize(
    ("names", "version", "fault"),
    [
        ([b"host"], "1.1", None),
        ([b"a", b"host", b"b"], "1.0", None),
        ([], "1.1", "no Host header"),
        ([b"hosts"], "1.1", "no Host header"),
        ([], "1.0", None),
        ([b"host", b"host"], "1.1", "more than one Host header"),
        ([b"host", b"host"], "1.0", "more than one Host header"),
    ],
)
def test_a_missing_or_second_host_is_a_fault(names: list[bytes], version: str, fault: str | None) -> None:
    """RFC 9112 section 3.2: 400 for an HTTP/1.1 request without a Host, and for any request with more than one."""
    assert host_fault([(name, b"h") for name in names], version) == fault
