"""Requests as bytes over a socket: for what no HTTP client would send, or not at that pace."""

import re
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from gevent import socket

CONNECT_SECONDS: Final = 10.0
LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: its status, its body, and whether all of it came."""

    status: int
    body: bytes


class NoAnswer(Exception):
    """The connection failed, or ended, before a whole answer had come."""


class Connection:
    """One connection of its own. Raises NoAnswer for whatever the network does."""

    def __init__(self, host: str, answer_seconds: float) -> None:
        """Connect to a collector's URL."""
        url = urlsplit(host)
        secure = url.scheme == "https"
        try:
            self._socket: Any = socket.create_connection(
                (url.hostname or "", url.port or (443 if secure else 80)), CONNECT_SECONDS
            )
            if secure:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as locust's own clients do
                self._socket = context.wrap_socket(self._socket, server_hostname=url.hostname)
        except OSError as error:
            raise NoAnswer(f"cannot connect: {error}") from error
        self._socket.settimeout(answer_seconds)
        self._read = b""

    def send(self, chunk: bytes) -> None:
        """Send bytes. What was refused meanwhile is seen by `answer`, so a broken pipe is no error here."""
        try:
            self._socket.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            return
        except OSError as error:
            raise NoAnswer(f"cannot send: {error}") from error

    def take(self, most: int = 65_536) -> bool:
        """Read some of the answer, `most` bytes at most; False at its end."""
        try:
            chunk = self._socket.recv(most)
        except OSError as error:
            raise NoAnswer(f"no whole answer: {error}") from error
        self._read += chunk
        return bool(chunk)

    def whole(self, *, bodyless: bool = False) -> Answer | None:
        """Return the answer once all of it has been read. bodyless: of a HEAD, which names a length and sends none."""
        head, found, body = self._read.partition(b"\r\n\r\n")
        status = STATUS.match(head)
        if not found or status is None:
            return None
        length = LENGTH.search(head)
        wanted = 0 if bodyless or length is None else int(length[1])
        return Answer(int(status[1]), body) if len(body) >= wanted else None

    def answer(self, *, bodyless: bool = False) -> Answer:
        """Read until the answer is whole."""
        while (answer := self.whole(bodyless=bodyless)) is None:
            if not self.take():
                raise NoAnswer(f"the connection ended after {len(self._read)} bytes of answer")
        return answer

    def close(self) -> None:
        """Close it, whatever is on its way."""
        self._socket.close()
