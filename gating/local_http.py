"""HTTP to a process of this host over its Unix socket, for the command line: one request, one answer.

Uses the standard library alone, so that `pixelgate account do` starts fast.
"""

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gating.errors import PixelgateError, Unreachable


class NobodyListens(Unreachable):
    """No process has the socket open: nothing was sent, so asking again is safe."""


class RemoteError(PixelgateError):
    """A problem document, with the exit code that the answering process gave it."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or "failed"))
        code, exit_code, status = document.get("code"), document.get("exit_code"), document.get("status")
        # Instance attributes over the class's: what the class would be is known in the other process alone.
        self.__dict__.update(code=str(code), exit_code=int(exit_code or 1), http_status=int(status or 500))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        """Connect by the socket's name within its directory: a Unix address has 107 bytes (unix(7))."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)


class LocalClient:
    """Requests to one socket. `process`: what answers there, for messages."""

    def __init__(self, path: Path, process: str, timeout_seconds: float = 30.0) -> None:
        self._path = path
        self._process = process
        self._timeout_seconds = timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is kept open between two requests."""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, more_seconds: float = 0) -> Any:
        """One request; returns the JSON answered. more_seconds: what the answer may take beyond the usual time.

        Raises RemoteError for a problem document, Unreachable where nobody answers (in time).
        """
        with self.stream(method, path, body, more_seconds=more_seconds) as answer:
            return answer.json()

    @contextmanager
    def stream(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, more_seconds: float = 0
    ) -> Iterator["Answer"]:
        """One request, its answer to be read piece by piece within the block. Raises as `ask` does, before it."""
        seconds = self._timeout_seconds + more_seconds
        connection = _UnixConnection(self._path, seconds)
        try:
            payload = None if body is None else json.dumps(body)
            with self._worded(seconds):
                connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
                response = connection.getresponse()
                if response.status >= http.HTTPStatus.BAD_REQUEST:
                    raise self._problem(response)
            yield Answer(response, lambda: self._worded(seconds))
        finally:
            connection.close()

    def _problem(self, response: http.client.HTTPResponse) -> PixelgateError:
        """The error that a problem document words."""
        try:
            return RemoteError(json.loads(response.read()))
        except (ValueError, AttributeError):
            return Unreachable(
                f"the {self._process} process answered with an error of its own ({response.status}); see its log"
            )

    @contextmanager
    def _worded(self, seconds: float) -> Iterator[None]:
        """What a socket raises, in our words."""
        try:
            yield
        except TimeoutError as error:
            raise Unreachable(
                f"the {self._process} process does not answer at {self._path} within {seconds:g} s; "
                "it may be stopped or frozen"
            ) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyListens(f"the {self._process} process does not listen at {self._path} (yet)") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(
                f"the {self._process} process at {self._path} cannot be asked: {error}; see its log"
            ) from error


class Answer:
    """What came back, with a status below 400. Every method raises Unreachable where it breaks off."""

    def __init__(self, response: http.client.HTTPResponse, worded: Callable[[], AbstractContextManager[None]]) -> None:
        self._response = response
        self._worded = worded

    @property
    def headers(self) -> Message:
        return self._response.headers

    def read(self, bytes_max: int) -> bytes:
        """The next bytes; none at the end, and where the process died before what it had announced."""
        with self._worded():
            return self._response.read(bytes_max)

    def line(self) -> bytes:
        """The next line, with its end; empty at the end."""
        with self._worded():
            return self._response.readline()

    def json(self) -> Any:
        """All of it, as the JSON document it is."""
        with self._worded():
            return json.loads(self._response.read())
