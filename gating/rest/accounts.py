"""Routes of accounts: list, open, look at, command, move."""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from gating.ledger import AccountRow, KeyRow, activity, no_account, pages
from gating.ledger.activity import Activity
from gating.rest import documents, requests
from gating.rest.asked import AccountId, ChangeAsked, MakeAsked, Question
from gating.rest.conditions import tag_of
from gating.rest.house import House
from gating.rest.paging import LIMIT, IdCursor, Limit, paged
from gating.rest.roles import Verb, acting
from gating.shelf import is_packaged
from gating.status import Role, Status
from gating.views import Document, account_line, account_view

SCANNED_MAX: Final = 2_000
"""Accounts that one page looks through for a status: it may then hold fewer than asked for, or none, and go on."""

CommandName = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        max_length=64,
        description="A command of the account's rulebook.",
        examples=["pause"],
    ),
]
StatusFilter = Annotated[Status | None, Query(description="Only those in this status as of now.")]
RulebookFilter = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64, description="Only those under this rulebook."),
]


def accounts_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["accounts"])
    _questions(api, house)
    _changes(api, house)
    return api


def _questions(api: APIRouter, house: House) -> None:
    service = house.service

    @api.get("/accounts", operation_id="listAccounts", summary="List accounts", response_model=documents.AccountPage)
    async def listing(
        asked: Question,
        status: StatusFilter = None,
        rulebook: RulebookFilter = None,
        limit: Limit = LIMIT,
        cursor: IdCursor = None,
    ) -> JSONResponse:
        """By id, as of now. A page may hold fewer than `limit` and go on all the same."""
        asked.may(Verb.SHOW)
        own = asked.caller.account
        return JSONResponse(
            await service.read(lambda: _page(house, status, rulebook, limit, cursor or "", only=own))
        )  # fmt: skip

    @api.get(
        "/accounts/{account}", operation_id="getAccount", summary="Look at an account",
        response_model=documents.AccountAnswer,
    )  # fmt: skip
    async def show(asked: Question, account: AccountId) -> JSONResponse:
        """As of now, with its first 1,000 write keys. `ETag` is its version, for `If-Match`; there is none while a
        deadline that has come is being recorded."""
        asked.may(Verb.SHOW, account)
        document, tag = await service.read(lambda: _shown(house, account))
        return JSONResponse(document, headers=None if tag is None else {"ETag": tag})


def _changes(api: APIRouter, house: House) -> None:
    service = house.service

    @api.post(
        "/accounts", operation_id="createAccount", summary="Open an account", status_code=201,
        response_model=documents.Created,
    )  # fmt: skip
    async def create(asked: MakeAsked, body: requests.NewAccount) -> JSONResponse:
        """With its first write key; answered when every worker knows it."""
        asked.may(Verb.CREATE)
        return await asked.answer(
            house, body, None,
            lambda waiting: service.create_account(
                body.id, rulebook=body.rulebook, plan=body.plan, owner=body.owner, name=body.name,
                who=asked.caller.who(), waiting=waiting,
            ),
            status=201, waiting=body.waiting,
        )  # fmt: skip

    @api.post(
        "/accounts/{account}/commands/{command}", operation_id="doCommand", summary="Give a command",
        response_model=documents.Flip,
    )  # fmt: skip
    async def do(
        asked: ChangeAsked, account: AccountId, command: CommandName, body: requests.Command
    ) -> JSONResponse:  # fmt: skip
        """Flip an account's status by a command of its rulebook; answered when every worker enforces it, or at once
        with `wait` false. Who may give it there, and what it needs, is the rulebook's word."""
        asked.may(Verb.COMMAND, account)
        request = body.request(asked.caller, command, acting(asked.caller, body.as_ and Role(body.as_)))
        return await asked.answer(
            house, body, account,
            lambda waiting: service.do(account, request, waiting=waiting, dry_run=body.dry_run),
            waiting=body.waiting,
        )  # fmt: skip

    @api.post(
        "/accounts/{account}/move", operation_id="moveAccount", summary="Move to another rulebook",
        response_model=documents.Moved,
    )  # fmt: skip
    async def move(asked: ChangeAsked, account: AccountId, body: requests.Move) -> JSONResponse:
        """To the packaged version of its rulebook, or to another rulebook."""
        asked.may(Verb.MOVE, account)
        return await asked.answer(
            house, body, account,
            lambda waiting: service.move(
                account, to_rulebook=body.to_rulebook, recompute_deadlines=body.recompute_deadlines,
                who=asked.caller.who(), waiting=waiting,
            ),
            waiting=body.waiting,
        )  # fmt: skip


def _shown(house: House, account: str) -> tuple[Document, str | None]:
    """The account and its entity tag, as of one snapshot."""
    now_us = house.clock.now_us()

    def read(connection: Connection) -> tuple[AccountRow, list[KeyRow], Activity]:
        rows = pages.accounts(connection, "", 1, only=account)
        if not rows:
            raise no_account(account)
        keys = pages.keys(connection, account, pages.START, pages.ROWS_MAX)
        return rows[0], keys, activity.of_account(connection, account, now_us)

    row, keys, seen = house.ledger.look(read)
    shown = account_view(house.shelf.of(row.account), row, keys, now_us, seen)
    return {**shown, "rulebook_packaged": is_packaged(row.account)}, tag_of(row, now_us, seen.known_us)


def _page(
    house: House, status: Status | None, rulebook: str | None, limit: int, after: str, *, only: str | None
) -> Document:
    """The status asked for is the one of now, not the stored one; so rows are looked through, a bounded number."""
    now_us = house.clock.now_us()
    known_us = house.ledger.activity.known_us(now_us)
    items: list[Document] = []
    scanned = 0
    while True:
        rows = house.ledger.look(partial(pages.accounts, after=after, limit=limit + 1, rulebook=rulebook, only=only))
        more = len(rows) > limit
        for row in rows[:limit]:
            line = account_line(house.shelf.of(row.account), row, now_us, known_us)
            after = row.id
            if status is None or line["status"] == status:
                items.append(line)
            if len(items) == limit:
                return paged(items, after if more or row is not rows[-1] else None)
        scanned += limit
        if not more:
            return paged(items, None)
        if scanned >= SCANNED_MAX:
            return paged(items, after)
