"""Routes of what payment providers told: list, look at, have tried again, link a customer."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse

from gating.ledger.events import State
from gating.rest import documents, requests
from gating.rest.asked import AccountFilter, EndAsked, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, NumberCursor, paged
from gating.rest.roles import Verb

EventId = Annotated[
    str,
    Path(
        pattern=r"^[\x21-\x2e\x30-\x7e]{1,320}$", max_length=320, description="The provider's id, or `provider:id`.",
        examples=["evt_1"],
    ),
]  # fmt: skip
StateFilter = Annotated[State | None, Query(description="Only those in this state.")]


def billing_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["billing"])
    desk = house.billing

    @api.get(
        "/billing/events", operation_id="listBillingEvents", summary="List billing events",
        response_model=documents.BillingPage,
    )  # fmt: skip
    async def listing(
        asked: Question, state: StateFilter = None, account: AccountFilter = None, limit: Limit = LIMIT,
        cursor: NumberCursor = None,
    ) -> JSONResponse:  # fmt: skip
        """Newest first."""
        asked.may(Verb.SHOW_BILLING)
        before = None if cursor is None else int(cursor)
        found = await desk.events(state, account, before, limit + 1)
        following = str(found[limit - 1]["sequence"]) if len(found) > limit else None
        return JSONResponse(paged(found[:limit], following))

    @api.get(
        "/billing/events/{event}", operation_id="getBillingEvent", summary="Look at a billing event",
        response_model=documents.BillingEvent,
    )  # fmt: skip
    async def show(asked: Question, event: EventId) -> JSONResponse:
        """With what the provider sent."""
        asked.may(Verb.SHOW_BILLING)
        return JSONResponse(await desk.event(event))

    @api.post(
        "/billing/events/{event}/retry", operation_id="retryBillingEvent", summary="Have an event applied again",
        response_model=documents.BillingEvent,
    )  # fmt: skip
    async def retry(asked: EndAsked, event: EventId, _: requests.Nothing | None = None) -> JSONResponse:
        """One that failed, was parked or ignored."""
        asked.may(Verb.CHANGE_BILLING)
        return JSONResponse(await desk.retry(event))

    @api.post(
        "/billing/links", operation_id="linkCustomer", summary="Say whose a customer is",
        response_model=documents.Linked,
    )  # fmt: skip
    async def link(asked: EndAsked, body: requests.Link) -> JSONResponse:
        """Events that were parked for want of it wait again. Harmless twice."""
        asked.may(Verb.CHANGE_BILLING)
        return JSONResponse(await desk.link(body.account, body.provider, body.customer, house.clock.now_us()))

    return api
