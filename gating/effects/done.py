"""Done: notes what was carried out; whatever was while one note was written goes into the next one together.

Called by the runner. A kill in between leaves the row: the effect is carried out again under the same idempotency key.
"""

import asyncio
from collections.abc import Awaitable, Callable

from gating.ledger.effects import EffectRows


class Done:
    """Of one runner. in_turn: awaits a callable in the one thread that may write to the ledger."""

    def __init__(self, rows: EffectRows, in_turn: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._rows, self._in_turn = rows, in_turn
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._noting: asyncio.Task[None] | None = None

    async def note(self, effect: int) -> None:
        """Return once the ledger owes it no more. Raises Unreachable."""
        noted = self._waiting[effect] = asyncio.get_running_loop().create_future()
        if self._noting is None:
            self._noting = asyncio.create_task(self._note_all())
        await noted

    async def _note_all(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                await self._note(waiting)
        finally:
            self._noting = None

    async def _note(self, waiting: "dict[int, asyncio.Future[None]]") -> None:
        error: BaseException | None = None
        try:
            await self._in_turn(lambda: self._rows.done(waiting))
        except Exception as failed:
            error = failed
        for noted in waiting.values():
            if noted.done():
                continue  # whoever waited was cancelled
            if error is None:
                noted.set_result(None)
            else:
                noted.set_exception(error)
