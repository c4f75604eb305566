"""The one loop: read a batch, handle it, commit; in between, settle what can be settled.

Run by `python -m consumers`, and step by step by the command line where no such process runs. All work on the warehouse
is done on one thread that is not the event loop's, so that questions are answered meanwhile. Must not know which source
or warehouse it drives.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from consumers.errors import NotSettledInTime, SourceFailed, WarehouseFailed
from consumers.materialise import Materialiser
from consumers.settle import Settler
from consumers.source import BATCH_EVENTS_MAX, Batch, Source
from gating.ledger.timeline import UNCERTAINTY_US

POLL_SECONDS: Final = 0.5
"""How long a poll waits for the first event; also how late a stop is noticed at worst."""

PACE_SECONDS: Final = 0.2
"""Between two commits while batches are small: a transaction costs 4 ms CPU (EPYC, DuckDB 2.0) whatever it holds."""

SETTLE_SECONDS: Final = 0.5
"""Between two looks for unverified events when the last one found none."""

OTHERS_SECONDS: Final = 0.25
"""Between two looks at what other consumers have put into the warehouse, while somebody waits for it."""

ATTEMPTS_MAX: Final = 8
BACKOFF_SECONDS: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 5.0
"""8 attempts spread over 13 s: longer than a full disk's cleaner or a checkpoint needs, shorter than anyone's patience
with a process that only looks alive. After that the process ends and whoever started it decides."""

LOG: Final = logging.getLogger("pixelgate.consumers")
T = TypeVar("T")


class Loop:
    """Drives one source into one warehouse until stopped; nothing polled is lost or taken twice by stopping it."""

    def __init__(self, source: Source, materialiser: Materialiser, settler: Settler) -> None:
        self.source = source
        self.materialiser = materialiser
        self.settler = settler
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warehouse")
        self._progress = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._settle_at = 0.0
        self.trouble = ""  # why the last step failed; empty when it did not

    async def run(self) -> None:
        """Go on until `stop()`; raises the last error when ATTEMPTS_MAX in a row have failed."""
        failures = 0
        while not self._stopping.is_set():
            try:
                events = await self.step(POLL_SECONDS)
                failures, self.trouble = 0, ""
                if events < BATCH_EVENTS_MAX // 2:
                    await self._rest(PACE_SECONDS)
            except (WarehouseFailed, SourceFailed) as error:
                failures, self.trouble = failures + 1, str(error)
                if failures >= ATTEMPTS_MAX:
                    raise
                LOG.warning("attempt %d of %d: %s", failures, ATTEMPTS_MAX, error)
                await self.source.rewind()
                await self._rest(min(BACKOFF_SECONDS * 2**failures, BACKOFF_SECONDS_MAX))

    def stop(self) -> None:
        """End `run` after the step in hand; safe from a signal handler of the event loop."""
        self._stopping.set()

    async def step(self, wait_seconds: float) -> int:
        """Read one batch, put it into the warehouse, commit; settle if it is time. Returns how many events it held."""
        batch = await self.source.poll(wait_seconds)
        if batch:
            await self.on_worker(self.materialiser.take, batch)
        if batch or batch.token is not None:
            await self._commit(batch)
        await self._settle()
        return batch.events

    async def drain(self, seconds: float) -> None:
        """Take what lies there, for at most `seconds`; once `run` has ended, so that a stop leaves little behind."""
        until = asyncio.get_running_loop().time() + seconds
        while await self.step(0) and asyncio.get_running_loop().time() < until:
            pass

    async def settled(self, seconds: float) -> None:
        """Return once every hit answered before the call is in the warehouse and no unverified one of them waits.

        Somebody else runs the loop. Raises NotSettledInTime after `seconds`, Unreachable.
        """
        until_us = self.settler.now_us() + UNCERTAINTY_US  # by the clock of whichever worker answered it
        began = time.monotonic()
        ends = await self.source.ends(seconds)
        try:
            async with asyncio.timeout(max(0.0, seconds - (time.monotonic() - began))):
                while await self.on_worker(self._owes, ends, until_us):
                    await self._progressed()
        except TimeoutError:
            raise NotSettledInTime(
                seconds, await self.on_worker(self._owes, ends, until_us) or "just now it is"
            ) from None

    async def settle_alone(self, seconds: float) -> None:
        """`settled` where nobody else runs the loop: drives it meanwhile."""
        running = asyncio.create_task(self.run())
        waiting = asyncio.create_task(self.settled(seconds))
        try:
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop()
            if not waiting.done():
                waiting.cancel()
            outcomes = await asyncio.gather(running, waiting, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def on_worker(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work` on the one thread that may touch the warehouse for writing."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)

    async def close(self) -> None:
        """Let go of the source and the thread; the warehouse is its opener's."""
        await self.source.close()
        self._worker.shutdown(wait=True)

    def _owes(self, ends: Mapping[str, int], until_us: int) -> str:
        """What is not settled yet, in words; empty when all is."""
        if behind := self.materialiser.behind(ends):
            owed = f"{len(behind)} of {len(ends)} {self.source.unit} are not in the warehouse up to there"
            trouble = self.source.status().trouble
            return f"{owed} (first: {behind[0]})" + (f"; {trouble}" if trouble else "")
        if waiting := self.settler.waiting(until_us):
            why = f"; {self.settler.trouble}" if self.settler.trouble else ""
            return f"{waiting} unverified events wait for the ledger's history{why}"
        return ""

    async def _commit(self, batch: Batch) -> None:
        await self.source.commit(batch)
        await self._announce()

    async def _settle(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._settle_at or not self.source.settles:
            return
        settled = await self.on_worker(self.settler.settle_some)
        self._settle_at = now if settled.events else now + SETTLE_SECONDS
        if settled.events:
            await self._announce()

    async def _announce(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    async def _progressed(self) -> None:
        """Return when this loop has done something, or after a while: others may write to the same warehouse."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OTHERS_SECONDS), self._progress:
                await self._progress.wait()

    async def _rest(self, seconds: float) -> None:
        """Wait, but for a stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
