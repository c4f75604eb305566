"""The fast path and the reference agree: same bytes in, same answers and records out, however the network cuts them.

The oracle is stock uvicorn with the same app, fed byte by byte and left in quiet after each, so that it has no chance
to answer out of order; ours gets the same streams on interleaved connections, in pieces of any cut.
"""

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from collector.outcome import Outcome
from tests.collector.http.wire import Client, Wire, pixel

MALFORMED = Outcome.MALFORMED
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ANSWER_STEPS = 8  # iterations of the loop that any answer takes, and some

keys = st.sampled_from([b"wk_accept", b"wk_hide", b"wk_drop", b"nobody", b"a" * 64, b"a" * 65, b""])
queries = st.one_of(
    st.just(b""),
    st.sampled_from([b"?", b"?e=x", b"?e=a%20b&u=%zz", b"?k=wk_hide", b"?a=b?c=d", b"?\"<>\\^`{|}'", b"?x#y", b"#z"]),
    st.binary(max_size=12).map(lambda raw: b"?q=" + bytes(0x21 + byte % 94 for byte in raw)),
)
ODD_PATHS = (
    b"/p.gif /p/%77k_accept.gif /p%2fwk_accept.gif /P/wk_accept.gif /p/wk_accept.gif/ //p.gif /p/a/b.gif /p/.gif "
    b"/ * p.gif /nothing /health/live /v1/events /p/wk_drop.GIF"
).split()
paths = st.one_of(st.builds(b"/p/%b.gif".__mod__, keys), st.sampled_from(ODD_PATHS))
targets = st.one_of(
    st.builds(bytes.__add__, paths, queries),
    st.builds(b"http://c.example%b".__mod__, st.builds(bytes.__add__, paths, queries)),
    st.just(b"/p.gif?k=wk_accept"),
)
methods = st.sampled_from(b"GET GET GET HEAD POST OPTIONS PUT DELETE CONNECT get PRI".split())
versions = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b""])
ODD_HEADERS = [
    *(b"Host: d.example", b"host: e.example", b"HOST:", b"Host : f.example"),
    *(b"Connection: close", b"connection: CLOSE", b"Connection: keep-alive", b"Connection: keep-alive, close"),
    *(b"Proxy-Connection: close", b"Connection: upgrade", b"Connection: Upgrade", b"Upgrade: h2c"),
    *(b"Upgrade: websocket", b"Expect: 100-continue", b"Expect: 200-maybe", b"Content-Length: 0"),
    *(b"content-length: 3", b"Content-Length: +3", b"Content-Length: 3, 3", b"Content-Length:"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"TE: x"),
    *(b"X: a\r\n folded", b"X: a\rb", b"X: a\nY: b", b"X: \x00", b"X: \xe9", b"X", b": x", b"X: y", b"X:"),
    *(b"Cookie: a=b", b"Authorization: Bearer wk_accept", b"Content-Encoding: gzip"),
]
odd_headers = st.sampled_from(ODD_HEADERS)
BODIES = [b"", b"", b"", b"abc", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"2;x=y\r\n[]\r\n0\r\nZ: a\r\n\r\n", b"zz"]
bodies = st.sampled_from(BODIES)


@st.composite
def odd_requests(draw) -> bytes:
    line = b" ".join(part for part in (draw(methods), draw(targets), draw(versions)) if part)
    headers = draw(st.lists(odd_headers, max_size=3))
    if draw(st.integers(0, 5)):
        headers.insert(draw(st.integers(0, len(headers))), b"Host: c.example")
    return b"\r\n".join([line, *headers]) + b"\r\n\r\n" + draw(bodies)


plain_requests = st.builds(
    pixel,
    st.builds(bytes.__add__, st.builds(b"/p/%b.gif".__mod__, keys), queries),
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
)
batches = st.sampled_from(
    [b'{"name":"x","write_key":"wk_accept"}', b'[{"k":"wk_hide"},{"k":"wk_drop"}]', b"[]", b'[{"e":3}]']
).map(lambda body: b"POST /v1/events HTTP/1.1\r\nHost: c.example\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@st.composite
def mutated(draw, requests) -> bytes:
    request = draw(requests)
    at = draw(st.integers(0, len(request)))
    new = draw(
        st.sampled_from([b"\x00", b"\r", b"\n", b" ", b"\t", b":", b"#", b"%", b"\x7f", b"\x80", b"\r\n", b"9", b""])
    )
    return request[:at] + new + request[at + draw(st.integers(0, 1)) :]


likely = st.one_of(plain_requests, plain_requests, plain_requests, odd_requests(), batches)
streams = st.lists(st.one_of(likely, likely, mutated(likely), st.just(b"\r\n")), min_size=1, max_size=5)


async def answered_by_stock(stream: bytes) -> tuple[bytes, bool, list, list[int]]:
    wire = Wire("stock")
    client = wire.connect()
    for at in range(len(stream)):
        if client.transport.is_closed:
            break
        client.send(stream[at : at + 1])
        for _ in range(ANSWER_STEPS if wire.state.tasks else 1):
            await asyncio.sleep(0)
    await wire.quiet()
    outcome = client.received, client.transport.has_ended, wire.kept_of("203.0.113.7"), wire.counters.outcomes
    wire.close()
    return outcome


@st.composite
def schedules(draw) -> list[list[bytes]]:
    """For each connection its stream, cut."""
    cut = []
    for _ in range(draw(st.integers(1, 3))):
        requests = draw(streams)
        stream = b"".join(requests)
        edges = {0, len(stream), *draw(st.lists(st.integers(0, len(stream)), max_size=4))}
        if draw(st.booleans()):  # each request a chunk of its own, unless it is cut besides: what the fast path takes
            at = 0
            for request in requests:
                at += len(request)
                edges.add(at)
        places = sorted(edges)
        cut.append([stream[a:b] for a, b in itertools.pairwise(places)])
    return cut


async def answered_by_ours(cut: list[list[bytes]], turns: list[tuple[int, int]]) -> tuple[Wire, list[Client]]:
    wire = Wire("ours")
    clients = [wire.connect(f"203.0.113.{n}") for n in range(len(cut))]
    left = [list(chunks) for chunks in cut]
    for chosen, steps in turns:
        n = chosen % len(left)
        if left[n]:
            clients[n].send(left[n].pop(0))
        for _ in range(steps):
            await asyncio.sleep(0)
            clients[n].flush()
    for n, chunks in enumerate(left):
        clients[n].send(*chunks)
    await wire.quiet()
    return wire, clients


@given(schedules(), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=20))
def test_any_streams_in_any_pieces_get_the_answers_and_records_of_the_reference(cut, turns):
    """DESIGN 4: both paths agree on every input; I2, I4: same bytes, one outcome each."""

    async def compare() -> None:
        wire, clients = await answered_by_ours(cut, turns)
        outcomes = [0] * len(wire.counters.outcomes)
        for n, client in enumerate(clients):
            stream = b"".join(cut[n])
            answers, has_ended, kept, counted = await answered_by_stock(stream)
            # An interim answer comes when the app asks for a body that has not come yet: a matter of timing.
            assert client.received.replace(CONTINUE, b"") == answers.replace(CONTINUE, b""), stream
            assert client.transport.has_ended == has_ended, stream
            assert wire.kept_of(f"203.0.113.{n}") == kept, stream
            outcomes = [mine + its for mine, its in zip(outcomes, counted, strict=True)]
        assert wire.counters.outcomes[:MALFORMED] == outcomes[:MALFORMED]
        refused = sum(client.received.count(b"HTTP/1.1 400 ") for client in clients)
        assert wire.counters.outcomes[MALFORMED] == refused
        wire.close()
        await asyncio.sleep(0)

    asyncio.run(compare())
