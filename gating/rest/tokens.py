"""Routes of tokens: what the caller's own may, list, make, end."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from gating.ledger import TokenRow, pages
from gating.ledger.tokens import no_token
from gating.rest import documents, requests
from gating.rest.asked import EndAsked, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, PlaceCursor, page, place_of
from gating.rest.roles import ACTS_AS, Verb, demand_gives, demand_own, verbs_of
from gating.status import Role

TokenId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64, description="A token's id, not its secret.")
]


def tokens_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["tokens"])
    desk = house.service.people

    @api.get("/token", operation_id="getOwnToken", summary="Who am I", response_model=documents.Me)
    async def own(asked: Question) -> JSONResponse:
        """What the token that asks may."""
        caller = asked.caller
        return JSONResponse(
            {
                "token": caller.token, "role": caller.role, "account": caller.account, "person": caller.person,
                "permissions": sorted(caller.permissions), "acts_as": sorted(ACTS_AS[caller.role]),
                "verbs": sorted(verb.name.lower() for verb in verbs_of(caller)),
            }
        )  # fmt: skip

    @api.get("/tokens", operation_id="listTokens", summary="List tokens", response_model=documents.TokenPage)
    async def listing(asked: Question, limit: Limit = LIMIT, cursor: PlaceCursor = None) -> JSONResponse:
        """Oldest first, ended ones too; never their secrets."""
        asked.may(Verb.SHOW_TOKENS)
        own = asked.caller.account
        rows = await house.look(lambda connection: pages.tokens(connection, place_of(cursor), limit + 1, account=own))
        return JSONResponse(page(rows, limit, desk.token_view, lambda row: f"{row.created_at_us}.{row.id}"))

    @api.post(
        "/tokens", operation_id="createToken", summary="Make a token", status_code=201,
        response_model=documents.MadeToken,
    )  # fmt: skip
    async def create(asked: EndAsked, body: requests.NewToken) -> JSONResponse:
        """Its secret stands in this answer alone: it is kept as its hash, so that no key can have it told again."""
        asked.may(Verb.CHANGE_TOKENS)
        sent = requests.fields_of(body)
        role, account = Role(sent["role"]), sent.get("account")
        demand_gives(asked.caller, role)
        if account is not None:
            demand_own(asked.caller, account)
        made = await house.service.in_turn(
            lambda: desk.create_token(role, account, sent["person"], sent.get("permissions", ()), sent["expires"])
        )
        return JSONResponse(made, 201)

    @api.delete(
        "/tokens/{token}", operation_id="revokeToken", summary="End a token", response_model=documents.TokenAnswer
    )
    async def revoke(asked: EndAsked, token: TokenId) -> JSONResponse:
        """At once and for good."""
        asked.may(Verb.CHANGE_TOKENS)
        row = await house.service.read(lambda: house.ledger.tokens.get(token))
        if row is None or not _is_own(row, asked.caller.account):
            raise no_token(token)
        demand_gives(asked.caller, row.role)
        return JSONResponse(await house.service.in_turn(lambda: desk.revoke_token(token)))

    return api


def _is_own(row: TokenRow, account: str | None) -> bool:
    return account is None or row.account == account
