"""A bare ASGI function: what uvicorn itself costs before any framework, gate or journal (`uvicorn bare_asgi:app`)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from loadtest.peers.wire import GIF, HEADERS

START = {"type": "http.response.start", "status": 200, "headers": list(HEADERS)}
BODY = {"type": "http.response.body", "body": GIF}


async def app(
    _scope: MutableMapping[str, Any],
    _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer every request with the GIF."""
    await send(START)
    await send(BODY)
