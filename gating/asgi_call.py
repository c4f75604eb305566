"""Calling an ASGI application without a socket: one request with a JSON body, one JSON answer."""

import json
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope


async def call(app: ASGIApp, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
    """Returns (HTTP status, the JSON answered). `path` is percent-encoded and may have a query."""
    parts = urlsplit(path)
    payload = b"" if body is None else json.dumps(body).encode()
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())],
        "server": None,
        "client": None,
    }
    answered: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": payload, "more_body": False}

    async def send(message: Message) -> None:
        answered.append(message)

    await app(scope, receive, send)
    status = next(m["status"] for m in answered if m["type"] == "http.response.start")
    content = b"".join(m.get("body", b"") for m in answered if m["type"] == "http.response.body")
    return status, json.loads(content)
