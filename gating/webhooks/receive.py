"""Receiving: `POST /webhooks/{provider}`, mounted on the admin port.

A list of refusals, cheapest first: provider, content type, size, signature, envelope; then the event is stored, and
only then answered with 200. What it means is not asked here: a provider counts any other answer as a failed delivery
and tries again for days (Stripe three, Paddle Billing 60 times within three; each waits seconds for the answer).
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gating.errors import InputInvalid, PixelgateError
from gating.ledger.events import Received, State
from gating.webhooks import event as reading
from gating.webhooks.carry import nothing_meant
from gating.webhooks.counts import Counts, Outcome
from gating.webhooks.inbox import Inbox, InboxFull
from gating.webhooks.mapping import Provider, provider
from gating.webhooks.signature import SignatureRefused, verify

BODY_BYTES_MAX: Final = 256 * 1024
"""Stripe and Paddle name no limit; an invoice of 100 lines has about 100 KiB."""
BODY_SECONDS_MAX: Final = 10.0
READING_MAX: Final = 256
"""Bodies being read at a time: 64 MiB at the most."""
RETRY_AFTER_SECONDS: Final = 5
PROBLEM: Final = "application/problem+json"

_log = logging.getLogger("pixelgate.webhooks")

Secrets = Mapping[str, tuple[str, ...]]
"""Provider -> the secrets in force; a provider that is not in it takes no webhooks."""


class Receiver:
    """The application's one route. secrets: only providers that have one are there."""

    def __init__(self, secrets: Secrets, inbox: Inbox, counts: Counts) -> None:
        self._secrets = secrets
        self._inbox = inbox
        self._counts = counts
        self._reading = 0
        self.app = Starlette(
            routes=[Route("/{provider}", self.receive, methods=["POST"])],
            exception_handlers={HTTPException: _problem_of},
        )

    async def receive(self, request: Request) -> Response:
        """One webhook."""
        name = str(request.path_params["provider"])
        secrets = self._secrets.get(name)
        if not secrets:
            return _problem(404, "NotFound", "no such provider takes webhooks here: is its secret set?")
        try:
            if self._reading >= READING_MAX:
                raise _Refused(503, Outcome.OVERFLOW, "too many webhooks at a time")
            self._reading += 1
            try:
                body = await _body(request)
            finally:
                self._reading -= 1
            await self._store(provider(name), secrets, request, body)
        except _Refused as refused:
            self._counts.requests[name, refused.outcome] += 1
            return _problem(refused.status, refused.outcome, str(refused))
        self._counts.requests[name, Outcome.RECEIVED] += 1
        return JSONResponse({"received": True})

    async def _store(self, of: Provider, secrets: tuple[str, ...], request: Request, body: bytes) -> None:
        now = time.time()  # the provider's clock is the world's; gating's own does not follow a host's that was set
        try:
            verify(of.scheme, request.headers.get(of.scheme.header), body, secrets, now)
        except SignatureRefused as error:
            raise _Refused(401, Outcome.BAD_SIGNATURE, str(error)) from error
        try:
            event = reading.read(of, body)
        except InputInvalid as error:
            raise _Refused(400, Outcome.MALFORMED, str(error)) from error
        state, why = (State.IGNORED, nothing_meant(event)) if event.rule is None else (State.PENDING, None)
        received = Received(
            of.name, event.id, event.type, event.created_us, int(now * 1e6), event.account, event.customer, body, state,
            why,
        )  # fmt: skip
        try:
            await self._inbox.put(received)
        except InboxFull as error:
            raise _Refused(503, Outcome.OVERFLOW, str(error)) from error
        except PixelgateError as error:
            _log.warning("a webhook could not be stored: %s", error)
            raise _Refused(503, Outcome.UNSTORED, "the event could not be stored") from error
        if event.rule is None:
            self._counts.events[of.name, State.IGNORED] += 1


class _Refused(Exception):
    def __init__(self, status: int, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.status, self.outcome = status, outcome


async def _body(request: Request) -> bytes:
    """The body, read no further than it may be long. Raises _Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refused(415, Outcome.MALFORMED, "a webhook's content type is application/json")
    told = request.headers.get("content-length", "0")
    if not told.isdecimal() or int(told) > BODY_BYTES_MAX:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    raise _too_large()
                chunks.append(chunk)
    except TimeoutError as error:
        raise _Refused(408, Outcome.TOO_SLOW, f"the body took longer than {BODY_SECONDS_MAX:g} s") from error
    except ClientDisconnect as error:
        raise _Refused(400, Outcome.MALFORMED, "the body ended early") from error
    return b"".join(chunks)


def _too_large() -> _Refused:
    return _Refused(413, Outcome.TOO_LARGE, f"a webhook's body has at most {BODY_BYTES_MAX} bytes")


async def _problem_of(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return _problem(status, "NotFound" if status == 404 else "NotAllowed", "POST /webhooks/{provider}", headers)


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    more = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    if status in (408, 413):
        more["Connection"] = "close"  # the rest of the body is not read
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(document, status, media_type=PROBLEM, headers={**(headers or {}), **more})
