"""Operations: what every role tells its operator on a private port: `/metrics`, `/health/live`, `/health/ready`.

Used by the gating process's admin port, and for `--metrics-port` by the consumer and by the supervisor of collector
workers. Reads what its role hands it; must not hold up the role's event loop.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gating.serving import Server

GRACE_SECONDS = 5


def operations(
    *metrics: Collector,
    not_ready: Callable[[], list[str]] = list,
    about: Callable[[], Mapping[str, Any]] = dict,
) -> Starlette:
    """The application. metrics: collected at each scrape, in a thread. not_ready: why it is not ready, in words; 503
    then. about: what else `/health/ready` tells."""
    registry = CollectorRegistry(auto_describe=False)
    for one in metrics:
        registry.register(one)

    async def scrape(_: Request) -> Response:
        text = await asyncio.to_thread(generate_latest, registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_: Request) -> Response:
        reasons = not_ready()
        document = {"ready": not reasons, "reasons": reasons, **about()}
        return JSONResponse(document, 503 if reasons else 200)

    return Starlette(
        routes=[Route("/metrics", scrape), Route("/health/live", live), Route("/health/ready", ready)],
        exception_handlers={HTTPException: _problem},
    )


async def _problem(_: Request, error: Exception) -> Response:
    """What is not there, or not by this method, as a problem document (RFC 9457)."""
    if not isinstance(error, HTTPException):
        raise error
    document = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "detail": "there are /metrics, /health/live and /health/ready here, to be read",
        "code": "not_found" if error.status_code == 404 else "not_allowed",
    }
    return JSONResponse(document, error.status_code, headers=error.headers, media_type="application/problem+json")


def server_of(app: ASGIApp) -> Server:
    """A server for it: quiet, and gone within seconds when told to stop."""
    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
