"""Gateway: the command line's way to the ledger - through the gating process where one runs, else by leading itself.

Both ways have the same verbs and give the contract's documents. A command line that leads by itself answers the
workers' reports while it waits: a flip waits for those that live and stay silent, at most a lease, and for nobody where
none lives.
"""

import contextlib
import time
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

from gating.datadir import DataDirectory
from gating.errors import DataDirectoryInUse, Unreachable
from gating.local_http import LocalClient, NobodyListens, RemoteError
from gating.status import Role

Document = dict[str, Any]

WAIT_SECONDS: Final = 10.0
ROLE_WAIT_SECONDS: Final = 20.0
ROLE_RETRY_SECONDS: Final = 0.02


class Gateway:
    """What an operator may do and ask; made by `open`, used in a `with` block."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._client = LocalClient(directory.gating_socket, "gating")

    @classmethod
    def open(cls, directory: DataDirectory) -> Self:
        """The way to this data directory's ledger."""
        return cls(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held between two questions."""

    def create_account(
        self,
        account: str | None,
        *,
        rulebook: str,
        plan: str | None = None,
        owner: str | None = None,
        name: str | None = None,
    ) -> Document:
        """A new account and its first write key; returns once every worker knows it."""
        body = {"id": account, "rulebook": rulebook, "plan": plan, "owner": owner, "name": name}
        return self._change("/api/v1/accounts", body)

    def do(
        self,
        account: str,
        command: str,
        *,
        role: str = Role.OPERATOR,
        on_behalf: str | None = None,
        reason: str | None = None,
        confirm: bool = False,
        values: dict[str, str] | None = None,
        wait: bool = True,
        timeout_seconds: float = WAIT_SECONDS,
        dry_run: bool = False,
    ) -> Document:
        """Carry out a rulebook's command."""
        body = {
            "role": role, "for": on_behalf, "reason": reason, "confirm": confirm, "set": values or {},
            "wait": wait, "timeout": timeout_seconds, "dry_run": dry_run,
        }  # fmt: skip
        return self._change(f"{_path(account)}/commands/{quote(command, safe='')}", body)

    def move(self, account: str, *, to_rulebook: str | None = None, recompute_deadlines: bool = False) -> Document:
        """Move it to the packaged version of its rulebook, or of another one."""
        body = {"to_rulebook": to_rulebook, "recompute_deadlines": recompute_deadlines}
        return self._change(f"{_path(account)}/move", body)

    def create_key(self, account: str, *, source: str | None = None) -> Document:
        """One more write key."""
        return self._change(f"{_path(account)}/keys", {"source": source})

    def rotate_key(
        self, account: str, *, key: str | None = None, source: str | None = None, grace_seconds: float = 0
    ) -> Document:
        """Replace one key, all of a source, or the only one."""
        return self._change(f"{_path(account)}/keys/rotate", {"key": key, "source": source, "grace": grace_seconds})

    def revoke_key(self, account: str, *, key: str) -> Document:
        """Have a key's hits dropped from now on."""
        return self._change(f"{_path(account)}/keys/revoke", {"key": key})

    def name_key(
        self, account: str, *, source: str, key: str | None = None, from_source: str | None = None
    ) -> Document:
        """Name one key, or all of a source, anew."""
        body = {"key": key, "from_source": from_source, "source": source}
        return self._change(f"{_path(account)}/keys/name", body)

    def find_key(self, text: str) -> list[Document]:
        """Whose the keys are that a text is, begins or holds."""
        found: list[Document] = self._request("POST", "/api/v1/keys/find", {"text": text})
        return found

    def account(self, account: str) -> Document:
        """Where it stands now."""
        found: Document = self._ask(_path(account))
        return found

    def accounts(self, *, status: str | None = None, rulebook: str | None = None) -> list[Document]:
        """All accounts, or those of a status or rulebook."""
        asked = {name: value for name, value in (("status", status), ("rulebook", rulebook)) if value is not None}
        found: list[Document] = self._ask("/api/v1/accounts" + (f"?{urlencode(asked)}" if asked else ""))
        return found

    def history(self, account: str) -> list[Document]:
        """All its changes, oldest first."""
        found: list[Document] = self._ask(f"{_path(account)}/history")
        return found

    def refusals(self, account: str, *, before: int | None = None) -> list[Document]:
        """What was refused there, oldest first: the newest 1,000 below a sequence."""
        asked = "" if before is None else f"?{urlencode({'before': before})}"
        found: list[Document] = self._ask(f"{_path(account)}/refusals{asked}")
        return found

    def receipt(self, account: str) -> Document:
        """What was purged of it, or what that still waits for."""
        found: Document = self._ask(f"{_path(account)}/receipt")
        return found

    def keys(self, account: str) -> list[Document]:
        """Its write keys, revoked ones too."""
        found: list[Document] = self._ask(f"{_path(account)}/keys")
        return found

    def billing_events(
        self, *, state: str | None = None, account: str | None = None, before: int | None = None
    ) -> list[Document]:
        """Stored webhook events, newest first; those of a state or account, below a sequence."""
        given = (("state", state), ("account", account), ("before", before))
        asked = {name: value for name, value in given if value is not None}
        found: list[Document] = self._ask("/api/v1/billing/events" + (f"?{urlencode(asked)}" if asked else ""))
        return found

    def billing_event(self, event: str) -> Document:
        """One event with what the provider sent."""
        found: Document = self._ask(f"/api/v1/billing/events/{quote(event, safe='')}")
        return found

    def retry_event(self, event: str) -> Document:
        """Have an event applied again that failed, was parked or ignored."""
        return self._change(f"/api/v1/billing/events/{quote(event, safe='')}/retry", {})

    def link_customer(self, account: str, *, provider: str, customer: str) -> Document:
        """Say whose a provider's customer is."""
        return self._change("/api/v1/billing/links", {"account": account, "provider": provider, "customer": customer})

    def add_person(self, account: str, *, role: str, email: str | None, permissions: list[str]) -> Document:
        """Somebody new in the account."""
        return self._change(f"{_path(account)}/people", {"role": role, "email": email, "permissions": permissions})

    def people(self, account: str) -> list[Document]:
        """Who belongs to it."""
        found: list[Document] = self._ask(f"{_path(account)}/people")
        return found

    def remove_person(self, account: str, person: str) -> Document:
        """Take somebody out of it."""
        gone: Document = self._request("DELETE", f"{_path(account)}/people/{quote(person, safe='')}", None)
        return gone

    def create_token(
        self, *, role: str, account: str | None, person: str | None, permissions: list[str], expires: float | None
    ) -> Document:
        """A new token; its secret is told this once. expires: seconds from now."""
        body = {
            "role": role, "account": account, "person": person, "permissions": permissions, "expires": expires,
        }  # fmt: skip
        return self._change("/api/v1/tokens", body)

    def tokens(self) -> list[Document]:
        """All tokens, ended ones too."""
        found: list[Document] = self._ask("/api/v1/tokens")
        return found

    def revoke_token(self, token: str) -> Document:
        """End a token."""
        gone: Document = self._request("DELETE", f"/api/v1/tokens/{quote(token, safe='')}", None)
        return gone

    def effects(self, which: str) -> list[Document]:
        """What is owed (which: empty), `/dead` or `/due`."""
        found: list[Document] = self._ask(f"/api/v1/effects{which}")
        return found

    def change_effect(self, effect: int, verb: str) -> Document:
        """`retry` a dead letter, or mark what was due as `done`."""
        return self._change(f"/api/v1/effects/{effect}/{verb}", {})

    def clock(self) -> Document:
        """What the clock shows, whether it is believed, what waits."""
        found: Document = self._ask("/api/v1/clock")
        return found

    def confirm_clock(self) -> Document:
        """Say that the clock is right."""
        return self._change("/api/v1/clock/confirm", {})

    def _change(self, path: str, body: Document) -> Document:
        changed: Document = self._request("POST", path, body)
        return changed

    def _ask(self, path: str) -> Any:
        return self._request("GET", path, None)

    def _request(self, method: str, path: str, body: Document | None) -> Any:
        """One request of the API; the JSON answered. Raises PixelgateError for a problem.

        Whoever holds the role is asked, and where nobody does this process takes it: a gating process that is just
        starting or stopping, or another command line that leads for a moment, is waited for.
        """
        deadline = time.monotonic() + ROLE_WAIT_SECONDS
        waiting = float((body or {}).get("timeout") or WAIT_SECONDS)
        while True:
            try:
                if self._directory.is_held("gating"):
                    return self._client.ask(method, path, body, more_seconds=waiting)
                if not self._directory.is_claimed("gating"):
                    return self._lead(method, path, body)
                if time.monotonic() > deadline:
                    raise Unreachable("a gating process waits to start, and does not; see its log")
            except (NobodyListens, DataDirectoryInUse):  # nothing was sent, or nothing begun
                if time.monotonic() > deadline:
                    raise
            time.sleep(ROLE_RETRY_SECONDS)

    def _lead(self, method: str, path: str, body: Document | None) -> Any:
        """Be the leader for the moment of one command, or a service beside the one that leads: the same API, called
        without a socket."""
        # These load FastAPI and SQLAlchemy: only where this process leads.
        import asyncio

        from gating.asgi_call import call
        from gating.config import LeadSettings
        from gating.process import led

        settings = LeadSettings()

        async def answered() -> tuple[int, Any]:
            with contextlib.ExitStack() as holding:
                if not settings.database_url:  # that ledger is no file of this directory's: others lead it
                    holding.enter_context(self._directory.hold("gating"))
                async with led(self._directory, settings) as leading:
                    return await call(leading.api, method, path, body)

        status, document = asyncio.run(answered())
        if status >= 400:
            raise RemoteError(document)
        return document


def _path(account: str) -> str:
    return f"/api/v1/accounts/{quote(account, safe='')}"
