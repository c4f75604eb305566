"""Accounts and their flips, asked of the gating service: by its socket on this host, or by admin port and token."""

import http.client
from pathlib import Path
from typing import Any, Final

from loadtest.peers.local_http import JsonHttp, LocalHttp, LocalHttpFailed, RemoteHttp

RULEBOOK: Final = "default"


class AdminFailed(Exception):
    """The gating service refused, or could not be asked; the message says what."""


class Admin:
    """One kept connection. Raises AdminFailed."""

    def __init__(self, admin: str | None, token: str | None, data: str | Path | None) -> None:
        """Choose the way: the admin port where a token is given, else the data directory's socket."""
        self._role: dict[str, Any] = {}
        if admin and token:
            self._http: JsonHttp = RemoteHttp(admin, token)
        elif data:
            self._http, self._role = LocalHttp(Path(data) / "gating.sock"), {"role": "operator"}
        else:
            raise AdminFailed("needs --admin with --token, or --data of a Pixelgate on this host")

    def create(self, account: str, *, wait: bool) -> tuple[str, int]:
        """Open an account; returns its write key and version. Without wait workers may not know it yet."""
        made = self._ask("POST", "/api/v1/accounts", {"id": account, "rulebook": RULEBOOK, "wait": wait})
        return str(made["write_key"]), int(made["version"])

    def command(self, account: str, command: str) -> dict[str, Any]:
        """Flip it, and wait until every worker enforces that."""
        return self._ask("POST", f"/api/v1/accounts/{account}/commands/{command}", {**self._role, "wait": True})

    def status(self, account: str) -> str:
        """Look at it."""
        return str(self._ask("GET", f"/api/v1/accounts/{account}", {})["status"])

    def close(self) -> None:
        """Let the connection go."""
        self._http.__exit__()

    def _ask(self, method: str, target: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(self._http.get(target) if method == "GET" else self._http.post(target, body))
        except (LocalHttpFailed, OSError, http.client.HTTPException) as error:
            raise AdminFailed(str(error)) from error
