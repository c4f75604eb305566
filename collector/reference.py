"""Reference: uvicorn's own HTTP protocol behind ours, for all that is not one plain pixel request.

Made by protocol.py, lazily, on the same connection, and fed by it. What it parses and how it answers is uvicorn's; this
subclass adds what stock leaves out: bounds on heads, on pipelines and on bytes after a `close`, and answers in order
where stock lets the 400 for a malformed request overtake the answers of those before it. It writes no log line a
request, for a stranger could fill the disk with them, and has no timers: protocol.py's wheel stands for them.

Must not touch the transport's reading or closing but through its owner, who has a say in both.
"""

import asyncio
from typing import Any, Final, Protocol

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from collector.hit import HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX

INVALID: Final = (400, "Invalid HTTP request received.")  # stock's words
TARGET_TOO_LONG: Final = (414, f"The request target is longer than {TARGET_BYTES_MAX} bytes.")
HEAD_TOO_LONG: Final = (431, f"The request head is longer than {HEAD_BYTES_MAX} bytes.")
TOO_SLOW: Final = (408, "The request did not arrive in time.")
TOO_MANY_HEADERS: Final = (431, f"The request has more than {HEADERS_MAX} headers.")
_HEADER_OVERHEAD_BYTES: Final = len(b": \r\n")
_LINE_OVERHEAD_BYTES: Final = len(b"GET  HTTP/1.1\r\n\r\n")


class Owner(Protocol):
    """The connection that the reference serves on."""

    transport: asyncio.Transport

    @property
    def is_ending(self) -> bool:
        """No answer is written any more."""

    def regulate_reading(self) -> None:
        """Whether more input is wanted may have changed."""

    def refuse(self, status: int, reason: str) -> None:
        """Answer 4xx, count it as malformed, close. Everything before it has been answered."""

    def close_after_answer(self) -> None:
        """Close once what was written is out, taking care that the client can read it."""

    def reference_changed(self) -> None:
        """A head has begun or ended, or an answer is complete."""


class _OwnedTransport:
    """The transport as uvicorn sees it: what reads or closes goes through the owner."""

    __slots__ = ("_owner", "get_extra_info", "write")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.write = owner.transport.write
        self.get_extra_info = owner.transport.get_extra_info

    def is_closing(self) -> bool:
        return self._owner.is_ending

    def close(self) -> None:
        self._owner.close_after_answer()

    def pause_reading(self) -> None:
        self._owner.regulate_reading()

    def resume_reading(self) -> None:
        self._owner.regulate_reading()


class _Refused(Exception):
    """Ends llhttp's parsing from inside a callback."""


class Reference(HttpToolsProtocol):
    """Stock's protocol for one connection, in order and within bounds.

    in_head, in_message: where the parser stands. is_ended: nothing that comes is read as a request any more.
    """

    def __init__(self, owner: Owner, config: Config, state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, state, app_state)
        self.connections = set()  # the owner stands in the server's set for both of us
        self.access_log = False
        self.ws_protocol_class = None  # whatever is installed, nothing is upgraded
        self.in_head = self.in_message = self.is_ended = False
        self._owner = owner
        self._messages_count = 0
        self._unanswered = 0
        self._head_bytes = self._headers_count = self._unparsed_bytes = 0
        self._fault: tuple[int, str] | None = None
        self.connection_made(_OwnedTransport(owner))  # type: ignore[arg-type]

    @property
    def is_idle(self) -> bool:
        """Every request read is answered, and no other has begun: the next may take the fast path."""
        return not (self._unanswered or self.in_message or self.is_ended)

    @property
    def is_open(self) -> bool:
        """Something that was read is not answered yet."""
        return self._unanswered > 0 or self._fault is not None

    @property
    def wants_body(self) -> bool:
        """The request being answered has not arrived whole."""
        return self.in_message and not self.in_head

    @property
    def mark(self) -> int:
        """Another number whenever another message, or the body of this one, has begun or ended."""
        return 4 * self._messages_count + 2 * self.in_message + self.in_head

    @property
    def wants_input(self) -> bool:
        """Whether to read on; stock would, one chunk for each answer, however many requests wait in line."""
        return not (self.flow.read_paused or self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Parse, and answer or start to answer what is complete."""
        while data and not self.is_ended:
            data = self._parse(data)
        self._owner.reference_changed()

    def _parse(self, data: bytes) -> bytes:
        """Feed llhttp one piece; returns the rest, with what it left of the piece: a request to upgrade stops it."""
        piece, rest = data[:HEAD_BYTES_MAX], data[HEAD_BYTES_MAX:]
        self._unparsed_bytes += len(piece)  # set to 0 by each callback: what is left then is one unfinished line
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            unread: bytes = piece[upgrade.args[0] :] + rest  # stock would lose it; we never upgrade
            return unread
        except httptools.HttpParserError as error:
            if not self.is_ended:
                limit = error.__context__
                self._refuse(*(limit.args if isinstance(limit, _Refused) else INVALID))
            return b""
        if self.in_head and self._unparsed_bytes > HEAD_BYTES_MAX:
            self._refuse(*HEAD_TOO_LONG)
            return b""
        return rest

    # ---- llhttp's callbacks -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        # RFC 9112 section 9.6: nothing after the last request is processed. After a `close` llhttp sees to that itself,
        # but stock also closes after an HTTP/1.0 that asked for keep-alive, and there it would read on.
        if self.is_ended:
            raise _Refused
        self._messages_count += 1
        self.in_message = self.in_head = True
        self._head_bytes, self._headers_count, self._unparsed_bytes = _LINE_OVERHEAD_BYTES, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_url(url)
        self._head_bytes += len(url)
        if len(self.url) > TARGET_BYTES_MAX:
            raise _Refused(*TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unparsed_bytes = 0
        self._headers_count += 1
        self._head_bytes += len(name) + len(value) + _HEADER_OVERHEAD_BYTES
        if self._headers_count > HEADERS_MAX:
            raise _Refused(*TOO_MANY_HEADERS)
        if self._head_bytes > HEAD_BYTES_MAX:
            raise _Refused(*HEAD_TOO_LONG)
        if self.in_head:  # a trailer is no header (RFC 9110 section 6.5.1); stock would add it to them
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unparsed_bytes = 0
        super().on_headers_complete()  # raises for a target that does not parse: then the head was never complete
        self.in_head = False
        self._unanswered += 1

    def on_message_complete(self) -> None:
        self.in_message = False
        self._unparsed_bytes = 0
        super().on_message_complete()
        self.is_ended = self.is_ended or not self.cycle.keep_alive

    # ---- answers ----------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._refuse_in_turn()
        self._owner.reference_changed()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer this once all that came before it is answered. The message that breaks off here gets no other."""
        if self.wants_body and not self.cycle.response_complete:
            self._drop_newest()
        self.is_ended = True
        self.in_message = self.in_head = False
        self._fault = (status, reason)
        self._refuse_in_turn()

    def _drop_newest(self) -> None:
        """Let go of the request whose body is malformed: unstarted if it waits in line, else as a client gone away."""
        self._unanswered -= 1
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _refuse_in_turn(self) -> None:
        if self._fault is not None and not self._unanswered:
            fault, self._fault = self._fault, None
            self._owner.refuse(*fault)

    # ---- the connection's end ---------------------------------------------------------------------------------------

    def time_out(self) -> None:
        """The message that has begun did not arrive in time."""
        self._refuse(*TOO_SLOW)

    def end_of_input(self) -> None:
        """The client sends no more: what has not arrived whole never will. The owner closes after the last answer."""
        if self.wants_body and not self.cycle.response_complete:
            self._drop_newest()
        self.is_ended = True
        self.in_message = self.in_head = False

    def shutdown(self) -> None:
        """Read no more requests; what was read is answered, and the last answer closes."""
        if not self.wants_body:
            self.is_ended, self.in_message, self.in_head = True, False, False
        if self._unanswered and self._fault is None:
            self.cycle.keep_alive = False
