"""App: the collector's routes behind uvicorn, and the pixel's reference route.

Called by uvicorn through reference.py with whatever the fast path does not take. The pixel route here is what the fast
path must agree with on every input, so it reads as a list of decisions. Hits go into the same group, and are answered
when their tick is committed. Must not answer before a request has arrived whole: its answer may not depend on how the
network cut it into pieces.
"""

import asyncio
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from collector.batch import INFLATED_BYTES_MAX, BatchMalformed, parse_events
from collector.group import Group
from collector.hit import EVENTS_PATH, head_from_scope, host_fault, key_of
from collector.metrics import Counters
from collector.outcome import Outcome
from collector.pixel import CLOSE, COMMON_HEADERS, GIF, PIXEL_HEADERS, UNAVAILABLE_BODY, UNAVAILABLE_HEADERS, Headers

BODY_BYTES_MAX: Final = INFLATED_BYTES_MAX  # as sent; what a batch inflates to is bounded where it is inflated
PIXEL_METHODS: Final = ("GET", "HEAD", "POST")
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-headers", b"authorization, content-encoding, content-type"),
    (b"access-control-max-age", b"7200"),  # Chromium's cap
    *COMMON_HEADERS,
]

NotReady = Callable[[], list[str]]
"""Why this worker should get no new traffic; empty while it should."""


class _BodyTooLarge(Exception):
    """A body of more than BODY_BYTES_MAX."""


class _ClientGone(Exception):
    """The connection ended before the request had arrived whole."""


class _Answer:
    """Waits for the end of the tick: `await` gives True where the hits were kept (or dropped), False for a 503."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def committed(self, kept: bool) -> None:
        if not self._kept.done():  # cancelled, where a stop has waited long enough
            self._kept.set_result(kept)

    def __await__(self) -> Generator[Any, None, bool]:
        return self._kept.__await__()


class CollectorApp:
    """The ASGI app of one worker.

    counters: malformed requests are counted here, every other hit by the group. not_ready: asked by /health/ready.
    """

    def __init__(self, group: Group, counters: Counters, not_ready: NotReady) -> None:
        self._group = group
        self._counters = counters
        self._not_ready = not_ready
        self._others = Starlette(
            routes=[
                Route(EVENTS_PATH.decode(), self._events, methods=["POST", "OPTIONS"]),
                Route("/health/live", self._live, methods=["GET"]),
                Route("/health/ready", self._ready, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _no_such},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        try:
            body = await _read_body(scope, receive)
        except _ClientGone:
            return
        except _BodyTooLarge:
            reason = f"The body is longer than {BODY_BYTES_MAX} bytes."
            await self._malformed(413, reason, CLOSE)(scope, receive, send)
            return
        answer = await self._pixel(scope, body)
        if answer is None:
            await self._others(scope, _replay(body, receive), send)
        else:
            await answer(scope, receive, send)

    async def _pixel(self, scope: Scope, body: bytes) -> Response | None:
        """The reference pixel route. None: this is no pixel."""
        fault = host_fault(scope["headers"], scope["http_version"])
        if fault is not None:
            return self._malformed(400, f"The request has {fault}.")
        key = key_of(scope["raw_path"], scope["query_string"])
        if key is None:
            return None
        if scope["method"] == "OPTIONS":
            return _preflight(PIXEL_METHODS)
        if scope["method"] not in PIXEL_METHODS:
            return _problem(405, "A pixel is fetched by GET, HEAD or POST.", _allow(PIXEL_METHODS))
        if scope["method"] == "POST" and body:
            return self._malformed(400, "A pixel's POST has no body; events go to /v1/events.")
        answer = _Answer()
        self._group.add(answer, key, _peer(scope), head_from_scope(scope))
        return _response(200, PIXEL_HEADERS, GIF) if await answer else _unavailable()

    async def _events(self, request: Request) -> Response:
        """One event, a list, or an envelope: all are kept, or none."""
        scope = request.scope
        if request.method == "OPTIONS":
            return _preflight(("POST",))
        try:
            events = parse_events(
                await request.body(), _header(scope, b"content-encoding"), _header(scope, b"authorization")
            )
        except BatchMalformed as error:
            return self._malformed(error.http_status, str(error), field=error.field)
        if events:
            answer, peer, head = _Answer(), _peer(scope), head_from_scope(scope)
            self._group.add_batch(answer, [(key, peer, head, event) for key, event in events])
            if not await answer:
                return _unavailable()
        return _response(202, [_JSON, *COMMON_HEADERS], orjson.dumps({"received": len(events)}))

    def _malformed(self, status: int, detail: str, *headers: tuple[bytes, bytes], **more: str) -> Response:
        self._counters.outcomes[Outcome.MALFORMED] += 1
        return _problem(status, detail, *headers, **more)

    async def _live(self, _: Request) -> Response:
        return _response(200, [_JSON, *COMMON_HEADERS], orjson.dumps({"live": True}))

    async def _ready(self, _: Request) -> Response:
        reasons = self._not_ready()
        document = {"ready": not reasons, "reasons": reasons}
        return _response(503 if reasons else 200, [_JSON, *COMMON_HEADERS], orjson.dumps(document))


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises _BodyTooLarge as soon as that is known, _ClientGone."""
    announced = _header(scope, b"content-length")  # llhttp has seen that it is a number
    if announced and int(announced) > BODY_BYTES_MAX:
        raise _BodyTooLarge
    pieces: list[bytes] = []
    body_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        piece = message.get("body", b"")
        body_bytes += len(piece)
        if body_bytes > BODY_BYTES_MAX:
            raise _BodyTooLarge
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that has been read already, then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _header(scope: Scope, name: bytes) -> bytes:
    """The first header of that name, b"" where there is none."""
    return next((value for found, value in scope["headers"] if found == name), b"")


def _peer(scope: Scope) -> bytes:
    client = scope.get("client")
    return client[0].encode("ascii", "replace")[:255] if client else b""


def _response(status: int, headers: Headers, body: bytes) -> Response:
    """An answer with exactly these headers, and the body's length where they do not give it."""
    response = Response(status_code=status)
    response.body = body
    response.raw_headers = list(headers)
    if status != HTTPStatus.NO_CONTENT and not any(name == b"content-length" for name, _ in headers):
        response.raw_headers.append((b"content-length", b"%d" % len(body)))
    return response


def _unavailable() -> Response:
    return _response(503, UNAVAILABLE_HEADERS, UNAVAILABLE_BODY)


def _problem(status: int, detail: str, *headers: tuple[bytes, bytes], **more: str) -> Response:
    """A problem document (RFC 9457)."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return _response(status, [_PROBLEM, *headers, *COMMON_HEADERS], orjson.dumps(document))


def _allow(methods: tuple[str, ...]) -> tuple[bytes, bytes]:
    return b"allow", ", ".join((*methods, "OPTIONS")).encode()


def _preflight(methods: tuple[str, ...]) -> Response:
    """Any origin may call, without credentials (the Fetch standard's CORS-preflight)."""
    allowed = (b"access-control-allow-methods", ", ".join(methods).encode())
    return _response(204, [_allow(methods), allowed, *_PREFLIGHT], b"")


async def _no_such(_: Request, error: Exception) -> Response:  # a plain function would be run in a thread
    """404 and 405 of the other routes."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status != HTTPStatus.METHOD_NOT_ALLOWED:
        return _problem(status, "There is nothing here.")
    methods = (getattr(error, "headers", None) or {}).get("Allow", "")  # in any order: Starlette keeps a set
    return _problem(status, "Not by this method.", (b"allow", ", ".join(sorted(methods.split(", "))).encode()))
