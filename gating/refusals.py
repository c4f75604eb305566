"""Refusals: every command, key action and move that was refused once its account was known is written down.

Called by the service around each of its changes. A refusal is recorded in a transaction of its own, after the refused
one was rolled back and before the refused are answered; a dry run asks only, and is not recorded. Ids and codes alone:
what people wrote (reasons, notes, `--set`) never gets here. How much of a flood is written is `tally.py`'s to say.
"""

import asyncio
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from gating.clock import Clock
from gating.errors import AlreadyExists, GatingError, InputInvalid, NotFound, PixelgateError, Refused
from gating.ledger import Ledger, Transaction, Who
from gating.ledger.refusals import RefusalRow
from gating.refusal import NO_SUCH_COMMAND
from gating.status import Role
from gating.tally import ROWS_MAX, Tally
from gating.times import rfc3339

T = TypeVar("T")
Waiting = TypeVar("Waiting")
Document = dict[str, Any]
InTurn = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]

REFUSALS: Final = (Refused, NotFound, AlreadyExists, InputInvalid)
"""What a caller is told who may not, or has named or given what does not do. Servers that fail refuse nobody."""
UNKNOWN: Final = "unknown"
"""A command that no rulebook has, an actor that is no id: what was written in its place may be anything."""
CLOSE_SECONDS: Final = 1.0
"""How often it is looked whether a minute's repeats are to be written."""
PENDING_MAX: Final = 2 * ROWS_MAX + 1
"""Rows kept while the ledger cannot be written: a minute's at the most."""

_ACTOR: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger("pixelgate.refusals")


@dataclass(slots=True)
class Attempt:
    """One change that is asked for; what it met is filled in as it is tried."""

    account: str
    command: str
    who: Who
    version: int | None = None

    def watched(self, change: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        """The change, with its account's version noted before it. An account that is not there can refuse nothing."""

        def noting(transaction: Transaction) -> T:
            row = transaction.find(self.account)
            self.version = None if row is None else row.version
            return change(transaction)

        return noting

    def refused(self, error: GatingError, now_us: int) -> RefusalRow:
        """The row of this attempt, refused now."""
        command = UNKNOWN if error.rule == NO_SUCH_COMMAND else self.command
        actor = self.who.id if _ACTOR.fullmatch(self.who.id) else UNKNOWN
        return RefusalRow(
            self.account, self.version, now_us, now_us, 1, command, actor, self.who.role, _asker(self.who), error.code,
            error.rule,
        )  # fmt: skip


class Refusals(Collector):
    """Writes refusals down for one service, and counts them for Prometheus."""

    def __init__(self, ledger: Ledger, clock: Clock, in_turn: InTurn) -> None:
        """in_turn: runs what writes to the ledger."""
        self._ledger, self._clock, self._in_turn = ledger, clock, in_turn
        self._tally = Tally()
        self._mutex = threading.Lock()  # of `_pending`: the loop adds to it, the thread that writes takes from it
        self._pending: list[RefusalRow] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lost = 0

    async def watch(
        self,
        attempt: Attempt,
        change: Callable[[Transaction], T],
        waiting: Waiting,
        commit: Callable[..., Coroutine[Any, Any, Document]],
    ) -> Document:
        """Commit a change by `Commits.commit`; where it is refused, that is recorded before the error goes on."""
        try:
            return await commit(attempt.watched(change), waiting, account=attempt.account)
        except REFUSALS as error:
            await self.note(attempt, error)
            raise

    async def note(self, attempt: Attempt, error: GatingError) -> None:
        """Write a refusal down, if its account was there; to be called once what was refused is undone."""
        if attempt.version is None:
            return
        row = attempt.refused(error, self._clock.now_us())
        self._counts[row.command, row.code] += 1
        await self._take(self._tally.take(row))

    async def run(self) -> None:
        """Write each minute's repeats once it has ended; until cancelled."""
        while True:
            await asyncio.sleep(CLOSE_SECONDS)
            await self._take(self._tally.ended(self._clock.now_us()))

    def close(self) -> None:
        """Write what the minute has left; to be called where the ledger is written, after the last command."""
        self._keep(self._tally.end())
        self._write()

    def of(self, account: str, before: int | None = None) -> list[Document]:
        """The account's newest refusals below a sequence, oldest first. Raises NotFound."""
        rows = self._ledger.refusals.of(account, before)
        if not rows:
            self._ledger.account(account)
        return [refusal_view(row) for row in rows]

    def collect(self) -> list[Metric]:
        """The samples of one scrape."""
        refused = CounterMetricFamily(
            "pixelgate_refusals", "Commands, key actions and moves that were refused", labels=["command", "code"]
        )
        for (command, code), count in list(self._counts.items()):
            refused.add_metric([command, code], count)
        lost = CounterMetricFamily("pixelgate_refusals_unrecorded", "Rows of refusals the ledger could not be given")
        lost.add_metric([], self._lost)
        return [refused, lost]

    async def _take(self, rows: list[RefusalRow]) -> None:
        """Rows of several callers that wait for their turn share one commit."""
        self._keep(rows)
        if self._pending:
            await self._in_turn(self._write)

    def _keep(self, rows: list[RefusalRow]) -> None:
        with self._mutex:
            self._pending += rows
            self._lost += len(self._pending[PENDING_MAX:])
            del self._pending[PENDING_MAX:]

    def _write(self) -> None:
        """Never raises what would hide the refusal itself: rows that cannot be written are kept for the next time."""
        with self._mutex:
            rows, self._pending = self._pending, []
        try:
            self._ledger.refusals.add(rows)
        except PixelgateError as error:
            _log.warning("refusals were not recorded yet: %s", error)
            with self._mutex:
                newer, self._pending = self._pending, rows
            self._keep(newer)


def refusal_view(row: RefusalRow) -> Document:
    """One refusal, or `times` equal ones."""
    return {
        "sequence": row.sequence,
        "at": rfc3339(row.at_us),
        "until": rfc3339(row.until_us),
        "times": row.times,
        "account": row.account,
        "version": row.version,
        "command": row.command,
        "actor": row.actor,
        "role": row.role,
        "for": row.on_behalf,
        "code": row.code,
        "rule": row.rule,
    }


def _asker(who: Who) -> str | None:
    """On whose behalf, as a role: the person stays out of what is kept for ever."""
    if not who.on_behalf:
        return None
    role = who.on_behalf.partition(":")[0].partition("+")[0].casefold()
    return role if role in set(Role) else UNKNOWN
