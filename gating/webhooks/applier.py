"""The applier: carries out what waits, in the service that leads; erases what is past its term.

Started by the gating process. At least once and once only: an event's state moves in the transaction of what it comes
to, and is asked for again inside it. A batch that fails for a reason of ours is tried one by one, so that an event
which cannot be carried out fails alone.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gating.errors import ClockInDoubt, PixelgateError, Unreachable
from gating.feed import StatusChange
from gating.ledger import Ledger, Transaction, events
from gating.ledger.events import EventRow, Outcome, State
from gating.service import Service
from gating.shelf import Shelf
from gating.status import DAY_US
from gating.views import Document
from gating.webhooks.carry import Refusal, apply
from gating.webhooks.counts import Counts

BATCH_EVENTS: Final = 50
"""Read at a time, and applied in one transaction as far as HOLD_SECONDS go."""
HOLD_SECONDS: Final = 0.01
"""After so long a transaction takes no further event: it holds every flip up. Time, not a number: an event that changes
its account took 2.1 ms in a SQLite file and 5.7 in PostgreSQL (50 of them 105 and 283)."""
PAUSE_SECONDS: Final = 0.01
"""Between two batches: flips that wait go first, and half of the time is theirs."""
LOOK_SECONDS: Final = 0.5
"""How soon what another service stored is seen; one's own at once."""
ERASE_SECONDS: Final = 60.0
ERASE_EVENTS: Final = 500

_log = logging.getLogger("pixelgate.webhooks")


class Applier:
    """One ledger's events, applied by one service at a time: the one for which `leads` is true."""

    def __init__(
        self, ledger: Ledger, service: Service, counts: Counts, *, leads: Callable[[], bool], keep_days: int
    ) -> None:
        self._ledger = ledger
        self._service = service
        self._counts = counts
        self._leads = leads
        self._keep_us = keep_days * DAY_US
        self._shelf = Shelf(ledger)
        self._clock = service.clock
        self._came = asyncio.Event()
        self._erased_at = 0.0

    def wake(self) -> None:
        """Something was stored."""
        self._came.set()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            applied = 0
            try:
                if self._leads():
                    applied = await self.step()
                    await self._erase()
                else:
                    self._counts.oldest_pending_us = None
            except PixelgateError as error:
                _log.warning("webhook events were not applied: %s", error)
            except Exception as error:  # whatever it is, the next look may go well; its text may quote an event
                _log.error("webhook events were not applied: %s", type(error).__name__)
            if applied:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def step(self) -> int:
        """Apply one batch; how many events that were."""
        rows = await asyncio.to_thread(self._ledger.look, lambda connection: events.pending(connection, BATCH_EVENTS))
        self._counts.oldest_pending_us = rows[0].received_at_us if rows else None
        if rows:
            await self._apply(sorted(rows, key=lambda row: (row.created_at_us, row.sequence)))
        return len(rows)

    async def _apply(self, rows: Sequence[EventRow]) -> None:
        def change(transaction: Transaction) -> tuple[Document, list[StatusChange]]:
            until = time.monotonic() + HOLD_SECONDS
            waiting = events.still_pending(transaction.connection, [row.sequence for row in rows])
            states: list[tuple[str, State]] = []
            changes: list[StatusChange] = []
            refused: list[Refusal] = []
            for row in rows:
                if row.sequence in waiting:
                    state, made, refusal = apply(transaction, self._shelf, row, self._clock.reading)
                    states.append((row.provider, state))
                    changes += made
                    refused += [] if refusal is None else [refusal]
                    if time.monotonic() > until:
                        break  # the others wait on, for the next batch
            return {"states": states, "refused": refused}, changes

        try:
            done = await self._service.commit(change)
        except Unreachable:
            raise  # the ledger's: they wait on
        except Exception as error:
            if len(rows) > 1:
                for row in rows:
                    await self._apply([row])
                return
            if isinstance(error, ClockInDoubt):
                return  # it waits with its account
            await self._fail(rows[0], error)
            return
        self._counts.events.update(done["states"])
        for attempt, why in done["refused"]:
            await self._service.refusals.note(attempt, why)

    async def _fail(self, row: EventRow, error: Exception) -> None:
        """Note a fault of ours. Its message may quote the event, so only its kind and place are told."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        _log.error("webhook event %s:%s could not be applied: %s", row.provider, row.event_id, fault)
        outcome = Outcome(State.FAILED, fault)
        await asyncio.to_thread(
            self._ledger.note, lambda connection: events.settle(connection, row.sequence, outcome)
        )  # fmt: skip
        self._counts.events[row.provider, State.FAILED] += 1

    async def _erase(self) -> None:
        if time.monotonic() < self._erased_at + ERASE_SECONDS or self._service.clock_desk.doubt() is not None:
            return
        before_us = self._clock.now_us() - self._keep_us
        gone = await asyncio.to_thread(
            self._ledger.note, lambda connection: events.erase_before(connection, before_us, ERASE_EVENTS)
        )  # fmt: skip
        if gone < ERASE_EVENTS:
            self._erased_at = time.monotonic()
