"""Asked: one request as the routes see it: who asks, on which conditions; and how a change is answered.

`Asking` for questions, `Changing` for changes of accounts: FastAPI makes both from the request.
"""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Annotated, Final

from fastapi import Depends, Header, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.requests import Request

from gating.commits import Waiting
from gating.rest.caller import Caller
from gating.rest.conditions import Conditions, Once, digest_of
from gating.rest.errors import NotSupported
from gating.rest.house import House
from gating.rest.roles import Verb, demand
from gating.views import Document

AccountId = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64, description="An account's id.", examples=["shop"]
    ),
]

AccountFilter = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64, description="Only this account's."),
]

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="A text of yours for this change: whoever asks again under it within 24 hours gets the answer that "
        "the first change got, and changes nothing.",
    ),
]
MatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=255,
        description="The account's version in quotes, as its ETag has it: the change is made only while that holds.",
        examples=['"5"'],
    ),
]
REPLAYED: Final = "Idempotency-Replayed"
UNWAITED: Final = Waiting(wait=False)


class Asking:
    """A question's caller."""

    def __init__(self, request: Request) -> None:
        self.caller: Caller = request.state.caller
        self.request = request

    def may(self, verb: Verb, account: str | None = None) -> None:
        """Raises Forbidden, NotFound."""
        demand(self.caller, verb, account)


class Making(Asking):
    """The caller of a change that makes an account, and the key it is asked for under."""

    _if_match: str | None = None

    def __init__(self, request: Request, key: KeyHeader = None) -> None:
        super().__init__(request)
        self._key = key

    async def answer(
        self,
        house: House,
        body: BaseModel,
        account: str | None,
        work: Callable[[Waiting], Awaitable[Document]],
        *,
        status: int = 200,
        waiting: Waiting = UNWAITED,
    ) -> JSONResponse:
        """Carry `work` out under the request's conditions, and answer with its document."""
        once = None
        if self._key is not None:
            asked = digest_of(self.request.method, self.request.url.path, body.model_dump(mode="json", by_alias=True))
            once = Once(self.caller.token, self._key, asked)
        conditions = Conditions(house.clock, once, account, self._if_match)
        with house.alone(once.scope, once.key) if once else nullcontext():
            document = await work(Waiting(waiting.wait, waiting.timeout_seconds, conditions))
        return JSONResponse(document, status, self._headers(document, replayed=conditions.replayed))

    def _headers(self, document: Document, *, replayed: bool) -> dict[str, str]:
        if replayed:
            return {REPLAYED: "true"}
        version = document.get("version")
        return {} if version is None else {"ETag": f'"{version}"'}


class Changing(Making):
    """The caller of a change of an account, and its conditions. A condition that does not read holds nowhere."""

    def __init__(self, request: Request, key: KeyHeader = None, if_match: MatchHeader = None) -> None:
        super().__init__(request, key)
        self._if_match = if_match


class Ending(Asking):
    """A change that is the same however often it is asked for: no key of the caller's is taken, rather than ignored."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if "idempotency-key" in request.headers:
            raise NotSupported("Idempotency-Key is not taken here: see what each change takes in /api/openapi.json")


Question = Annotated[Asking, Depends(Asking)]
MakeAsked = Annotated[Making, Depends(Making)]
ChangeAsked = Annotated[Changing, Depends(Changing)]
EndAsked = Annotated[Ending, Depends(Ending)]
