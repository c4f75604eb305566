"""The desk's verbs over HTTP, on the command line's socket: whoever can open that may act as an operator (`api.py`)."""

import time
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from gating.webhooks.desk import Desk

SEQUENCE_MAX = 2**63 - 1


class Link(BaseModel):
    """`billing link`."""

    model_config = ConfigDict(extra="forbid")

    account: str = Field(max_length=64)
    provider: str = Field(max_length=64)
    customer: str = Field(max_length=255)


def add_billing(api: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    events = "/api/v1/billing/events"

    @api.get(events)
    async def listing(
        state: Annotated[str | None, Query()] = None,
        account: Annotated[str | None, Query()] = None,
        before: Annotated[int | None, Query(ge=0, le=SEQUENCE_MAX)] = None,
    ) -> list[dict[str, Any]]:
        return await desk.events(state, account, before)

    @api.get(events + "/{event}")
    async def show(event: str) -> dict[str, Any]:
        return await desk.event(event)

    @api.post(events + "/{event}/retry")
    async def retry(event: str) -> dict[str, Any]:
        return await desk.retry(event)

    @api.post("/api/v1/billing/links")
    async def link(body: Link) -> dict[str, Any]:
        return await desk.link(body.account, body.provider, body.customer, time.time_ns() // 1000)
