"""Inbox: stores events before they are answered; many at a time in one commit.

`receive.py` puts events in and answers once its own is durable. A commit takes what has come in while the one before
ran, so the more come the fewer commits an event costs. Its thread is its own: on PostgreSQL flips do not wait for it at
all; in a SQLite file, which has one lock, for the commit that runs and no other, since each is followed by a pause.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gating.errors import GatingError, Unreachable
from gating.ledger import Ledger, events
from gating.ledger.events import Received

BATCH_EVENTS_MAX: Final = 128
"""In one commit, for which a flip may wait where the ledger is a file: 6.8 ms for 128 events of 6 KiB, 11 for 250, 3.5
for 50 (2 virtual cores, ext4); an event costs 53, 44 and 70 us. PostgreSQL takes 16, 35 and 8 ms, and no flip waits."""
WAITING_EVENTS_MAX: Final = 4_000
WAITING_BYTES_MAX: Final = 32 * 1024**2
PAUSE_SECONDS: Final = 0.005
"""Between two commits. Events gather meanwhile, and whoever waits for the file's lock gets it. With 20 ms, 128
connections were answered 948 times a second in place of 1,100."""
ANSWERS_AT_A_TIME: Final = 8
"""In one turn of the loop: answered all at once, a commit's events and what their connections send next would keep the
loop, and with it the workers' reports that flips wait for, for tens of milliseconds: p99 of a flip's way to the workers
at 1,000 events/s was 9.2 ms so, and is 5.8."""

Waiting = tuple[Received, asyncio.Future[None]]


class InboxFull(GatingError):
    """More events wait to be stored than memory is given; the provider tries again."""

    http_status = 503
    code = "inbox_full"


class Inbox:
    """Events on their way into the ledger. Needs `run` running in the same loop."""

    def __init__(self, ledger: Ledger, stored: Callable[[], None]) -> None:
        """stored: called after each commit."""
        self._ledger = ledger
        self._stored = stored
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._came = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-events")

    async def put(self, received: Received) -> None:
        """Return once the event is stored, now or before. Raises InboxFull, and Unreachable where it may not be."""
        size = len(received.body)
        if len(self._waiting) >= WAITING_EVENTS_MAX or self._bytes + size > WAITING_BYTES_MAX:
            raise InboxFull(f"{len(self._waiting)} events wait to be stored: try again")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((received, done))
        self._bytes += size
        self._came.set()
        await done

    async def run(self) -> None:
        """Store what comes, until cancelled; what still waits then is refused."""
        try:
            while True:
                await self._came.wait()
                await self._store(self._batch())
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._thread.shutdown(wait=False)
            for _, done in self._waiting:
                if not done.done():
                    done.set_exception(Unreachable("the gating service is stopping: try again"))

    def _batch(self) -> list[Waiting]:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_EVENTS_MAX))]
        self._bytes -= sum(len(received.body) for received, _ in batch)
        if not self._waiting:
            self._came.clear()
        return batch

    async def _store(self, batch: list[Waiting]) -> None:
        rows = [received for received, _ in batch]
        storing = asyncio.get_running_loop().run_in_executor(
            self._thread, self._ledger.note, lambda connection: events.store(connection, rows)
        )
        failed: Exception | None = None
        try:
            await storing
        except asyncio.CancelledError:
            _answer(batch, Unreachable("the gating service is stopping: try again"))
            raise
        except Exception as error:  # each of them is told; the loop goes on
            failed = error
        self._stored()
        try:
            for at in range(0, len(batch), ANSWERS_AT_A_TIME):
                _answer(batch[at : at + ANSWERS_AT_A_TIME], failed)
                await asyncio.sleep(0)
        finally:
            _answer(batch, failed)


def _answer(batch: list[Waiting], failed: Exception | None) -> None:
    """Have each be answered that is not yet, and whose caller has not gone."""
    for _, done in batch:
        if done.done():
            continue
        if failed is None:
            done.set_result(None)
        else:
            done.set_exception(failed)
