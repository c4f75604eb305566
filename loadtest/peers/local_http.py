"""HTTP with JSON on one kept connection: how a program talks to the gating service.

On its own host over the Unix socket, from elsewhere over the admin port with a bearer token.
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

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


class JsonHttp:
    """One connection. Raises LocalHttpFailed for what the service refuses, OSError where nobody listens."""

    def __init__(self, connection: http.client.HTTPConnection, headers: dict[str, str]) -> None:
        self._connection = connection
        self._headers = {"Content-Type": "application/json", **headers}

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
            self._connection.request(method, target, body, self._headers)
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


class LocalHttp(JsonHttp):
    """Over the gating service's own socket, whose rights are those of its file."""

    def __init__(self, path: Path) -> None:
        super().__init__(_UnixConnection(path), {})


class RemoteHttp(JsonHttp):
    """Over the admin port, `http://HOST:PORT` or `https://...`, with a token."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        super().__init__(
            kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS), {"Authorization": f"Bearer {token}"}
        )
