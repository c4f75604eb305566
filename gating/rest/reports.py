"""The route of an account's usage, under the account's access."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gating.rest import documents
from gating.rest.asked import AccountId, Question
from gating.rest.errors import NoAccess
from gating.rest.house import House
from gating.rest.roles import Verb
from gating.rest.usage import Month
from gating.status import Access
from gating.times import rfc3339


def usage_routes(house: House) -> APIRouter:
    """The route."""
    api = APIRouter(tags=["usage"])

    @api.get(
        "/accounts/{account}/usage", operation_id="getUsage", summary="An account's usage of a month",
        response_model=documents.Usage,
    )  # fmt: skip
    async def usage(asked: Question, account: AccountId, month: Month = None) -> JSONResponse:
        """Events and monthly tracked users: as the account where the token is one of its own, which sees what is
        visible to it while its access allows, else with hidden ones."""
        asked.may(Verb.USAGE, account)
        own = asked.caller.account is not None
        stands = await house.service.account(account)
        if own and stands["access"] == Access.NONE:
            raise NoAccess(account, stands["status"])
        month = month or rfc3339(house.clock.now_us())[:7]
        return JSONResponse(await house.usage.month(account, month, as_account=own))

    return api
