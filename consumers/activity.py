"""Activity: tells the ledger when each account was last active, and up to when all of that is known.

Run beside the loop of `consumer materialise`. A deadline that hangs on activity comes only where the account's silence
is known (gating/deadlines.py), so this says nothing that it does not know: what was answered and is not in the
warehouse yet, or waits there unverified, is not known.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from consumers.errors import NotSettledInTime, SourceFailed, WarehouseFailed
from consumers.loop import Loop
from consumers.settle import MARGIN_US
from consumers.warehouse.protocol import Warehouse
from gating.errors import PixelgateError
from gating.ledger import Ledger

PAGE_ACCOUNTS: Final = 20_000
"""Of one look at the warehouse: 3 MB."""
NOTE_ACCOUNTS: Final = 250
"""Of one transaction of the ledger, which flips on SQLite wait for: a few milliseconds."""
ENDS_SECONDS: Final = 30.0
FIRST_SECONDS: Final = 5.0
"""Until the first report: where all roles start together the ledger is only just being made."""

LOG: Final = logging.getLogger("pixelgate.consumers")


class Activity:
    """One consumer's reports. place: its name among all that report."""

    def __init__(
        self,
        open_ledger: Callable[[], Ledger],
        loop: Loop,
        warehouse: Warehouse,
        now_us: Callable[[], int],
        *,
        place: str,
        seconds: float,
    ) -> None:
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._loop, self._warehouse, self._now_us = loop, warehouse, now_us
        self._place, self._seconds = place, seconds
        self.trouble = ""  # why the last report was not made; empty when it was

    async def run(self) -> None:
        """Report now and then, until cancelled."""
        await asyncio.sleep(min(FIRST_SECONDS, self._seconds))
        while True:
            await self.step()
            await asyncio.sleep(self._seconds)

    async def step(self) -> int:
        """Report once; how many accounts were active since the last time. Raises nothing that can pass."""
        try:
            reported = await self._report()
        except (PixelgateError, NotSettledInTime, SourceFailed, WarehouseFailed, OSError) as error:
            if self.trouble != str(error):
                LOG.warning("accounts' activity was not reported: %s", error)
            self.trouble = str(error)
            return 0
        self.trouble = ""
        return reported

    def close(self) -> None:
        """Let go of the ledger. Idempotent."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    async def _report(self) -> int:
        until_us = await self._known_until()
        since_us = await asyncio.to_thread(self._since)
        reported = await asyncio.to_thread(self._note_all, since_us)
        if until_us is not None:
            await asyncio.to_thread(self._opened().activity.note_known, self._place, until_us, self._now_us())
        return reported

    async def _known_until(self) -> int | None:
        """Up to when all kept hits are in the warehouse and settled; None while some are on their way."""
        began_us = self._now_us()
        ends = await self._loop.source.ends(ENDS_SECONDS)
        if await self._loop.on_worker(self._loop.materialiser.behind, ends):
            return None
        waiting = await self._loop.on_worker(self._warehouse.unsettled, began_us, 1)
        return min([began_us - MARGIN_US, *(key.first_us for key in waiting)])

    def _since(self) -> int:
        return self._opened().activity.reported_us(self._place)

    def _note_all(self, since_us: int) -> int:
        """Note every account that was active since; before what is known is moved on, so that a death repeats it."""
        rows, reported, after = self._opened().activity, 0, ""
        reader = self._warehouse.reader()
        try:
            while page := reader.active(since_us, after, PAGE_ACCOUNTS):
                for start in range(0, len(page), NOTE_ACCOUNTS):
                    rows.note(dict(page[start : start + NOTE_ACCOUNTS]))
                reported, after = reported + len(page), page[-1][0]
        finally:
            reader.close()
        return reported

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open_ledger()
        return self._ledger
