"""Problems: everything the admin API answers that is not what was asked for, as RFC 9457 documents with a `code`.

No value that was sent is repeated in one, but ids: a body may hold what belongs in no log.
"""

import logging
from collections.abc import Iterable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Match

from gating.errors import InputInvalid, PixelgateError
from gating.rest.errors import RestError

PROBLEM: Final = "application/problem+json"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

_log = logging.getLogger("pixelgate.gating")


def add_problems(api: FastAPI) -> None:
    """Have the application word every error so."""
    api.add_exception_handler(PixelgateError, _ours)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _bug)


def problem_of(error: PixelgateError) -> JSONResponse:
    """One of our errors as a response."""
    headers = error.headers() if isinstance(error, RestError) else None
    return _problem(error.http_status, error.code, str(error), error.exit_code, headers)


def allowed(routes: Iterable[BaseRoute], scope: dict[str, Any]) -> list[str]:
    """The methods that some route takes at this request's path."""
    return [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _ours(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, PixelgateError):
        raise error
    return problem_of(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _problem(400, "malformed", "the body is no JSON")
    field = ".".join(str(part) for part in first["loc"][1:])[:200]
    return _problem(422, InputInvalid.code, f"{field or 'body'}: {first['msg']}")


async def _http(request: Request, error: Exception) -> JSONResponse:
    """What routing and parsing raise: no such place, no such method, a body that does not parse."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return _problem(404, "not_found", "there is nothing here; /api/openapi.json lists what there is")
    if error.status_code == 405:
        methods = ", ".join(allowed(request.app.routes, dict(request.scope)))
        return _problem(
            405, "not_allowed", f"not by {request.method} here, but by {methods}", headers={"Allow": methods}
        )
    return _problem(error.status_code, "malformed", "the request does not read")


async def _bug(_: Request, __: Exception) -> JSONResponse:
    """Starlette raises it again behind this answer, so that the server logs it."""
    return _problem(500, "internal", "this is a bug; the gating service's log has more")


def _problem(
    status: int, code: str, detail: str, exit_code: int = 1, headers: dict[str, str] | None = None
) -> JSONResponse:
    document = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
        "code": code,
        "exit_code": exit_code,
    }
    return JSONResponse(document, status, headers=headers, media_type=PROBLEM)
