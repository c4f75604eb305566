"""HTTP to a process of this host over its Unix socket, for the command line: one request, one JSON document.

Uses the standard library alone, so that `pixelgate account do` starts fast.
"""

import http.client
import json
import os
import socket
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
        connection = _UnixConnection(self._path, self._timeout_seconds + more_seconds)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
            response = connection.getresponse()
            document = json.loads(response.read())
        except TimeoutError as error:
            raise Unreachable(
                f"the {self._process} process does not answer at {self._path} "
                f"within {self._timeout_seconds + more_seconds:g} s; it may be stopped or frozen"
            ) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyListens(f"the {self._process} process does not listen at {self._path} (yet)") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"the {self._process} process at {self._path} cannot be asked: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise RemoteError(document)
        return document
