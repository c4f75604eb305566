"""What the fast path takes for granted, held to llhttp, to uvicorn's URL parser and to `hit`."""

from zlib import crc32

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.hit import key_of
from collector.pixel import THEN_CLOSE
from collector.plain import JUDGED_MAX, KEEP, KNOWN_MAX, LEARNT_BYTES_MAX, PLAIN_BYTES_MAX, SPECIAL, PlainHeads
from collector.protocol import _as_it_stands, _pixel_line
from collector.reference import Reference
from tests.collector.http.wire import Wire, pixel

REST = b"HTTP/1.1\r\nHost: c.example\r\n"
ROWS = [
    ("plain", REST + b"\r\n", KEEP),
    ("keep-alive", REST + b"Connection: Keep-Alive\r\n\r\n", KEEP),
    ("close", REST + b"Connection: foo, Close\r\n\r\n", THEN_CLOSE),
    ("empty body", REST + b"content-length: 0\r\n\r\n", KEEP),
    ("body", REST + b"content-length: 1\r\n\r\n", SPECIAL),
    ("chunked", REST + b"transfer-encoding: chunked\r\n\r\n", SPECIAL),
    ("no host", b"HTTP/1.1\r\nHostt: c\r\n\r\n", SPECIAL),
    ("two hosts", REST + b"hOsT: d\r\n\r\n", SPECIAL),
    ("expect", REST + b"EXPECT: 100-continue\r\n\r\n", KEEP),  # RFC 9110 section 10.1.1: no content, no 100
    ("close, and more behind", REST + b"Connection: close\r\n\r\nGET /\r\n\r\n", SPECIAL),
    ("one more behind, whole", REST + b"\r\nGET / " + REST + b"\r\n", SPECIAL),
    ("one line too many", REST + b"\r\n\r\n", SPECIAL),
    ("upgrade", REST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", SPECIAL),
    ("http/1.0", b"HTTP/1.0\r\nHost: c\r\n\r\n", SPECIAL),
    ("more behind", REST + b"\r\nGET / ", SPECIAL),
    ("cut", REST + b"\r", SPECIAL),
    ("folded", REST + b"X: a\r\n b\r\n\r\n", SPECIAL),
    ("nul", REST + b"X: \0\r\n\r\n", SPECIAL),
    ("101 headers", REST + b"X: y\r\n" * 100 + b"\r\n", SPECIAL),
    ("100 headers", REST + b"X: y\r\n" * 99 + b"\r\n", KEEP),
    ("too long", REST + b"X: " + b"y" * PLAIN_BYTES_MAX + b"\r\n\r\n", SPECIAL),
]


@pytest.mark.parametrize(("rest", "kind"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_head_is_plain_only_where_nothing_is_asked_for(rest, kind):
    plain = PlainHeads()
    for before in (REST + b"\r\n", *(row[1] for row in ROWS)):  # whatever llhttp was left in the midst of
        plain.judge(before)
        assert plain.judge(rest) == kind
    assert plain.known.get(crc32(rest)) == (None if kind == SPECIAL else (rest, kind))


def test_what_is_known_is_bounded():
    plain = PlainHeads()
    for n in range(2 * KNOWN_MAX + 1):
        assert plain.judge(REST + b"X: %d\r\n\r\n" % n) == KEEP
        assert len(plain.known) <= KNOWN_MAX


def test_a_long_head_is_plain_and_takes_no_place_among_the_known():
    plain = PlainHeads()
    line, most = b"X: %b\r\n\r\n", LEARNT_BYTES_MAX - len(REST) - len(b"X: \r\n\r\n")
    assert plain.judge(REST + line % (b"y" * most)) == KEEP
    assert plain.judge(REST + line % (b"y" * (most + 1))) == KEEP
    assert [len(rest) for rest, _ in plain.known.values()] == [LEARNT_BYTES_MAX]
    assert plain.judge(REST + line % (b"y" * (PLAIN_BYTES_MAX - LEARNT_BYTES_MAX + most))) == KEEP
    assert plain.judge(REST + line % (b"y" * (PLAIN_BYTES_MAX - LEARNT_BYTES_MAX + most + 1))) == SPECIAL


def test_who_is_known_is_forgotten_now_and_then_so_that_newcomers_are_learned():
    plain = PlainHeads()
    for n in range(KNOWN_MAX + JUDGED_MAX):
        plain.judge(REST + b"X: %d\r\n\r\n" % n)
    assert plain.judge(REST + b"X: new\r\n\r\n") == KEEP
    assert list(plain.known.values()) == [(REST + b"X: new\r\n\r\n", KEEP)]


class Read:
    def on_url(self, url: bytes) -> None:
        self.url = url


@given(
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.text("abcXYZ09_-", min_size=1, max_size=64).map(str.encode),
    st.binary(max_size=60),
)
@example(b"GET", b"k", b"a#b")
@example(b"GET", b"k", b"a\x00b")
@example(b"GET", b"k", b"a\x7f")
@example(b"GET", b"k", b"a\tb")
@example(b"GET", b"k", bytes(range(0x21, 0x7F)).replace(b"#", b""))
def test_a_line_of_the_fast_path_is_read_by_all_as_it_stands(method, key, query):
    """DESIGN 4: both paths must agree on every input."""
    line = b"%b /p/%b.gif?%b HTTP/1.1\r\nHost: c\r\n\r\n" % (method, key, query)
    found = _pixel_line(line)
    if found is None or line[found.end() :] != b"HTTP/1.1\r\nHost: c\r\n\r\n":
        return
    if found[0].translate(_as_it_stands) != found[0]:
        assert not set(query) <= set(range(0x21, 0x7F)) - {0x23}  # what need not be handed over is not
        return
    read = Read()
    parser = httptools.HttpRequestParser(read)
    parser.feed_data(line)
    url = httptools.parse_url(read.url)
    assert parser.get_method() == method
    assert url.path == b"/p/%b.gif" % key
    assert (url.query or b"") == query
    assert key_of(url.path, query) == found[1] == key


async def test_plain_pixels_never_build_the_reference():
    """DESIGN 4: a connection that only ever fires pixels never builds one."""
    wire = Wire()
    client = wire.connect()
    for method, header in [
        (b"GET", b"A: b"),
        (b"HEAD", b"A: b"),
        (b"POST", b"Content-Length: 0"),
        (b"GET", b"Cookie: c"),
    ]:
        client.send(pixel(b"/p/wk_accept.gif?e=x&u=https%3A%2F%2Fa.example%2F", method, header))
        await wire.quiet()
    assert client.received.count(b"HTTP/1.1 200 ") == 4
    assert client.protocol._reference is None


async def test_heads_of_one_checksum_are_told_apart():
    """The numbers were searched for; the second head asks to have its connection closed."""
    kept = pixel(b"/p/wk_accept.gif", b"GET", b"X: 10968082")
    closed = pixel(b"/p/wk_accept.gif", b"GET", b"Connection: close", b"X: 20402060")
    assert len({crc32(head.partition(b".gif ")[2]) for head in (kept, closed)}) == 1
    wire = Wire()
    first, second = wire.connect(), wire.connect()
    first.send(kept)
    await wire.quiet()
    second.send(closed)
    await wire.quiet()
    first.send(kept)
    await wire.quiet()
    assert first.received.count(b"HTTP/1.1 200 ") == 2
    assert second.received.count(b"HTTP/1.1 200 ") == 1
    assert [b"connection: close" in client.received for client in (first, second)] == [False, True]


async def test_the_reference_arms_no_timer_and_stands_in_no_set_of_its_own():
    wire = Wire()
    client = wire.connect()
    client.send(pixel(b"/health/live"))
    await wire.quiet()
    reference = client.protocol._reference
    assert isinstance(reference, Reference)
    assert reference.timeout_keep_alive_task is None
    assert wire.state.connections == {client.protocol}


async def test_answers_carry_the_servers_newest_date():
    wire = Wire()
    client = wire.connect()
    for date in (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 08:49:38 GMT"):
        wire.state.default_headers = [(b"date", date)]
        client.send(pixel())
        await wire.quiet()
        fast = client.received
        client.transport.received.clear()
        client.send(pixel(b"/p.gif?k=wk_accept"))
        await wire.quiet()
        assert b"\r\ndate: " + date + b"\r\n" in fast
        assert client.received == fast
        client.transport.received.clear()
