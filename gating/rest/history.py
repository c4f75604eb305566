"""Routes of the history: of one account, of all, and where it ends; and a deleted account's receipt."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gating.ledger import HistoryRow, pages
from gating.rest import documents
from gating.rest.asked import AccountId, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, NumberCursor, number_of, page
from gating.rest.roles import Verb
from gating.views import Document, history_view


def history_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["history"])
    service = house.service

    @api.get(
        "/accounts/{account}/history", operation_id="listHistory", summary="List an account's changes",
        response_model=documents.HistoryPage,
    )  # fmt: skip
    async def of_account(
        asked: Question, account: AccountId, limit: Limit = LIMIT, cursor: NumberCursor = None
    ) -> JSONResponse:
        """Oldest first: when, which command, by whom, by which channel, for whom."""
        asked.may(Verb.HISTORY, account)
        rows = await house.look(
            lambda connection: pages.history(connection, number_of(cursor), limit + 1, account=account)
        )
        if not rows:
            await service.read(lambda: house.ledger.account(account))
        return JSONResponse(page(rows, limit, _view, _position))

    @api.get(
        "/history", operation_id="listAllHistory", summary="List all accounts' changes",
        response_model=documents.HistoryPage,
    )  # fmt: skip
    async def of_all(asked: Question, limit: Limit = LIMIT, cursor: NumberCursor = None) -> JSONResponse:
        """Oldest first, for auditors."""
        asked.may(Verb.AUDIT)
        rows = await house.look(lambda connection: pages.history(connection, number_of(cursor), limit + 1))
        return JSONResponse(page(rows, limit, _view, _position))

    @api.get(
        "/history/head", operation_id="getHistoryHead", summary="Where the history ends",
        response_model=documents.HistoryHead,
    )  # fmt: skip
    async def head(asked: Question) -> JSONResponse:
        """The newest change's version and digest. Keep them elsewhere: `pixelgate history verify --head DIGEST` then
        shows whether anything was written anew."""
        asked.may(Verb.AUDIT)
        version, digest = await service.read(house.ledger.chain)
        return JSONResponse({"version": version, "digest": digest.hex()})

    @api.get(
        "/accounts/{account}/receipt", operation_id="getReceipt", summary="What was purged of a deleted account",
        response_model=documents.Receipt,
    )  # fmt: skip
    async def receipt(asked: Question, account: AccountId) -> JSONResponse:
        """Or what the purge still waits for."""
        asked.may(Verb.HISTORY, account)
        return JSONResponse(await service.receipt(account))

    return api


def _view(row: HistoryRow) -> Document:
    return {"account": row.account, **history_view(row)}


def _position(row: HistoryRow) -> str:
    return str(row.version)
