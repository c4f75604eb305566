"""What our class adds to stock: bounds on heads, order of answers, time-outs, the cap, and how a connection ends."""

import pytest

from collector.group import SyncedGroup
from collector.limits import Limits
from collector.outcome import Outcome
from tests.collector.http.test_rows import CLOSING, PIXEL, PIXEL_HEAD, post
from tests.collector.http.wire import Wire, is_free, pixel


def headers(count: int) -> list[bytes]:
    return [b"X-%d: y" % n for n in range(count - 1)]  # and the Host


HEAD_ROWS = [
    ("a head of 20 KiB", pixel(b"/p.gif", b"GET", b"X: " + b"y" * 20_480), 431),
    ("a head of 15 KiB", pixel(b"/p.gif", b"GET", b"X: " + b"y" * 15_360), 200),
    ("120 headers", pixel(b"/p.gif", b"GET", *headers(120)), 431),
    ("101 headers", pixel(b"/p.gif", b"GET", *headers(101)), 431),
    ("100 headers", pixel(b"/p.gif", b"GET", *headers(100)), 200),
    ("a target of 8193 bytes", pixel(b"/p/wk_accept.gif?" + b"x" * (8193 - 17)), 414),
    ("a target of 8192 bytes", pixel(b"/p/wk_accept.gif?" + b"x" * (8192 - 17)), 200),
    ("one endless header", b"GET /p.gif HTTP/1.1\r\nHost: c\r\nX: " + b"y" * 40_000, 431),
    ("an endless name", b"GET /p.gif HTTP/1.1\r\n" + b"x" * 40_000, 431),
    ("an endless target", b"GET /" + b"x" * 10_000, 414),
    ("101 trailers", pixel(b"/p.gif", b"GET", b"Transfer-Encoding: chunked") + b"0\r\n" + b"A: b\r\n" * 101, 431),
]


@pytest.mark.parametrize("chunk_bytes", [70_000, 1000, 7])
@pytest.mark.parametrize(("request_", "status"), [row[1:] for row in HEAD_ROWS], ids=[row[0] for row in HEAD_ROWS])
async def test_heads_are_bounded_however_they_are_cut(request_, status, chunk_bytes):
    """DESIGN 10: 16 KiB, 100 headers, targets of 8 KiB; stock answers 200 to all of these."""
    wire = Wire()
    client = wire.connect()
    client.send(*(request_[at : at + chunk_bytes] for at in range(0, len(request_), chunk_bytes)))
    await wire.quiet()
    assert client.received.startswith(b"HTTP/1.1 %d " % status), client.received[:200]
    assert client.transport.has_ended == (status != 200)
    assert wire.counters.outcomes[Outcome.MALFORMED] == (status != 200)


@pytest.mark.parametrize(
    "request_",
    [pixel(b"/p.gif", b"GET", b"Connection: close"), b"GET /p.gif HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"],
    ids=["close", "http/1.0"],
)
@pytest.mark.parametrize("after", [pixel(), b"\x00garbage", b"GET", post(b"{}")])
async def test_nothing_after_a_close_is_processed(request_, after):
    """RFC 9112 section 9.6; behind an HTTP/1.0 stock answers 400 to garbage, before the answer that was due."""
    wire = Wire()
    for cut in ([request_, after], [request_ + after], [request_[:20], request_[20:] + after]):
        client = wire.connect()
        client.send(*cut)
        await wire.quiet()
        assert client.received == CLOSING
        assert client.transport.is_closed
    assert wire.counters.hits == 3


async def test_a_malformed_request_is_answered_after_those_before_it():
    """Stock writes the 400 at once and closes, so that the answers owed are lost."""
    wire = Wire()
    for chunks in ([pixel() + pixel() + b"BAD\r\n"], [pixel(), b"BAD\r\n"], [pixel()[:9], pixel()[9:] + b"BAD\r\n"]):
        client = wire.connect()
        client.send(*chunks)
        await wire.quiet()
        assert client.received.startswith(PIXEL * ("".join(map(repr, chunks)).count("GET")) + b"HTTP/1.1 400 ")
        assert client.received.count(b"HTTP/1.1 ") == ("".join(map(repr, chunks)).count("GET")) + 1


async def test_a_pixel_behind_another_waits_for_its_answer_and_is_not_read_on():
    """An answer that waits for its tick is not overtaken; what waits behind it is one chunk."""
    wire = Wire()
    client = wire.connect()
    client.send(pixel(), pixel(method=b"HEAD"), pixel())
    assert client.transport.is_paused
    assert client.waiting == [pixel()]
    await wire.quiet()
    assert client.received == PIXEL + PIXEL_HEAD + PIXEL
    assert is_free(client)


async def test_a_long_line_of_requests_is_read_no_faster_than_it_is_answered():
    """Stock reads one chunk more for each answer, so that a client can fill the memory with requests."""
    wire = Wire()
    client = wire.connect()
    client.send(*[pixel(b"/health/live") * 50] * 20)
    longest = 0
    while client.waiting:
        await wire.quiet_step()
        longest = max(longest, len(client.protocol._reference.pipeline))
    await wire.quiet()
    assert longest <= 100
    assert client.received.count(b"HTTP/1.1 200 ") == 1000


async def test_the_next_pixel_is_fast_again_once_the_reference_is_idle():
    wire = Wire()
    client = wire.connect()
    client.send(pixel()[:30])
    assert not is_free(client)
    client.send(pixel()[30:], pixel(b"/health/live"))
    await wire.quiet()
    assert is_free(client)
    client.send(pixel())
    await wire.quiet()
    assert client.received.count(b"HTTP/1.1 200 ") == 3


async def test_a_full_disk_is_503_for_every_hit_of_the_tick_whatever_its_verdict():
    """I2, I4: counted as overflow, kept nowhere."""
    wire = Wire()
    wire.journal.fill_up()
    clients = [wire.connect() for _ in range(4)]
    for client, key in zip(clients, [b"accept", b"hide", b"drop", b"drop"], strict=True):
        client.send(pixel(b"/p/wk_%b.gif" % key))
    clients.append(wire.connect())
    clients[-1].send(post(b'{"k":"wk_drop"}'))
    await wire.quiet()
    client = wire.connect()
    client.send(pixel(b"/p/wk_drop.gif"))  # alone in its tick
    await wire.quiet()
    assert len({each.received for each in [*clients, client]}) == 1
    assert client.received.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in client.received
    assert wire.counters.outcomes[Outcome.OVERFLOW] == wire.counters.hits == 6
    wire.journal.fails, wire.journal.room = None, True
    assert await wire.ask(pixel()) == PIXEL
    assert await wire.ask(pixel(b"/p/wk_drop.gif")) == PIXEL


async def test_a_head_that_takes_longer_than_ten_seconds_gets_408():
    wire = Wire()
    client = wire.connect()
    client.send(pixel()[:10])
    for byte in pixel()[10:20]:
        wire.turn(1)
        assert not client.transport.has_ended
        client.send(bytes([byte]))
    wire.turn(1)
    assert client.received.startswith(b"HTTP/1.1 408 ")
    assert wire.counters.hits == 0
    wire.turn(3)
    assert client.transport.is_closed


async def test_a_body_that_takes_too_long_gets_408():
    wire = Wire()
    client = wire.connect()
    client.send(post(b"{}")[:-1])
    await wire.quiet()
    wire.turn(30)
    assert not client.transport.has_ended
    wire.turn(1)
    await wire.quiet()
    assert client.received.startswith(b"HTTP/1.1 408 ")
    assert not wire.state.tasks


async def test_an_idle_connection_is_closed_after_75_seconds_of_it():
    wire = Wire()
    quiet, busy = wire.connect(), wire.connect()
    wire.turn(40)
    busy.send(pixel())
    await wire.quiet()
    wire.turn(36)
    assert quiet.transport.is_closed
    assert not busy.transport.is_closed
    wire.turn(40)
    assert busy.transport.is_closed
    await wire.quiet()
    assert not wire.state.connections


async def test_near_the_cap_the_longest_idle_make_room():
    wire = Wire(limits=Limits(connections_max=40))
    old = [wire.connect() for _ in range(38)]
    wire.turn(2)
    old[7].send(pixel())
    await wire.quiet()
    new = wire.connect()
    assert sum(client.transport.is_closed for client in old) > 0
    assert not old[7].transport.is_closed
    new.send(pixel())
    await wire.quiet()
    assert new.received == PIXEL


async def test_at_the_cap_a_new_connection_gets_503_once_it_has_asked():
    wire = Wire(limits=Limits(connections_max=20, refused_max=2))
    held = [wire.connect() for _ in range(20)]
    new = wire.connect()
    assert not new.transport.is_closed  # closing upon what it is about to send would lose the answer
    new.send(pixel())
    await wire.quiet()
    assert new.received.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: " in new.received
    assert new.transport.is_closed
    assert not any(client.transport.is_closed for client in held)
    assert wire.counters.connections_refused == 1
    beyond = [wire.connect() for _ in range(3)]
    assert [client.transport.is_closed for client in beyond] == [False, False, True]
    wire.turn(3)
    assert all(client.transport.is_closed for client in beyond)


async def test_a_client_that_takes_no_answers_is_read_no_more_and_then_cut_off():
    wire = Wire()
    client = wire.connect()
    client.protocol.pause_writing()
    assert client.transport.is_paused
    client.protocol.resume_writing()
    assert not client.transport.is_paused
    assert is_free(client)
    client.protocol.pause_writing()
    wire.turn(30)
    assert not client.transport.is_closed
    wire.turn(1)
    assert client.transport.is_closed


async def test_a_client_that_reads_again_does_not_get_its_requests_answered_out_of_order():
    wire = Wire()
    client = wire.connect()
    client.send(post(b"{}")[:-1])
    client.protocol.pause_writing()
    client.protocol.resume_writing()
    assert not is_free(client)
    client.send(post(b"{}")[-1:] + pixel())
    await wire.quiet()
    assert client.received.startswith(b"HTTP/1.1 202 ")
    assert client.received.endswith(PIXEL)


async def test_a_trailer_is_no_header():
    """RFC 9110 section 6.5.1; stock adds trailers to the headers, where a second Host would be one."""
    wire = Wire()
    request = pixel(b"/p.gif", b"POST", b"Transfer-Encoding: chunked")
    assert await wire.ask(request + b"0\r\nHost: d.example\r\n\r\n") == PIXEL


async def test_what_was_read_before_a_half_close_is_answered():
    wire = Wire()
    for chunks in (
        [pixel()],
        [pixel(), pixel()],
        [pixel() + pixel()],
        [pixel() + post(b"{}")[:-1]],
        [pixel()[:9], pixel()[9:]],
    ):
        client = wire.connect()
        client.send(*chunks)
        client.end()
        await wire.quiet()
        answers = b"".join(chunks).count(b"GET")
        assert client.received.count(b"HTTP/1.1 200 ") == answers, chunks
        assert client.transport.is_closed
    idle = wire.connect()
    idle.end()
    assert idle.transport.is_closed


async def test_a_stop_answers_what_was_read_and_closes():
    wire = Wire()
    idle, pending, line, partial = (wire.connect() for _ in range(4))
    pending.send(pixel())
    line.send(pixel() + pixel())
    partial.send(pixel()[:20])
    for connection in list(wire.state.connections):
        connection.shutdown()
    await wire.quiet()
    assert pending.received == CLOSING
    assert line.received == PIXEL + CLOSING
    assert idle.received == partial.received == b""
    assert all(client.transport.is_closed for client in wire.clients)
    assert not wire.state.connections
    assert not wire.state.tasks


async def test_requests_are_counted_for_uvicorn():
    wire = Wire()
    client = wire.connect()
    client.send(pixel())
    await wire.quiet()
    client.send(pixel() + pixel(), pixel(b"/health/live"))
    await wire.quiet()
    assert wire.state.total_requests == 4


async def test_a_client_that_goes_away_before_its_tick_leaves_its_hit_kept():
    wire = Wire()
    client = wire.connect()
    client.send(pixel())
    client.transport.close()
    await wire.quiet()
    assert len(wire.journal.records) == 1
    assert client.received == b""
    assert wire.fatal == []


async def test_a_failed_sync_answers_nobody():
    """DESIGN 5: fsync error: stop answering 200, exit."""
    wire = Wire(group_class=SyncedGroup)
    wire.journal.sync = lambda: (_ for _ in ()).throw(OSError("lost"))
    client = wire.connect()
    client.send(pixel())
    while not wire.fatal:
        await wire.quiet_step()
    await wire.quiet()
    assert client.received == b""
    assert wire.counters.outcomes[Outcome.OVERFLOW] == 0
