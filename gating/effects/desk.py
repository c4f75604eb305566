"""The desk: what an operator asks of effects and does about them, as documents. Called by the API.

Payloads hold no address; the last error never holds a secret.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI

from gating.clock import Clock
from gating.ledger import Ledger
from gating.ledger.effects import Owed
from gating.times import rfc3339

InTurn = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]


def add_routes(api: FastAPI, ledger: Ledger, clock: Clock, in_turn: InTurn) -> None:
    """Add the effects' verbs to the service's API."""
    rows, base = ledger.effects, "/api/v1/effects"

    @api.get(base)
    def listing() -> list[dict[str, Any]]:
        return [owed_view(effect) for effect in rows.owed()]

    @api.get(base + "/dead")
    def dead() -> list[dict[str, Any]]:
        return [owed_view(effect) for effect in rows.dead()]

    @api.get(base + "/due")
    def due() -> list[dict[str, Any]]:
        now_us = clock.now_us()
        return [task_view(task, now_us) for task in rows.tasks()]

    @api.post(base + "/{effect}/retry")
    async def retry(effect: int) -> dict[str, Any]:
        await in_turn(lambda: rows.revive(effect))
        return {"id": effect, "owed": True}

    @api.post(base + "/{effect}/done")
    async def done(effect: int) -> dict[str, Any]:
        await in_turn(lambda: rows.task_done(effect, clock.now_us(), "operator"))
        return {"id": effect, "done": True}


def owed_view(effect: Owed) -> dict[str, Any]:
    """One effect as an operator sees it; `next` is null where it may be tried at once."""
    return {
        "id": effect.id,
        "account": effect.account,
        "kind": effect.kind,
        "at": rfc3339(effect.at_us),
        "tries": effect.tries,
        "next": None if effect.next_at_us is None else rfc3339(effect.next_at_us),
        "last_error": effect.last_error,
    }


def task_view(task: dict[str, Any], now_us: int) -> dict[str, Any]:
    """What a person has to do, and whether its time has passed."""
    return {
        "id": task["id"],
        "account": task["account"],
        "kind": task["kind"],
        "due": rfc3339(task["due_at_us"]),
        "overdue": task["due_at_us"] < now_us,
    }
