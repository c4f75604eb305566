"""The verbs of write keys and of refusals over the local API (`api.py`), for the command line of this host."""

from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from gating.api_change import Change
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


class NewKey(Change):
    """`key create`."""

    source: str | None = None


class Rotation(Change):
    """`key rotate`."""

    key: str | None = None
    source: str | None = None
    grace: float = 0


class Revocation(Change):
    """`key revoke`."""

    key: str


def add_keys(api: FastAPI, service: Service) -> None:
    """Add the routes."""
    accounts = "/api/v1/accounts/{account}"

    @api.get(accounts + "/keys")
    async def keys(account: str) -> list[dict[str, Any]]:
        return await service.keys(account)

    @api.post(accounts + "/keys", status_code=201)
    async def create_key(account: str, body: NewKey) -> dict[str, Any]:
        return await service.create_key(account, source=body.source, who=body.who(), waiting=body.waiting())

    @api.post(accounts + "/keys/rotate")
    async def rotate_key(account: str, body: Rotation) -> dict[str, Any]:
        return await service.rotate_key(
            account, key=body.key, source=body.source, grace_seconds=body.grace,
            who=body.who(), waiting=body.waiting(),
        )  # fmt: skip

    @api.post(accounts + "/keys/revoke")
    async def revoke_key(account: str, body: Revocation) -> dict[str, Any]:
        return await service.revoke_key(account, key=body.key, who=body.who(), waiting=body.waiting())

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
