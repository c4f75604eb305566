"""The verbs of found and named keys and of refusals, over the same local API as `api.py`'s."""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from gating.api import Change
from gating.keys import TEXT_CHARACTERS_MAX
from gating.service import Service


class Found(BaseModel):
    """`key find`."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=TEXT_CHARACTERS_MAX, description="a key, its beginning, or a text that holds keys")


class Naming(Change):
    """`key name`."""

    key: str | None = None
    from_source: str | None = None
    source: str


def add_keys(api: FastAPI, service: Service) -> None:
    """Add the routes."""
    accounts = "/api/v1/accounts/{account}"

    @api.post("/api/v1/keys/find")
    async def find(body: Found) -> list[dict[str, Any]]:
        return await service.read(lambda: service.finder.find(body.text))

    @api.post(accounts + "/keys/name")
    async def name(account: str, body: Naming) -> dict[str, Any]:
        return await service.name_key(
            account, to=body.source, key=body.key, source=body.from_source, who=body.who(), waiting=body.waiting()
        )

    @api.get(accounts + "/refusals")
    async def refusals(account: str, before: Annotated[int | None, Query(ge=1)] = None) -> list[dict[str, Any]]:
        return await service.read(lambda: service.refusals.of(account, before))
