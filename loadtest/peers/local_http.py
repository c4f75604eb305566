"""HTTP with JSON over a Unix socket, on one kept connection: how a program talks to the gating service on its host."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, Final, Self

TIMEOUT_SECONDS: Final = 30.0


class LocalHttpFailed(Exception):
    """The service answered with an error, or not with HTTP and JSON; the message holds status and answer."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


class LocalHttp:
    """One connection. Raises LocalHttpFailed for what the service refuses, OSError where nobody listens."""

    def __init__(self, path: Path) -> None:
        self._connection = _UnixConnection(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, target: str) -> Any:
        """Ask; returns the JSON."""
        return self._exchange("GET", target, None)

    def post(self, target: str, document: dict[str, Any]) -> Any:
        """Tell; returns the JSON."""
        return self._exchange("POST", target, json.dumps(document).encode())

    def _exchange(self, method: str, target: str, body: bytes | None) -> Any:
        try:
            self._connection.request(method, target, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            self._connection.close()
            raise LocalHttpFailed(f"{method} {target}: {error!r}") from error
        if response.status >= 300:
            raise LocalHttpFailed(f"{method} {target}: {response.status} {content[:300]!r}")
        try:
            return json.loads(content)
        except ValueError as error:
            raise LocalHttpFailed(f"{method} {target}: not JSON: {content[:100]!r}") from error
