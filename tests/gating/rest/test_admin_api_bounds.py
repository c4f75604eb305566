"""What is too much, too slow or no request at all has a clear answer, a problem document each time."""

import asyncio
import json
import socket

import httpx
import pytest
import uvicorn

from gating.bounded_http import BoundedHttp
from gating.rest.door import BODY_BYTES_MAX, HEAD_BYTES_MAX, read_body
from gating.rest.errors import TooSlow
from gating.serving import Server, serve_until, tcp_listener
from tests.gating.rest.served import PROBLEM


def exchanged(port, *pieces):
    """The whole answer to these bytes, sent piece by piece until the other side has had enough."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        try:
            for piece in pieces:
                peer.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while chunk := peer.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    return answer


def problem_in(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-type: {PROBLEM}".encode() in head.lower()
    document = json.loads(body)
    assert f" {document['status']} ".encode() in head.partition(b"\r\n")[0]
    return document


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "not_found"), ("GET", "/accounts/", 404, "not_found"), ("GET", "/../x", 404, "not_found"),
     ("GET", "/accounts/a%00b", 422, "input_invalid"), ("GET", "/accounts/%ff", 422, "input_invalid"),
     ("GET", "/accounts/nobody", 404, "not_found"), ("GET", f"/accounts/{'a' * 65}", 422, "input_invalid"),
     ("PUT", "/accounts", 405, "not_allowed"), ("GET", "/accounts?limit=0", 422, "input_invalid"),
     ("GET", f"/accounts?limit={10**30}", 422, "input_invalid"), ("GET", "/accounts?cursor=%00", 422, "input_invalid"),
     ("GET", f"/history?cursor={10**30}", 422, "input_invalid"), ("GET", "/deadlines?cursor=1", 422, "input_invalid"),
     ("GET", "/accounts?status=NONE", 422, "input_invalid"), ("POST", f"/effects/{2**63}/retry", 422, "input_invalid")],
)  # fmt: skip
def test_a_bad_path_or_query_is_named(operator, method, path, status, code):
    assert operator.refused(status, method, path)["code"] == code


def test_a_method_that_a_path_has_not_is_told_with_those_it_has(served, operator):
    for path, allow in (("/accounts", "GET, POST"), ("/tokens/t", "DELETE"), ("/accounts/shop/keys/rotate", "POST")):
        assert operator.patch(path).headers["allow"] == allow


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (b"{", 400), (b"[]", 422), (b"null", 422), (b"\xff\xfe", 400), (b'{"rulebook":"default","x":1}', 422),
     (b'{"rulebook":5}', 422), (b'{"rulebook":"a\\u0000"}', 422), (b'{"rulebook":"\\ud800"}', 422),
     (b'{"rulebook":"default","timeout":NaN}', 422), (b'{"rulebook":"default","timeout":1e999}', 422),
     (b'{"rulebook":"default","wait":"yes"}', 422), (b'{"timeout":' + b"9" * 5000 + b"}", 400), (b"[" * 100_000, 400),
     (b'{"rulebook":"default","name":"' + b"n" * 201 + b'"}', 422)],
    ids=range(15),
)  # fmt: skip
def test_a_bad_body_is_refused_and_nothing_is_made(served, operator, body, status):
    before = served.metric("pixelgate_ledger_version")
    answer = operator.post("/accounts", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    assert served.metric("pixelgate_ledger_version") == before


def test_a_body_of_another_type_is_refused(operator):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = operator.post("/accounts", content=b'{"rulebook":"default"}', headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "not_json")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(served, operator):
    head = (
        f"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: {operator.headers['authorization']}\r\n"
        "Content-Type: application/json\r\n"
    )
    told = exchanged(served.port, f"{head}Content-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode())
    assert problem_in(told)["code"] == "too_large"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    told = exchanged(served.port, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunk] * 8)
    assert problem_in(told)["status"] == 413
    assert b"connection: close" in told.lower()


async def test_a_body_that_does_not_come_is_given_up():
    async def nothing():
        await asyncio.Event().wait()

    with pytest.raises(TooSlow):
        await read_body({b"content-length": b"5", b"content-type": b"application/json"}, nothing, 0.01)


def test_a_body_that_breaks_off_changes_nothing(served, operator):
    before = served.metric("pixelgate_ledger_version")
    head = (
        f"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: {operator.headers['authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as peer:
        peer.sendall(head.encode() + b'{"rulebook":"default"}')
    operator.ok("GET", "/token")
    assert served.metric("pixelgate_ledger_version") == before
    assert "Traceback" not in served.process.log


def test_nobodys_body_is_read_at_all(served):
    """Whoever has no token is answered before a byte of the body has come."""
    told = exchanged(
        served.port, b"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n"
    )
    assert problem_in(told)["status"] == 401


def test_a_head_without_end_is_cut_off(served, operator):
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"
    told = exchanged(served.port, b"GET /api/v1/token HTTP/1.1\r\nHost: x\r\n", *[line] * 300)
    assert problem_in(told)["status"] == 431
    assert operator.refused(431, "GET", "/token", headers={"X-Filler": "x" * HEAD_BYTES_MAX})["code"] == "too_large"
    assert operator.refused(431, "GET", "/token", headers={f"X-{n}": "x" for n in range(101)})
    operator.ok("GET", "/token")


def test_what_is_no_http_is_told_so(served):
    assert problem_in(exchanged(served.port, b"\x16\x03\x01 hello\r\n\r\n"))["code"] == "malformed"


def test_a_header_that_decides_is_not_given_twice(served, operator):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = operator.post("/accounts", json={"rulebook": "default"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


class Impatient(BoundedHttp):
    head_seconds = 0.2


async def answered(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("opening", [b"GET / HTTP/1.1\r\nHost: x\r\n", b""], ids=["head", "nothing"])
async def test_a_head_that_never_ends_is_given_up_and_so_is_a_connection_without_one(opening):
    stopped = asyncio.Event()
    config = uvicorn.Config(answered, http=Impatient, log_config=None, lifespan="off")
    with tcp_listener("127.0.0.1", 0) as listener:
        listener.listen()
        serving = asyncio.create_task(serve_until(stopped, [(Server(config), listener)]))
        try:
            answer = await asyncio.to_thread(exchanged, listener.getsockname()[1], opening)
        finally:
            stopped.set()
            await serving
    assert problem_in(answer)["code"] == "too_slow"


def test_elsewhere_on_the_port_problems_are_problems_too(served):
    answer = httpx.get(f"{served.url}/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    answer = httpx.post(f"{served.url}/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)


def test_a_listener_is_known_for_tcp_so_that_no_answer_waits_for_an_acknowledgement():
    """asyncio sets TCP_NODELAY for sockets of that protocol alone."""
    with tcp_listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
