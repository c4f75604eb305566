"""The runner: tries what is owed, oldest first, in order per account, so many accounts at once.

Run by the gating process; it does nothing while another service leads. What it writes goes in turn with the flips, one
short note each; what it waits for (a mail server, a receiver) it waits for outside. A kill between sending and noting
leaves the row: the effect is carried out again under the same idempotency key.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gating.clock import Clock
from gating.effects.counts import EffectCounts
from gating.effects.done import Done
from gating.effects.protocol import Handler, NotSent, Untold
from gating.effects.rounds import Rounds
from gating.errors import PixelgateError
from gating.ledger import Ledger
from gating.ledger.effects import Owed
from gating.status import SECOND_US

_log = logging.getLogger("pixelgate.effects")

ACCOUNTS_MAX: Final = 8
"""Accounts whose effects are carried out at once: so many connections a receiver sees."""
POLL_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = 0.02
"""Between two looks, however much is owed: each reads the ledger, and flips share its thread's interpreter."""
TRY_SECONDS: Final = 60.0
TRIES_MAX: Final = 20
TRYING_SECONDS_MAX: Final = 3 * 24 * 3600
"""Standard Webhooks' example schedule gives up after about three days; so does mail, after four to five (RFC 5321)."""
BASE_SECONDS, LIMIT_SECONDS = 2.0, 6 * 3600.0
WAITS: Final = frozenset({"stop_billing", "set_plan", "stop_integrations"})
"""Kinds that wait for the moment in their `at_us`; another kind's is a moment it tells of."""
UNDONE_BY: Final[Mapping[str, frozenset[str]]] = {
    "stop_billing": frozenset({"resume_billing", "stop_billing"}),
    "stop_integrations": frozenset({"resync", "stop_integrations"}),
    "set_plan": frozenset({"set_plan"}),
}
"""An effect that waited for its moment is withdrawn where a later change of its account has one of these: that change
says anew what holds. One that was due at once is carried out: what undoes it follows in order."""


def wait_seconds(tries: int, draw: Callable[[float, float], float] = random.uniform) -> float:
    """The wait after so many failures: between half and the whole of a limit that doubles."""
    limit = min(LIMIT_SECONDS, BASE_SECONDS * 2.0 ** min(tries, 32))
    return draw(limit / 2, limit)


class Runner:
    """One gating service's. in_turn: awaits a callable in the one thread that may write to the ledger. busy: whether a
    mass of deadlines is being made durable, behind which effects wait: what they owe is carried out once all are."""

    def __init__(
        self,
        ledger: Ledger,
        handlers: Mapping[str, Handler],
        clock: Clock,
        *,
        in_turn: Callable[[Callable[[], None]], Awaitable[None]],
        leads: Callable[[], bool],
        busy: Callable[[], bool] = lambda: False,
        tries_max: int = TRIES_MAX,
        wait: Callable[[int], float] = wait_seconds,
        counts: EffectCounts | None = None,
    ) -> None:
        self.counts = EffectCounts() if counts is None else counts
        self._rows, self._handlers, self._clock = ledger.effects, handlers, clock
        self._rounds = Rounds(ledger.effects, handlers)
        self._done = Done(ledger.effects, in_turn)
        self._in_turn, self._leads, self._tries_max, self._wait = in_turn, leads, tries_max, wait
        self._ledger_is_busy = busy
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled. Raises what a bug raises."""
        try:
            while True:
                begun = 0
                try:
                    begun = await self.step() if self._leads() and not self._ledger_is_busy() else 0
                except PixelgateError as error:
                    _log.warning("effects were not read: %s", error)
                ended = list(self._busy.values())
                if ended:
                    await asyncio.wait(ended, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                rests = not ended and not begun and self._rounds.is_over
                await asyncio.sleep(POLL_SECONDS if rests else PAUSE_SECONDS)
                self._reap()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            self._busy.clear()

    async def step(self) -> int:
        """Begin what may be tried now; returns how many were begun."""
        room = ACCOUNTS_MAX - len(self._busy)
        if room <= 0 or not self._handlers:
            return 0
        now_us, busy = self._clock.now_us(), list(self._busy)
        ready = await asyncio.to_thread(self._rounds.look, now_us, without=busy, limit=room)
        for effect in ready:
            self._busy[effect.account] = asyncio.create_task(self._one(effect))
        return len(ready)

    def _reap(self) -> None:
        for account, task in list(self._busy.items()):
            if task.done():
                del self._busy[account]
                task.result()

    async def _one(self, effect: Owed) -> None:
        try:
            await self._settle(effect)
        except PixelgateError as error:
            _log.warning("an effect's try was not noted: %s", error)
            await asyncio.sleep(POLL_SECONDS)

    async def _settle(self, effect: Owed) -> None:
        moment_us = int(effect.arguments.get("at_us", 0)) if effect.kind in WAITS else 0
        if moment_us > self._clock.now_us():
            await self._in_turn(lambda: self._rows.defer(effect.id, moment_us))
            return
        if moment_us > effect.at_us and effect.kind in UNDONE_BY:
            later = await asyncio.to_thread(self._rows.later_effects, effect.account, effect.version)
            if later & UNDONE_BY[effect.kind]:
                await self._done.note(effect.id)
                return
        if not self._leads():
            return
        try:
            async with asyncio.timeout(TRY_SECONDS):
                await self._handlers[effect.kind].carry_out(effect)
        except (NotSent, PixelgateError, TimeoutError) as error:
            self.counts.failures[effect.kind] += 1
            await self._failed(effect, str(error) or f"not done within {TRY_SECONDS:g} s")
            return
        except Untold as untold:
            self.counts.untold[effect.kind] += 1
            _log.warning("%s %s of account %s: %s", effect.kind, effect.id, effect.account, untold)
        self.counts.carried[effect.kind] += 1
        await self._done.note(effect.id)

    async def _failed(self, effect: Owed, error: str) -> None:
        now_us = self._clock.now_us()
        first_us = effect.first_at_us if effect.tries and effect.first_at_us is not None else now_us
        if effect.tries + 1 >= self._tries_max or now_us - first_us > TRYING_SECONDS_MAX * SECOND_US:
            await self._in_turn(lambda: self._rows.bury(effect, now_us, error))
            return
        next_us = now_us + int(self._wait(effect.tries) * SECOND_US)
        await self._in_turn(lambda: self._rows.failed(effect, now_us, next_us, error))
