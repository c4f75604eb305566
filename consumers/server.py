"""Server: the consumer's verbs over HTTP on the data directory's Unix socket, for the command line and the console.

Thin: it reads the question, asks `service.py`, words the answer; errors are RFC 9457 problems with the class's code and
exit code. The socket belongs to the user the consumer runs as, so who may connect may see everything: whoever puts
this before other people must check who they are first.
"""

import asyncio
import base64
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from consumers.errors import QuestionInvalid
from consumers.export import CHUNK_BYTES, EVENTS_HEADER, MEDIA_TYPES, Format
from consumers.moments import period_of
from consumers.service import SPOOL_PREFIX, Service
from consumers.tail import POLL_SECONDS, Filter, Following
from consumers.warehouse.protocol import Audience
from gating.errors import PixelgateError
from gating.status import Verdict

TAILS_MAX: Final = 16
RECHECK_SECONDS: Final = 1.0
"""How long an export that runs outlives the access it was begun with."""

E = TypeVar("E", bound=StrEnum)


def application(service: Service) -> Starlette:
    """The ASGI application over one service."""
    routes = Routes(service)
    return Starlette(
        routes=[
            Route("/v1/status", routes.status),
            Route("/v1/sums", routes.sums),
            Route("/v1/accounts/{account}/report", routes.report),
            Route("/v1/accounts/{account}/export", routes.export),
            Route("/v1/tail", routes.tail),
        ],
        exception_handlers={PixelgateError: problem},
    )


async def problem(_: Request, error: Exception) -> Response:
    """Word one of our errors as a problem document; `exit_code` is the command line's."""
    if not isinstance(error, PixelgateError):
        raise error
    document = {
        "type": "about:blank",
        "title": error.code.replace("_", " "),
        "status": error.http_status,
        "detail": str(error),
        "code": error.code,
        "exit_code": error.exit_code,
    }
    return Response(orjson.dumps(document), error.http_status, media_type="application/problem+json")


class Routes:
    """One method a route."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tails = 0

    async def status(self, _: Request) -> Response:
        """GET /v1/status."""
        return _json(self._service.status())

    async def sums(self, request: Request) -> Response:
        """GET /v1/sums?settled=S: what the warehouse holds, for `verify`."""
        await self._settle(request)
        return _json(await self._service.sums())

    async def report(self, request: Request) -> Response:
        """GET /v1/accounts/{account}/report?as=&from=&to=&settled=."""
        asked = request.query_params
        audience = _choice(asked, "as", Audience, Audience.OPERATOR)
        period = period_of(asked.get("from"), asked.get("to"))
        await self._settle(request)
        return _json(await self._service.report(request.path_params["account"], audience, period))

    async def export(self, request: Request) -> Response:
        """GET /v1/accounts/{account}/export?format=&as=&from=&to=&settled=.

        The whole export is written to an unlinked file first: its digest and count go ahead of it, and however slowly
        it is read, no transaction waits on the reader.
        """
        asked, account = request.query_params, request.path_params["account"]
        audience = _choice(asked, "as", Audience, Audience.OPERATOR)
        format_ = _choice(asked, "format", Format, Format.NDJSON)
        period = period_of(asked.get("from"), asked.get("to"))
        await self._settle(request)
        with tempfile.TemporaryDirectory(prefix=SPOOL_PREFIX, dir=self._service.data.root) as directory:
            spool = Path(directory) / "export"
            exported = await self._service.export(account, audience, period, format_, spool)
            file = os.open(spool, os.O_RDONLY | os.O_CLOEXEC)
        headers = {
            "Content-Length": str(os.fstat(file).st_size),
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(exported.sha256)).decode()}:",  # RFC 9530
            EVENTS_HEADER: str(exported.events),
        }

        async def recheck() -> None:
            await self._service.check_access(account, audience)

        return StreamingResponse(_chunks(file, recheck), headers=headers, media_type=MEDIA_TYPES[format_])

    async def tail(self, request: Request) -> Response:
        """GET /v1/tail?account=&verdict=&as=: a line of JSON an event, until either side has enough."""
        asked = request.query_params
        audience = _choice(asked, "as", Audience, Audience.OPERATOR)
        account = asked.get("account")
        if audience is Audience.ACCOUNT and account is None:
            raise QuestionInvalid("account", "", "an account's id, for a tail as account")
        if self._tails >= TAILS_MAX:
            raise QuestionInvalid("tail", f"number {TAILS_MAX + 1}", f"{TAILS_MAX} tails at once at the most")
        tail = await self._service.tail(Filter(account, _verdict(asked), audience))
        self._tails += 1
        return StreamingResponse(self._lines(tail), media_type="application/x-ndjson")

    async def _lines(self, tail: Following) -> AsyncIterator[bytes]:
        try:
            while True:
                for event in await asyncio.to_thread(tail.poll):
                    yield orjson.dumps(event) + b"\n"
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self._tails -= 1
            tail.close()

    async def _settle(self, request: Request) -> None:
        if (text := request.query_params.get("settled")) is not None:
            try:
                seconds = float(text)
            except ValueError:
                raise QuestionInvalid("settled", text, "a number of seconds") from None
            await self._service.settled(seconds)


async def _chunks(file: int, recheck: Callable[[], Awaitable[None]]) -> AsyncIterator[bytes]:
    """The file's bytes; breaks off, so that the reader sees less than was announced, once `recheck` raises."""
    try:
        checked_at = time.monotonic()
        while chunk := await asyncio.to_thread(os.read, file, CHUNK_BYTES):
            yield chunk
            if time.monotonic() - checked_at >= RECHECK_SECONDS:
                await recheck()
                checked_at = time.monotonic()
    finally:
        os.close(file)


def _json(document: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")


def _choice(asked: Mapping[str, str], name: str, words: type[E], default: E) -> E:
    text = asked.get(name, default.value)
    try:
        return words(text)
    except ValueError:
        raise QuestionInvalid(name, text, [word.value for word in words]) from None


def _verdict(asked: Mapping[str, str]) -> Verdict | None:
    text = asked.get("verdict")
    if text is None:
        return None
    kept = [Verdict.ACCEPT.name, Verdict.HIDE.name]  # a DROP is never kept, so a tail could never show one
    if text.upper() not in kept:
        raise QuestionInvalid("verdict", text, kept)
    return Verdict[text.upper()]
