"""Routes of effects: what changes owe to the world outside, what was given up, what people must do."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from gating.effects.desk import owed_view, task_view
from gating.ledger.effects import Owed
from gating.rest import documents, requests
from gating.rest.asked import AccountFilter, EndAsked, Question
from gating.rest.house import House
from gating.rest.paging import LIMIT, Limit, NumberCursor, PairCursor, number_of, page, pair_of
from gating.rest.roles import Verb, demand_own
from gating.views import Document

EffectId = Annotated[int, Path(ge=0, le=2**63 - 1, description="The effect's id.")]


def effects_routes(house: House) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["due"])
    _lists(api, house)
    _changes(api, house)
    return api


def _lists(api: APIRouter, house: House) -> None:
    rows, service = house.ledger.effects, house.service

    async def effects(
        asked: Question, account: str | None, read: Callable[[str | None], list[Any]], limit: int,
        view: Callable[[Any], Document], position: Callable[[Any], str],
    ) -> JSONResponse:  # fmt: skip
        asked.may(Verb.SHOW_EFFECTS)
        if account is not None:
            demand_own(asked.caller, account)
        return JSONResponse(page(await service.read(lambda: read(account)), limit, view, position))

    @api.get("/effects", operation_id="listEffects", summary="What is owed", response_model=documents.EffectPage)
    async def owed(
        asked: Question, account: AccountFilter = None, limit: Limit = LIMIT, cursor: NumberCursor = None
    ) -> JSONResponse:
        """Oldest first: notices, purges and other effects that are not carried out yet."""
        return await effects(
            asked, account, lambda of: rows.owed(limit + 1, after=number_of(cursor), account=of), limit,
            owed_view, _effect_position,
        )  # fmt: skip

    @api.get(
        "/effects/dead", operation_id="listDeadLetters", summary="What was given up",
        response_model=documents.EffectPage,
    )  # fmt: skip
    async def dead(
        asked: Question, account: AccountFilter = None, limit: Limit = LIMIT, cursor: NumberCursor = None
    ) -> JSONResponse:
        """Dead letters, oldest first."""
        return await effects(
            asked, account, lambda of: rows.dead(limit + 1, after=number_of(cursor), account=of), limit,
            owed_view, _effect_position,
        )  # fmt: skip

    @api.get("/effects/due", operation_id="listTasks", summary="What people must do", response_model=documents.TaskPage)
    async def due(
        asked: Question, account: AccountFilter = None, limit: Limit = LIMIT, cursor: PairCursor = None
    ) -> JSONResponse:
        """The soonest first, with those that are overdue."""
        now_us = house.clock.now_us()
        return await effects(
            asked, account, lambda of: rows.tasks(limit + 1, after=pair_of(cursor), account=of), limit,
            lambda task: task_view(task, now_us), lambda task: f"{task['due_at_us']}.{task['id']}",
        )  # fmt: skip


def _changes(api: APIRouter, house: House) -> None:
    rows, service = house.ledger.effects, house.service

    @api.post(
        "/effects/{effect}/retry", operation_id="retryEffect", summary="Try a dead letter again",
        response_model=documents.EffectOwed,
    )  # fmt: skip
    async def retry(asked: EndAsked, effect: EffectId, _: requests.Nothing | None = None) -> JSONResponse:
        """It is owed again under its old id."""
        asked.may(Verb.CHANGE_EFFECTS)
        await service.in_turn(lambda: rows.revive(effect))
        return JSONResponse({"id": effect, "owed": True})

    @api.post(
        "/effects/{effect}/done", operation_id="finishTask", summary="Say that a task is done",
        response_model=documents.TaskDone,
    )  # fmt: skip
    async def done(asked: EndAsked, effect: EffectId, _: requests.Nothing | None = None) -> JSONResponse:
        """By whom it was done is kept."""
        asked.may(Verb.CHANGE_EFFECTS)
        await service.in_turn(lambda: rows.task_done(effect, house.clock.now_us(), asked.caller.actor))
        return JSONResponse({"id": effect, "done": True})


def _effect_position(effect: Owed) -> str:
    return str(effect.id)
