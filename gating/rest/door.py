"""Door: what a request must pass before the application reads any of it: bounds of its head, a token, bounds of its
body.

Plain ASGI. The body is read here, whole and no further than it may be long, after the token has let its sender in; the
application then gets it at once. The server (`bounded_http.py`) keeps a head from growing without end.
"""

from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gating.errors import PixelgateError
from gating.http_body import BodyBrokenOff, BodyTooLong, BodyTooSlow, read_whole
from gating.rest.authenticate import Authenticator
from gating.rest.errors import HeadTooLarge, Malformed, NotJson, TooLarge, TooSlow
from gating.rest.problems import problem_of

HEAD_BYTES_MAX: Final = 16 * 1024  # DESIGN 10, as the collector's
HEADERS_MAX: Final = 100
BODY_BYTES_MAX: Final = 256 * 1024
"""Sixteen values of 10,000 characters, each of which JSON may write as six bytes or UTF-8 as four."""
BODY_SECONDS_MAX: Final = 10.0
OPEN: Final = frozenset({"/api/openapi.json"})
"""Told to everybody who may reach the port: it says nothing of any account."""


class Door:
    """The application behind it finds the caller in `request.state.caller`."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; anything but HTTP is none."""
        if scope["type"] != "http":
            return
        try:
            headers = checked_head(scope)
            if scope["path"] not in OPEN:
                peer = scope["client"][0] if scope.get("client") else ""
                authorization = headers.get(b"authorization")
                text = None if authorization is None else authorization.decode("latin-1")
                scope.setdefault("state", {})["caller"] = await self._authenticator.caller(text, peer)
            body = await read_body(headers, receive)
        except PixelgateError as error:
            await problem_of(error)(scope, receive, send)
            return
        except BodyBrokenOff:
            return
        await self._app(scope, _told(body, receive), send)


def checked_head(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name. Raises HeadTooLarge, and Malformed for two of one that decides."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) + 4 for name, value in headers)
    if size > HEAD_BYTES_MAX or len(headers) > HEADERS_MAX:
        raise HeadTooLarge(f"a request's head has at most {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers")
    for name in (b"authorization", b"content-type", b"idempotency-key", b"if-match"):
        if sum(1 for given, _ in headers if given == name) > 1:
            raise Malformed(f"{name.decode()} is given twice")
    return dict(headers)


async def read_body(
    headers: dict[bytes, bytes], receive: Receive, seconds_max: float = BODY_SECONDS_MAX
) -> bytes:  # fmt: skip
    """All of it. Raises TooLarge, TooSlow, NotJson, Malformed, BodyBrokenOff."""
    told = headers.get(b"content-length", b"0")
    if not told.isdigit() or len(told) > 18:
        raise Malformed("Content-Length is no number")
    if int(told) > BODY_BYTES_MAX:
        raise _too_large()
    if told == b"0" and b"transfer-encoding" not in headers:
        return b""
    try:
        body = await read_whole(receive, BODY_BYTES_MAX, seconds_max)
    except BodyTooLong as error:
        raise _too_large() from error
    except BodyTooSlow as error:
        raise TooSlow(f"the body took longer than {seconds_max:g} s") from error
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if body and kind != b"application/json":
        raise NotJson("a body's content type is application/json")
    return body


def _too_large() -> TooLarge:
    return TooLarge(f"a body has at most {BODY_BYTES_MAX} bytes")


def _told(body: bytes, receive: Receive) -> Receive:
    """Tells the body that was read, then whatever comes."""
    whole: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def told() -> Message:
        return whole.pop() if whole else await receive()

    return told
