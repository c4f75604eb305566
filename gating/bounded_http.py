"""Bounded HTTP: uvicorn's protocol for a port that others than this host's may reach: a head has an end, in size and
time.

llhttp bounds neither: without this a peer could send headers for ever, all kept in memory. What is above it (the door
of the admin API, the webhooks) bounds bodies.
"""

import asyncio
import http
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX: Final = 64 * 1024
"""What is read of a head that has not ended; the door answers 431 from 16 KiB on, once it is parsed."""
HEAD_SECONDS_MAX: Final = 10.0


class BoundedHttp(HttpToolsProtocol):
    """Answers 431 to a head that is too long, 408 to one that takes too long, 400 to what is no HTTP; and hangs up."""

    head_seconds = HEAD_SECONDS_MAX
    _head_bytes = 0  # of the head that goes on, as far as chunks hold nothing else
    _in_head = True
    _ended = False  # whether a message ended within this chunk: how much of it is another head nobody knows
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A head is awaited from now on."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_ended()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; and see whether a head that goes on has gone on for too long."""
        if self._in_head and self._head_timer is None:
            self._await_head()
        self._ended = False
        super().data_received(data)
        if not self._in_head or self._ended:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431, "too_large", "a request's head is too large")

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._in_head = False
        self._head_ended()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is another head."""
        self._in_head = self._ended = True
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """In the form of every other refusal."""
        self._refuse(400, "malformed", msg)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(
            self.head_seconds, self._refuse, 408, "too_slow", f"a head took longer than {self.head_seconds:g} s"
        )

    def _head_ended(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self._head_ended()
        if self.transport.is_closing():
            return
        body = orjson.dumps(
            {"type": "about:blank", "title": code.replace("_", " "), "status": status, "detail": detail, "code": code,
             "exit_code": 1}
        )  # fmt: skip
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
