"""Routes of write keys: list, create, rotate, revoke."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gating.ledger import pages
from gating.rest import documents, requests
from gating.rest.asked import AccountId, ChangeAsked, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, PlaceCursor, page, place_of
from gating.rest.roles import Verb
from gating.views import key_view


def keys_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["keys"])
    service, keys = house.service, "/accounts/{account}/keys"

    @api.get(keys, operation_id="listKeys", summary="List write keys", response_model=documents.KeyPage)
    async def listing(
        asked: Question, account: AccountId, limit: Limit = LIMIT, cursor: PlaceCursor = None
    ) -> JSONResponse:
        """Oldest first, revoked ones too."""
        asked.may(Verb.SHOW_KEYS, account)
        rows = await house.look(lambda connection: pages.keys(connection, account, place_of(cursor), limit + 1))
        if not rows:
            await service.read(lambda: house.ledger.account(account))
        return JSONResponse(page(rows, limit, key_view, lambda row: f"{row.created_version}.{row.write_key}"))

    @api.post(
        keys, operation_id="createKey", summary="Make a write key", status_code=201,
        response_model=documents.KeyChange,
    )  # fmt: skip
    async def create(asked: ChangeAsked, account: AccountId, body: requests.NewKey) -> JSONResponse:
        """One more; answered when every worker takes its hits."""
        asked.may(Verb.CHANGE_KEYS, account)
        return await asked.answer(
            house, body, account,
            lambda waiting: service.create_key(account, source=body.source, who=asked.caller.who(), waiting=waiting),
            status=201, waiting=body.waiting,
        )  # fmt: skip

    @api.post(
        keys + "/rotate", operation_id="rotateKey", summary="Replace write keys", response_model=documents.KeyChange
    )
    async def rotate(asked: ChangeAsked, account: AccountId, body: requests.Rotation) -> JSONResponse:
        """One, all of a source, or the account's only one; the old ones stop after `grace`."""
        asked.may(Verb.CHANGE_KEYS, account)
        return await asked.answer(
            house, body, account,
            lambda waiting: service.rotate_key(
                account, key=body.key, source=body.source, grace_seconds=body.grace,
                who=asked.caller.who(), waiting=waiting,
            ),
            waiting=body.waiting,
        )  # fmt: skip

    @api.post(
        keys + "/revoke", operation_id="revokeKey", summary="Stop a write key", response_model=documents.KeyChange
    )
    async def revoke(asked: ChangeAsked, account: AccountId, body: requests.Revocation) -> JSONResponse:
        """Its hits are dropped from now on, for good; the account's other keys go on."""
        asked.may(Verb.CHANGE_KEYS, account)
        return await asked.answer(
            house, body, account,
            lambda waiting: service.revoke_key(account, key=body.key, who=asked.caller.who(), waiting=waiting),
            waiting=body.waiting,
        )  # fmt: skip

    return api
