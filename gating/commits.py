"""Commits: changes of a ledger, one transaction after the other; those that wait together share one.

Run by `service.py`, whose verbs are such changes. A commit is what a flip costs most (a disk's flush, a server's round
trips), so whatever came while one was under way goes into the next one together. Each change stands or falls by
itself: where one is refused, the others are carried out without it. All writing is done in one thread of its own, so
that the loop goes on answering the workers' reports while a commit waits for the disk.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gating.clock import boot_ns
from gating.errors import PixelgateError, Unreachable
from gating.feed import StatusChange
from gating.lead import Lead
from gating.ledger import Ledger, Transaction

T = TypeVar("T")
Document = dict[str, Any]
Made = tuple[Document, list[StatusChange]]
Change = Callable[[Transaction], Made]
"""What happens inside a write transaction: the document to answer with, and the changes to announce. It may be run
again, so it keeps nothing of an earlier run."""

WAIT_SECONDS: Final = 10.0
GROUP_MAX: Final = 32
"""Changes in one transaction."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether to return only when every worker enforces the change, and how long to wait for that.

    around: what must stand or fall with the change, in its own transaction: given the change, returns what is run.
    """

    wait: bool = True
    timeout_seconds: float = WAIT_SECONDS
    around: Callable[[Change], Change] | None = None

    def framed(self, change: Change) -> Change:
        """The change with what is around it."""
        return change if self.around is None else self.around(change)


@dataclass(slots=True)
class _Asked:
    change: Change
    done: "asyncio.Future[int]"  # when it was committed, by CLOCK_BOOTTIME
    alone: bool
    account: str | None
    document: Document
    version: int | None = None  # its own last change's; None where it made none
    error: BaseException | None = None

    def carry_out(self, transaction: Transaction) -> list[StatusChange]:
        """Run the change, and keep what it comes to."""
        self.document, made = self.change(transaction)
        self.version = made[-1].version if made else None
        return made


class Commits:
    """All changes that this process makes of one ledger, with one leader behind them."""

    def __init__(self, ledger: Ledger, lead: Lead) -> None:
        self._ledger = ledger
        self._lead = lead
        self._asked: deque[_Asked] = deque()
        self._running: asyncio.Task[None] | None = None
        self._in_doubt = False  # whether a commit failed and the ledger could not be asked what became of it
        self._writes = ThreadPoolExecutor(1, thread_name_prefix="ledger-writes")
        self._notes = ThreadPoolExecutor(1, thread_name_prefix="ledger-notes")
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="ledger-reads")  # a long list holds no flip up

    def close(self, last: Callable[[], None]) -> None:
        """Let the transaction that runs end, and write what is left to be noted."""
        self._writes.shutdown()
        self._notes.submit(last)
        self._notes.shutdown()
        self._reads.shutdown()

    async def commit(
        self, change: Change, waiting: Waiting, *, account: str | None = None, alone: bool = False
    ) -> Document:
        """Run a change, announce it, wait behind the fence; its document, and how that went.

        account: the one it is about: a group's are read together. alone: in a transaction of its own. Raises what the
        change raises, Unreachable, NotEnforcedInTime (committed all the same).
        """
        asked_ns = boot_ns()
        asked = _Asked(waiting.framed(change), asyncio.get_running_loop().create_future(), alone, account, {})
        self._asked.append(asked)
        if self._running is None:
            self._running = asyncio.create_task(self._drain())
        committed_ns = await asked.done
        if not waiting.wait:
            return {**asked.document, "enforced": False, "workers": len(self._lead.workers()), "waited_ms": 0.0}
        version = self._lead.head if asked.version is None else asked.version  # others' that came since are not its own
        workers = await self._lead.enforced(version, waiting.timeout_seconds)
        now_ns = boot_ns()
        return {
            **asked.document,
            "enforced": True,
            "workers": workers,
            "waited_ms": round((now_ns - asked_ns) / 1e6, 3),
            "enforced_ms": round((now_ns - committed_ns) / 1e6, 3),
        }

    async def read(self, ask: Callable[[], T]) -> T:
        """Run what only reads the ledger, in a thread that holds no change up."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, ask)

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Run what writes to the ledger and is no change, in the one thread that does: on PostgreSQL no flip waits for
        it, in a file they take turns."""
        return await asyncio.get_running_loop().run_in_executor(self._notes, work)

    async def settle_doubt(self) -> None:
        """Ask the ledger where it stands, if a commit's outcome is not known. Raises Unreachable."""
        if self._in_doubt:
            await self._look_at_head()

    async def _drain(self) -> None:
        try:
            while self._asked:
                await self._commit_next()
        finally:
            self._running = None

    async def _commit_next(self) -> None:
        """One transaction. The head moves before anything else can be granted.

        A commit that fails may have been one all the same (an I/O error after it was durable, an answer that was lost
        with the connection), so the ledger is asked where it stands; the sweeper goes on asking where it cannot be.
        """
        group: list[_Asked] = []
        try:
            changes = await asyncio.get_running_loop().run_in_executor(self._writes, self._run, group)
            committed_ns = boot_ns()
            self._lead.announce(changes)
        except Exception as error:
            self._in_doubt = True
            with contextlib.suppress(PixelgateError):
                await self._look_at_head()
            for asked in group:
                _tell(asked, error)
            return
        for asked in group:
            _tell(asked, asked.error, committed_ns)

    def _run(self, group: list[_Asked]) -> list[StatusChange]:
        """Carry out what waits now, in the writing thread; fills `group`, returns all changes in order."""
        while self._asked and len(group) < GROUP_MAX and not (group and (self._asked[0].alone or group[0].alone)):
            group.append(self._asked.popleft())
        try:
            return self._ledger.change(lambda transaction: _together(transaction, group))
        except _Failed as failed:
            if len(group) == 1:
                group[0].error = failed.__cause__
                return []
        return self._ledger.change(lambda transaction: _apart(transaction, group))

    async def _look_at_head(self) -> None:
        """Move the head to where the ledger stands. Raises Unreachable."""
        self._lead.advance((await self.read(self._ledger.head)).version)
        self._in_doubt = False


class _Failed(Exception):
    """One of a group was refused: nothing of the group was changed."""


def _together(transaction: Transaction, group: list[_Asked]) -> list[StatusChange]:
    """The group as one: its rows are written together at the end. Most groups hold nothing that is refused."""
    changes: list[StatusChange] = []
    if len(group) > 1:
        transaction.load([asked.account for asked in group if asked.account is not None])
    for asked in group:
        try:
            changes += asked.carry_out(transaction)
        except Unreachable:
            raise
        except Exception as error:
            raise _Failed from error
    return changes


def _apart(transaction: Transaction, group: list[_Asked]) -> list[StatusChange]:
    """Each of the group by itself: what is refused is undone, the others are carried out."""
    changes: list[StatusChange] = []
    for asked in group:
        asked.error = None
        try:
            with transaction.attempt():
                made = asked.carry_out(transaction)
        except Unreachable:
            raise
        except Exception as error:
            asked.error = error
        else:
            changes += made
    return changes


def _tell(asked: _Asked, error: BaseException | None, committed_ns: int = 0) -> None:
    if asked.done.done():
        return  # whoever asked has gone
    if error is not None:
        asked.done.set_exception(error)
    else:
        asked.done.set_result(committed_ns)
