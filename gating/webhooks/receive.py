"""Receiving: `POST /webhooks/{provider}`, in front of the admin port's application.

A list of refusals, cheapest first: provider, content type, size, signature, envelope; then the event is stored, and
only then answered with 200. What it means is not asked here: a provider counts any other answer as a failed delivery
and tries again for days (Stripe three, Paddle Billing 60 times within three; each waits seconds for the answer).
"""

import logging
import time
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gating.errors import InputInvalid, PixelgateError
from gating.http_body import BodyBrokenOff, BodyTooLong, BodyTooSlow, read_whole
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
PREFIX: Final = "/webhooks/"
PROBLEM: Final = "application/problem+json"
RECEIVED: Final = JSONResponse({"received": True})

_log = logging.getLogger("pixelgate.webhooks")

Secrets = Mapping[str, tuple[str, ...]]
"""Provider -> the secrets in force; a provider that is not in it takes no webhooks."""


class Receiver:
    """An ASGI application that takes what is posted to PREFIX itself and leaves the rest to another one.

    Plain ASGI: routing and middlewares of a framework cost more than all that is done here. secrets: only providers
    that have one are there.
    """

    def __init__(self, secrets: Secrets, inbox: Inbox, counts: Counts, beside: ASGIApp) -> None:
        self._secrets = secrets
        self._inbox = inbox
        self._counts = counts
        self._beside = beside
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._beside(scope, receive, send)
            return
        await (await self._answer(scope, receive))(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        name = scope["path"].removeprefix(PREFIX)
        secrets = self._secrets.get(name)
        if not secrets:
            return _problem(404, "NotFound", "no such provider takes webhooks here: is its secret set?")
        if scope["method"] != "POST":
            return _problem(405, "NotAllowed", f"POST {PREFIX}{{provider}}", {"Allow": "POST"})
        headers = Headers(raw=scope["headers"])
        try:
            if self._reading >= READING_MAX:
                raise _Refused(503, Outcome.OVERFLOW, "too many webhooks at a time")
            self._reading += 1
            try:
                body = await _body(headers, receive)
            finally:
                self._reading -= 1
            of = provider(name)
            await self._store(of, secrets, headers.get(of.scheme.header), body)
        except _Refused as refused:
            self._counts.requests[name, refused.outcome] += 1
            return _problem(refused.status, refused.outcome, str(refused))
        self._counts.requests[name, Outcome.RECEIVED] += 1
        return RECEIVED

    async def _store(self, of: Provider, secrets: tuple[str, ...], signature: str | None, body: bytes) -> None:
        now = time.time()  # the provider's clock is the world's; gating's own does not follow a host's that was set
        try:
            verify(of.scheme, signature, body, secrets, now)
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


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The body, read no further than it may be long. Raises _Refused."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _Refused(415, Outcome.MALFORMED, "a webhook's content type is application/json")
    told = headers.get("content-length", "0")
    if not told.isdecimal() or int(told) > BODY_BYTES_MAX:
        raise _too_large()
    try:
        return await read_whole(receive, BODY_BYTES_MAX, BODY_SECONDS_MAX)
    except BodyTooLong as error:
        raise _too_large() from error
    except BodyTooSlow as error:
        raise _Refused(408, Outcome.TOO_SLOW, f"the body took longer than {BODY_SECONDS_MAX:g} s") from error
    except BodyBrokenOff as error:
        raise _Refused(400, Outcome.MALFORMED, "the body ended early") from error


def _too_large() -> _Refused:
    return _Refused(413, Outcome.TOO_LARGE, f"a webhook's body has at most {BODY_BYTES_MAX} bytes")


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    more = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    if status in (408, 413):
        more["Connection"] = "close"  # the rest of the body is not read
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(document, status, media_type=PROBLEM, headers={**(headers or {}), **more})
