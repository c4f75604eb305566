"""Routes of an account's people."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from gating.commits import Waiting
from gating.feed import StatusChange
from gating.ledger import PersonRow, Transaction, pages
from gating.people import new_person, person_view
from gating.rest import documents, requests
from gating.rest.asked import AccountId, ChangeAsked, EndAsked, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, PlaceCursor, page, place_of
from gating.rest.roles import Verb, demand_gives
from gating.status import Role
from gating.views import Document

PersonId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64, description="A person's id.")
]


def people_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["people"])
    people = "/accounts/{account}/people"

    @api.get(people, operation_id="listPeople", summary="List an account's people", response_model=documents.PeoplePage)
    async def listing(
        asked: Question, account: AccountId, limit: Limit = LIMIT, cursor: PlaceCursor = None
    ) -> JSONResponse:
        """First come first; who left is in no list."""
        asked.may(Verb.SHOW_PEOPLE, account)
        rows = await house.look(lambda connection: pages.people(connection, account, place_of(cursor), limit + 1))
        if not rows:
            await house.service.read(lambda: house.ledger.account(account))
        return JSONResponse(page(rows, limit, person_view, lambda row: f"{row.created_at_us}.{row.id}"))

    @api.post(
        people, operation_id="addPerson", summary="Add somebody to an account", status_code=201,
        response_model=documents.PersonAnswer,
    )  # fmt: skip
    async def add(asked: ChangeAsked, account: AccountId, body: requests.NewPerson) -> JSONResponse:
        """With a role that the caller may give."""
        asked.may(Verb.CHANGE_PEOPLE, account)
        sent = requests.fields_of(body)
        role = Role(sent["role"])
        demand_gives(asked.caller, role)
        person = new_person(account, role, sent["email"], sent.get("permissions", ()), house.clock.now_us())
        return await asked.answer(house, body, account, lambda waiting: _added(house, person, waiting), status=201)

    @api.delete(
        people + "/{person}", operation_id="removePerson", summary="Take somebody out of an account",
        response_model=documents.PersonRemoved,
    )  # fmt: skip
    async def remove(asked: EndAsked, account: AccountId, person: PersonId) -> JSONResponse:
        """Their tokens end at once, and their address is forgotten."""
        asked.may(Verb.CHANGE_PEOPLE, account)
        found = await house.service.read(lambda: house.ledger.people(account))
        for one in found:
            if one.id == person:
                demand_gives(asked.caller, one.role)
        return JSONResponse(await house.service.in_turn(lambda: house.service.people.remove(account, person)))

    return api


async def _added(house: House, person: PersonRow, waiting: Waiting) -> Document:
    def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
        transaction.add_person(person)
        return person_view(person), []

    document = await house.service.commit(change, waiting)
    return {name: document[name] for name in person_view(person)}
