"""The verbs of people and tokens over the local API (`api.py`), for the command line of this host."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from gating.service import Service
from gating.status import Role


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Role
    permissions: list[str] = Field(default_factory=list, max_length=16)


class NewPerson(_Body):
    """`account person add`."""

    email: str | None = Field(None, min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")


class NewToken(_Body):
    """`token create`."""

    account: str | None = None
    person: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    expires: float | None = Field(None, gt=0, le=3660 * 86400, description="seconds from now")


def add_people(api: FastAPI, service: Service) -> None:
    """Add the routes."""
    people = "/api/v1/accounts/{account}/people"
    tokens = "/api/v1/tokens"
    desk = service.people

    @api.post(people, status_code=201)
    async def add_person(account: str, body: NewPerson) -> dict[str, Any]:
        return await service.in_turn(lambda: desk.add(account, body.role, body.email, body.permissions))

    @api.get(people)
    async def list_people(account: str) -> list[dict[str, Any]]:
        return await service.read(lambda: desk.of(account))

    @api.delete(people + "/{person}")
    async def remove_person(account: str, person: str) -> dict[str, Any]:
        return await service.in_turn(lambda: desk.remove(account, person))

    @api.post(tokens, status_code=201)
    async def create_token(body: NewToken) -> dict[str, Any]:
        return await service.in_turn(
            lambda: desk.create_token(body.role, body.account, body.person, body.permissions, body.expires)
        )

    @api.get(tokens)
    async def list_tokens() -> list[dict[str, Any]]:
        return await service.read(desk.tokens)

    @api.delete(tokens + "/{token}")
    async def revoke_token(token: str) -> dict[str, Any]:
        return await service.in_turn(lambda: desk.revoke_token(token))
