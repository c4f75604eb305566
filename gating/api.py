"""The service's verbs over HTTP, for the command line of this host: on the Unix socket in the data directory.

Who can open that socket (its mode is 0600) may act in any role, as who can write the ledger file may. Documents are the
contract's; errors are RFC 9457 problems whose `code` and `exit_code` the command line takes over.
"""

from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field

from gating import account as lifecycle
from gating.api_change import Change
from gating.clock_api import add_clock
from gating.errors import PixelgateError
from gating.keys_api import add_keys
from gating.people_api import add_people
from gating.service import Service

PROBLEM = "application/problem+json"


class NewAccount(Change):
    """`account create`."""

    id: str | None = None
    rulebook: str
    plan: str | None = None
    owner: str | None = None
    name: str | None = None


class Command(Change):
    """`account do`."""

    on_behalf: str | None = Field(None, alias="for")
    reason: str | None = None
    confirm: bool = False
    values: dict[str, str] = Field(default_factory=dict, alias="set")
    dry_run: bool = False


class Move(Change):
    """`account move`."""

    to_rulebook: str | None = None
    recompute_deadlines: bool = False


def make_api(service: Service) -> FastAPI:
    """The application; it holds no state beside the service."""
    api = FastAPI(title="Pixelgate", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)
    api.add_exception_handler(PixelgateError, _problem)
    api.add_exception_handler(RequestValidationError, _invalid)
    accounts = "/api/v1/accounts"

    @api.post(accounts, status_code=201)
    async def create(body: NewAccount) -> dict[str, Any]:
        return await service.create_account(
            body.id, rulebook=body.rulebook, plan=body.plan, owner=body.owner, name=body.name,
            who=body.who(), waiting=body.waiting(),
        )  # fmt: skip

    @api.get(accounts)
    async def listing(
        status: Annotated[str | None, Query()] = None, rulebook: Annotated[str | None, Query()] = None
    ) -> list[dict[str, Any]]:
        return await service.accounts(status, rulebook)

    @api.get(accounts + "/{account}")
    async def show(account: str) -> dict[str, Any]:
        return await service.account(account)

    @api.get(accounts + "/{account}/history")
    async def history(account: str) -> list[dict[str, Any]]:
        return await service.history(account)

    @api.get(accounts + "/{account}/receipt")
    async def receipt(account: str) -> dict[str, Any]:
        return await service.receipt(account)

    @api.post(accounts + "/{account}/commands/{command}")
    async def do(account: str, command: str, body: Command) -> dict[str, Any]:
        request = lifecycle.Request(
            command, body.role, actor=body.who().id, on_behalf=body.on_behalf, reason=body.reason,
            confirm=body.confirm, values=body.values,
        )  # fmt: skip
        return await service.do(account, request, waiting=body.waiting(), dry_run=body.dry_run)

    @api.post(accounts + "/{account}/move")
    async def move(account: str, body: Move) -> dict[str, Any]:
        return await service.move(
            account, to_rulebook=body.to_rulebook, recompute_deadlines=body.recompute_deadlines,
            who=body.who(), waiting=body.waiting(),
        )  # fmt: skip

    add_keys(api, service)
    add_people(api, service)
    add_clock(api, service.clock_desk)
    return api


async def _problem(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, PixelgateError):
        raise error
    document = {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": error.http_status,
        "detail": str(error),
        "code": error.code,
        "exit_code": error.exit_code,
    }
    return JSONResponse(document, error.http_status, media_type=PROBLEM)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])
    document = {
        "type": "about:blank",
        "title": "InputInvalid",
        "status": 422,
        "detail": f"{field or 'body'}: {first['msg']}",
        "code": "input_invalid",
        "exit_code": 1,
    }
    return JSONResponse(document, 422, media_type=PROBLEM)
