"""The route of deadlines: status changes that come by themselves."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from gating.ledger import AccountRow, pages
from gating.rest import documents
from gating.rest.asked import AccountFilter, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, PlaceCursor, page, place_of
from gating.rest.roles import Verb
from gating.times import rfc3339
from gating.views import Document

OverdueFilter = Annotated[bool, Query(description="Only those whose moment has come and that are not recorded yet.")]


def deadlines_routes(house: House) -> APIRouter:
    """The route."""
    api = APIRouter(tags=["due"])

    @api.get("/deadlines", operation_id="listDeadlines", summary="What comes due", response_model=documents.DuePage)
    async def deadlines(
        asked: Question,
        account: AccountFilter = None,
        overdue: OverdueFilter = False,
        limit: Limit = LIMIT,
        cursor: PlaceCursor = None,
    ) -> JSONResponse:
        """Status changes that come by themselves, the soonest first."""
        asked.may(Verb.SHOW, account)
        own, now_us = account or asked.caller.account, house.clock.now_us()
        until_us = now_us if overdue else None
        found = await house.look(
            partial(pages.deadlines, after=place_of(cursor), limit=limit + 1, until_us=until_us, account=own)
        )
        return JSONResponse(page(found, limit, lambda row: _due(row, now_us), _due_position))

    return api


def _due(row: AccountRow, now_us: int) -> Document:
    deadline = row.account.deadline
    if deadline is None:
        raise ValueError(f"account {row.id!r} is listed under a deadline that it has not")
    return {
        "account": row.id, "status": row.status, "at": rfc3339(deadline.at_us), "then": deadline.then,
        "overdue": deadline.at_us <= now_us,
    }  # fmt: skip


def _due_position(row: AccountRow) -> str:
    deadline = row.account.deadline
    return f"{0 if deadline is None else deadline.at_us}.{row.id}"
