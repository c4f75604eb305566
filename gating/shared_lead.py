"""SharedLead: one of several gating services leads the workers of many hosts, which it reaches through Redis.

Redis carries reports and answers on channels and can grant nothing: an answer counts for the one report whose number it
bears, for 3 s from when that was sent, and only at the head it names. Who leads is decided in the ledger
(`election.py`), and what the leader saw enforced is noted there under its term, for services that do not lead.

A claim that all enforce a version is made by the leader's own fence, and then the term is looked at: while it is this
service's, nobody else has granted a lease that the fence does not know.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from redis.asyncio import Redis

from gating.clock import Clock, boot_ns
from gating.datagram import Report
from gating.election import BEAT_SECONDS, WATCH_SECONDS, Candidate
from gating.errors import PixelgateError
from gating.feed import StatusChange
from gating.fence import Fence
from gating.lead import Granting, look_again, not_enforced
from gating.ledger import Head, Ledger
from gating.redis_channel import ReportChannel

T = TypeVar("T")

NOTE_SECONDS: Final = 0.1
"""How often a leader looks whether more is enforced without a report having said so: a lease that ran out."""

_log = logging.getLogger("pixelgate.gating")


class SharedLead:
    """What a service needs of a leader (`lead.Lead`), and what the relay does (`relay.Leader`), leading or not."""

    def __init__(
        self,
        ledger: Ledger,
        redis: Redis | None,
        candidate: Candidate,
        clock: Clock,
        *,
        notes: bool = True,
        boot_ns: Callable[[], int] = boot_ns,
    ) -> None:
        """redis: None for a service that never contends. notes: other services may wait for flips too, so what is
        enforced is noted for them in the ledger."""
        self._ledger = ledger
        self._notes = notes
        self._channel = ReportChannel(redis, self._take) if redis is not None else None
        self._candidate = candidate
        self._clock = clock
        # A thread of its own: a long transaction of the service's keeps no leader from renewing its term.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lead")
        self._boot_ns = boot_ns
        self._granting: Granting | None = None  # while this service leads
        self._head = 0
        self._noted = 0
        self._happened = asyncio.Event()  # something that who waits for a flip wants to look at
        self._moved = asyncio.Event()  # a report came: more may be enforced, and so to be noted
        self.on_news: Callable[[Sequence[StatusChange]], None] = lambda _: None
        """The relay's `wake`: told what was just committed here, or of nothing in particular."""

    # ---- lead.Lead ------------------------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        return self._granting.head if self._granting else self._head

    @property
    def leads(self) -> bool:
        """Whether this service grants the leases now."""
        return self._granting is not None and self._candidate.holds()

    def workers(self) -> list[str]:
        return self._granting.workers() if self._granting else []

    def announce(self, changes: list[StatusChange]) -> None:
        """They were committed here; the leader's relay carries them, wherever it is."""
        for change in changes:
            self.advance(change.version)
        self.on_news(changes)

    def advance(self, version: int) -> None:
        self._head = max(self._head, version)
        if self._granting:
            self._granting.advance(version)

    async def enforced(self, version: int, timeout_seconds: float) -> int:
        deadline_ns = self._boot_ns() + int(timeout_seconds * 1e9)
        while True:
            self._happened.clear()
            workers = await self._who_enforce(version)
            if workers is not None:
                return workers
            now_ns = self._boot_ns()
            if now_ns >= deadline_ns:
                raise not_enforced(version, timeout_seconds, self._missing(version))
            await look_again(self._happened, (deadline_ns - now_ns) / 1e9 + 0.001)

    async def _who_enforce(self, version: int) -> int | None:
        """How many workers enforce the version, if all do that might enforce something older; else None."""
        granting = self._granting
        if granting is None:
            row = await self._ask(self._ledger.lead)
            return row.enforced_workers if row.enforced_version >= version else None
        granting.advance(version)
        if granting.missing(version, self._boot_ns()) or granting is not self._granting:
            return None
        return len(granting.workers()) if self._candidate.holds() else None  # last: see the module's claim

    def _missing(self, version: int) -> list[str]:
        if self._granting is None:
            return ["the workers of the leading gating service, which has not said so: is one running, with Redis?"]
        return self._granting.missing(version, self._boot_ns()) or ["nobody, but this service leads no more"]

    # ---- relay.Leader -----------------------------------------------------------------------------------------------

    @property
    def term(self) -> int:
        """The number of this service's term; 0 while it does not lead."""
        return self._candidate.term if self.leads else 0

    @property
    def epoch(self) -> str:
        """The ledger's epoch as this leader knows it; empty while it does not lead."""
        return self._granting.epoch if self._granting else ""

    def restart(self, epoch: str) -> None:
        """A new epoch was drawn: versions may mean other changes from here on."""
        if self._granting:
            self._granting.restart(epoch, self._granting.head)
        self._noted = 0
        self._happened.set()

    def noticed(self) -> None:
        """The ledger told that something was noted in it: whoever waits looks again."""
        self._happened.set()

    # ---- leading ----------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Contend for the lead, and lead, for as long as the block runs; then let the next one lead at once."""
        if self._channel is None:
            raise ValueError("a leader needs Redis to reach its workers")
        works = [self._contend(), self._channel.listen(), self._channel.send()]
        tasks = [asyncio.create_task(work) for work in (*works, *([self._note()] if self._notes else ()))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._granting = None
            with contextlib.suppress(PixelgateError):
                await self._ask(self._candidate.retire)

    def close(self) -> None:
        """Let the thread end; to be called when nothing runs or waits any more."""
        self._thread.shutdown()

    async def _ask(self, work: Callable[[], T]) -> T:
        """Run what blocks on the ledger in this lead's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _contend(self) -> None:
        while True:
            try:
                await self._ask(self._candidate.step)
                await self._look_at_the_ledger()
            except PixelgateError as error:
                # Without renewal no lease is granted past the term: hits go on unverified, and are settled later.
                _log.warning("the lead was neither renewed nor looked at: %s", error)
            await asyncio.sleep(BEAT_SECONDS if self._granting else WATCH_SECONDS)

    async def _look_at_the_ledger(self) -> None:
        """Take over, step down, or see whether the ledger that is led has gone back."""
        if not self._candidate.term:
            if self._granting is not None:
                _log.warning("another gating service leads now")
            self._granting = None
            return
        granting = self._granting
        known = max(granting.head, granting.beyond) if granting else 0  # committed before the ledger is asked
        head = await self._ask(self._ledger.head)
        if granting is None:
            self._take_over(head)
        elif head.version < known:
            _log.error("the ledger went back from version %d to %d: a new epoch begins", known, head.version)
            self._head = head.version
            granting.restart(await self._ask(self._draw_epoch), head.version)
            self._noted = 0
        else:
            self.advance(head.version)
        self.on_news(())

    def _take_over(self, head: Head) -> None:
        # Read after the term was taken: no lease of this term is granted for less. Whoever holds one of an earlier
        # leader is unknown here, so everything waits for a whole lease.
        fence = Fence(self._boot_ns(), None)
        self._granting = Granting(
            fence,
            epoch=head.epoch,
            head=head.version,
            clock=self._clock,
            may_grant=self._candidate.holds,
            alone=False,
            boot_ns=self._boot_ns,
        )
        self._noted = 0
        self._happened.set()
        _log.info("this gating service leads, in term %d from version %d on", self._candidate.term, head.version)

    def _draw_epoch(self) -> str:
        with self._ledger.begin() as transaction:
            return transaction.new_epoch()

    def _take(self, report: Report) -> None:
        if self._granting is None or self._channel is None:
            return
        answer = self._granting.answer(report)
        self._happened.set()
        self._moved.set()
        if answer is not None:
            self._channel.answer(report.worker, answer)

    # ---- for the services that do not lead --------------------------------------------------------------------------

    async def _note(self) -> None:
        """Note in the ledger, under this term, up to which version all enforce."""
        while True:
            await look_again(self._moved, NOTE_SECONDS)
            self._moved.clear()
            granting = self._granting
            version = granting.enforced_version() if granting else 0
            if granting is None or version <= self._noted or not self._candidate.holds():  # the term is asked last
                continue
            term, workers = self._candidate.term, len(granting.workers())
            try:
                if await self._ask(partial(self._ledger.record_enforced, term, version, workers)):
                    self._noted = version
            except PixelgateError as error:
                _log.warning("what is enforced was not noted: %s", error)
                await asyncio.sleep(NOTE_SECONDS)
