"""App: the admin API put together for the gating process, which serves it on the admin port beside metrics and
webhooks."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import FastAPI
from sqlalchemy import Connection
from starlette.types import ASGIApp, Receive, Scope, Send

from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.ledger import Ledger, idempotency
from gating.rest.accounts import accounts_routes
from gating.rest.authenticate import Authenticator
from gating.rest.billing import billing_routes
from gating.rest.deadlines import deadlines_routes
from gating.rest.door import Door
from gating.rest.effects import effects_routes
from gating.rest.history import history_routes
from gating.rest.house import House
from gating.rest.keys import keys_routes
from gating.rest.metrics import AuthMetrics
from gating.rest.openapi import describe
from gating.rest.people import people_routes
from gating.rest.problems import add_problems
from gating.rest.reports import usage_routes
from gating.rest.tokens import tokens_routes
from gating.rest.usage import UsageReader
from gating.service import Service

SWEEP_SECONDS: Final = 600.0
"""How often answers are forgotten whose day has passed."""
ROUTES: Final = (
    accounts_routes,
    keys_routes,
    people_routes,
    tokens_routes,
    history_routes,
    deadlines_routes,
    effects_routes,
    billing_routes,
    usage_routes,
)


class Rest:
    """`beside` is the admin port's application; `works` go on beside serving. leads: whether this service sweeps
    now."""

    def __init__(
        self,
        directory: DataDirectory,
        ledger: Ledger,
        service: Service,
        *,
        leads: Callable[[], bool],
        auth_tries: int,
    ) -> None:
        self._ledger = ledger
        self._service = service
        self._leads = leads
        self._usage = UsageReader(directory)
        self._authenticator = Authenticator(ledger, service.clock, service.in_turn, auth_tries)
        self.metrics = AuthMetrics(self._authenticator)
        self._app: ASGIApp = Door(make_app(House(ledger, service, self._usage)), self._authenticator)

    def beside(self, other: ASGIApp) -> ASGIApp:
        """An application that is this one below /api/, and the other elsewhere."""

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            below = scope["type"] == "http" and scope["path"].startswith("/api/")
            await (self._app if below else other)(scope, receive, send)

        return both

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """Noting which tokens were used, and forgetting old answers."""
        return [self._authenticator.run(), self._forget()]

    def close(self) -> None:
        """Let the questions that run end."""
        self._authenticator.close()
        self._usage.close()

    async def _forget(self) -> None:
        while True:
            forgot = 0
            with contextlib.suppress(PixelgateError):  # the next time is soon enough
                forgot = await self._service.in_turn(self.sweep) if self._leads() else 0
            await asyncio.sleep(0 if forgot else SWEEP_SECONDS)

    def sweep(self) -> int:
        """Forget answers that are older than a day, a bounded number; how many went."""
        before_us = self._service.clock.now_us() - idempotency.KEPT_US

        def old(connection: Connection) -> int:
            return idempotency.sweep(connection, before_us)

        return self._ledger.note(old)


def make_app(house: House) -> FastAPI:
    """The application behind the door."""
    api = FastAPI(openapi_url="/api/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False)
    for routes in ROUTES:
        api.include_router(routes(house), prefix="/api/v1")
    add_problems(api)
    api.openapi = lambda: _described(api)  # type: ignore[method-assign]
    return api


def _described(api: FastAPI) -> dict[str, Any]:
    api.openapi_schema = api.openapi_schema or describe(api)
    return api.openapi_schema
