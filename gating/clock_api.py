"""The clock's verbs of the API, beside those of accounts."""

from typing import Any

from fastapi import FastAPI

from gating.actor import Channel, actor_of
from gating.clock_desk import ClockDesk


def add_clock(api: FastAPI, desk: ClockDesk) -> None:
    """Add them to the application."""

    @api.get("/api/v1/clock")
    async def clock() -> dict[str, Any]:
        return await desk.show()

    @api.post("/api/v1/clock/confirm")
    async def confirm_clock() -> dict[str, Any]:
        return await desk.confirm(actor_of(Channel.CLI, "local"))
