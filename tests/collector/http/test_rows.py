"""What a client gets, row by row; through stock uvicorn too where the rule is the app's or llhttp's."""

import gzip

import orjson
import pytest

from collector.outcome import Outcome
from collector.pixel import GIF, PIXEL_HEADERS, encode_answer
from tests.collector.http.wire import Wire, pixel

PIXEL = encode_answer(200, PIXEL_HEADERS, GIF)
PIXEL_HEAD = PIXEL[: -len(GIF)]
CLOSING = encode_answer(200, [*PIXEL_HEADERS, (b"connection", b"close")], GIF)


def post(body: bytes, *headers: bytes, target: bytes = b"/v1/events") -> bytes:
    return pixel(target, b"POST", b"Content-Length: %d" % len(body), *headers) + body


PIXEL_ROWS = [
    ("get", pixel(), PIXEL),
    ("head has no body", pixel(method=b"HEAD"), PIXEL_HEAD),
    ("post, as sendBeacon sends it", pixel(b"/p/wk_accept.gif?e=x", b"POST", b"Content-Length: 0"), PIXEL),
    ("hidden", pixel(b"/p/wk_hide.gif"), PIXEL),
    ("dropped", pixel(b"/p/wk_drop.gif"), PIXEL),
    ("unknown key", pixel(b"/p/nobody.gif"), PIXEL),
    ("missing key", pixel(b"/p.gif"), PIXEL),
    ("key in the query", pixel(b"/p.gif?k=wk_accept"), PIXEL),
    ("escaped path", pixel(b"/p/wk%5Faccept.gif"), PIXEL),
    ("a query that does not read", pixel(b"/p/wk_accept.gif?t=abc&%zz"), PIXEL),
    ("absolute-form", pixel(b"http://other.example/p/wk_accept.gif"), PIXEL),
    ("a body on a get", pixel(b"/p/wk_accept.gif", b"GET", b"Content-Length: 3") + b"abc", PIXEL),
    ("empty chunked post", pixel(b"/p/wk_accept.gif", b"POST", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", PIXEL),
    ("close", pixel(b"/p/wk_accept.gif", b"GET", b"Connection: close"), CLOSING),
    ("http/1.0 without host", b"GET /p/wk_accept.gif HTTP/1.0\r\n\r\n", CLOSING),
    ("empty line before", b"\r\n" + pixel(), PIXEL),
    ("two at once", pixel() + pixel(b"/p/wk_drop.gif", b"HEAD"), PIXEL + PIXEL_HEAD),
    ("expect", pixel(b"/p.gif", b"GET", b"Expect: 100-continue"), b"HTTP/1.1 100 Continue\r\n\r\n" + PIXEL),
    ("upgrade is not offered", pixel(b"/p.gif", b"GET", b"Connection: upgrade", b"Upgrade: h2c"), PIXEL),
]


@pytest.mark.parametrize("front", ["ours", "stock"])
@pytest.mark.parametrize(("request_", "answer"), [row[1:] for row in PIXEL_ROWS], ids=[row[0] for row in PIXEL_ROWS])
async def test_a_pixel_is_answered_with_the_same_bytes_whatever_its_verdict(front, request_, answer):
    """I2, and CONTRACT's pixel."""
    wire = Wire(front)
    assert await wire.ask(request_) == answer
    assert wire.counters.outcomes[Outcome.MALFORMED] == 0
    wire.close()


@pytest.mark.parametrize(
    "target", [b"/p/%77k_accept.gif", b"/p.gif?%6b=wk%5faccept", b"http://x.example/p/wk_accept.gif"]
)
async def test_a_key_is_found_however_the_target_is_written(target):
    for front in ("ours", "stock"):
        wire = Wire(front)
        await wire.ask(pixel(target))
        assert [record.account for record in wire.journal.records] == ["account-ACCEPT"]


STATUS_ROWS = [
    ("no host", pixel(host=False), 400, 1),
    ("two hosts", pixel(b"/p/wk_accept.gif", b"GET", b"Host: d.example"), 400, 1),
    ("two hosts, another case", pixel(b"/p/wk_accept.gif", b"GET", b"hOST: d.example"), 400, 1),
    ("no host, elsewhere", pixel(b"/nothing", host=False), 400, 1),
    ("a pixel's post with a body", pixel(b"/p.gif", b"POST", b"Content-Length: 3") + b"abc", 400, 1),
    ("not found", pixel(b"/nothing"), 404, 0),
    ("method of a pixel", pixel(method=b"DELETE"), 405, 0),
    ("method of events", pixel(b"/v1/events"), 405, 0),
    ("preflight", pixel(b"/v1/events", b"OPTIONS", b"Origin: https://shop.example"), 204, 0),
    ("live", pixel(b"/health/live"), 200, 0),
    ("one event", post(b'{"name":"x","write_key":"wk_accept"}'), 202, 0),
    ("list of events", post(b'[{"name":"x"},{"name":"y"}]', b"Authorization: Bearer wk_accept"), 202, 0),
    ("gzip", post(gzip.compress(b'{"k":"wk_hide"}'), b"Content-Encoding: gzip"), 202, 0),
    ("no event at all", post(b"[]"), 202, 0),
    ("not json", post(b"{"), 400, 1),
    ("wrong field", post(b'[{"name":3}]'), 400, 1),
    ("announced too large", pixel(b"/v1/events", b"POST", b"Content-Length: 1048577"), 413, 1),
    ("inflates too large", post(gzip.compress(bytes(2 << 20)), b"Content-Encoding: gzip"), 413, 1),
]


@pytest.mark.parametrize("front", ["ours", "stock"])
@pytest.mark.parametrize(
    ("request_", "status", "malformed"), [row[1:] for row in STATUS_ROWS], ids=[row[0] for row in STATUS_ROWS]
)
async def test_a_request_gets_its_status_and_only_a_refused_one_is_malformed(front, request_, status, malformed):
    """CONTRACT's status codes; I4: 404, 405 and health are no hits."""
    wire = Wire(front)
    answer = await wire.ask(request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert wire.counters.outcomes[Outcome.MALFORMED] == malformed
    wire.close()


LLHTTP_ROWS = [
    ("bare lf", b"GET /p/wk_accept.gif HTTP/1.1\nHost: c\n\n"),
    ("bare cr", pixel(b"/p.gif", b"GET", b"X: a\rb")),
    ("nul", pixel(b"/p.gif", b"GET", b"X: \x00")),
    ("folded line", pixel(b"/p.gif", b"GET", b"X: a\r\n b")),
    ("space before a colon", pixel(b"/p.gif", b"GET", b"X : a")),
    ("two content-lengths", pixel(b"/p.gif", b"GET", b"Content-Length: 0", b"Content-Length: 0")),
    ("length and chunked", pixel(b"/p.gif", b"POST", b"Content-Length: 0", b"Transfer-Encoding: chunked")),
    ("a byte above 127 in the target", pixel(b"/p/wk_accept.gif?\xe9")),
    ("unknown method", pixel(method=b"PIXEL")),
    ("a bad chunk size", pixel(b"/v1/events", b"POST", b"Transfer-Encoding: chunked") + b"zz\r\n"),
]


@pytest.mark.parametrize("request_", [row[1] for row in LLHTTP_ROWS], ids=[row[0] for row in LLHTTP_ROWS])
async def test_what_llhttp_refuses_is_answered_400_by_both_and_counted_once(request_):
    """I4: a malformed request is one hit, whichever way it came."""
    ours, stock = Wire("ours"), Wire("stock")
    answer = await ours.ask(request_)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer == await stock.ask(request_)
    assert ours.counters.outcomes[Outcome.MALFORMED] == 1
    assert ours.counters.hits == 1
    assert not ours.journal.records


async def test_405_names_the_methods_allowed():
    wire = Wire()
    assert b"\r\nallow: GET, HEAD, POST, OPTIONS\r\n" in await wire.ask(pixel(method=b"PUT"))
    assert b"\r\nallow: OPTIONS, POST\r\n" in await wire.ask(pixel(b"/v1/events"))


async def test_a_malformed_batch_names_its_field_and_keeps_nothing():
    """CONTRACT: a problem document; all or nothing."""
    wire = Wire()
    answer = await wire.ask(post(b'[{"k":"wk_accept"},{"k":"wk_accept","name":3}]'))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert orjson.loads(body)["field"] == "events[1].name"
    assert not wire.journal.records


async def test_any_origin_may_call_without_credentials():
    wire = Wire()
    requests = [pixel(), pixel(b"/v1/events", b"OPTIONS"), post(b"{}"), post(b"{"), pixel(b"/nothing")]
    for request in requests:
        answer = await wire.ask(request)
        assert b"\r\naccess-control-allow-origin: *\r\n" in answer
        assert b"credentials" not in answer


async def test_ready_tells_every_reason_why_not():
    wire = Wire()
    assert (await wire.ask(pixel(b"/health/ready"))).startswith(b"HTTP/1.1 200 ")
    wire.not_ready.append("no map yet")
    answer = await wire.ask(pixel(b"/health/ready"))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"no map yet" in answer


async def test_a_batch_lies_in_one_frame_with_its_client_and_each_event():
    """DESIGN 5: a batch lies in one frame."""
    wire = Wire()
    await wire.ask(post(b'{"write_key":"wk_accept","events":[{"name":"a"},{"name":"b","k":"wk_hide"}]}'), "203.0.113.9")
    (frame,) = wire.journal.frames
    assert [orjson.loads(record.body)["name"] for record in frame] == ["a", "b"]
    assert [record.account for record in frame] == ["account-ACCEPT", "account-HIDE"]
    assert {record.peer for record in frame} == {"203.0.113.9"}
    assert wire.counters.hits == 2
