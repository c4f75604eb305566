"""The clock's verbs of the API, beside those of accounts."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from gating.clock_desk import ClockDesk


class Confirmation(BaseModel):
    """`clock confirm`."""

    model_config = ConfigDict(extra="forbid")

    actor: str = "cli"


def add_clock(api: FastAPI, desk: ClockDesk) -> None:
    """Add them to the application."""

    @api.get("/api/v1/clock")
    async def clock() -> dict[str, Any]:
        return await desk.show()

    @api.post("/api/v1/clock/confirm")
    async def confirm_clock(body: Confirmation) -> dict[str, Any]:
        return await desk.confirm(body.actor)
