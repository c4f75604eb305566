"""Sweeper: makes the deadlines durable that have come, in order of their moments; the gates enforced them already.

One a service; only the leading one's sweeps. It goes through the accounts by deadline, a page at a time, and leaves
behind what must wait: what a clock in doubt holds, and what hangs on activity that is not known up to then. Those are
looked at again now and then, so that they cost nothing each time.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from gating.clock import Reading
from gating.deadlines import Deadlines
from gating.errors import PixelgateError, RulebookInvalid, Unreachable
from gating.feed import StatusChange
from gating.heartbeat import Doubt, Heartbeat, Way, doubt_of
from gating.ledger import Come, Ledger, Transaction
from gating.lifecycle import due
from gating.shelf import Shelf

PAGE_ACCOUNTS: Final = 100
"""Accounts whose deadlines one transaction makes durable, and that flips wait for."""
LOOK_SECONDS: Final = 30.0
"""Between two looks at all that waits."""
SLIDING: Final = '"anchor":"last_activity"'
"""In an account's state where a deadline of its hangs on activity; others need not be read."""

_log = logging.getLogger("pixelgate.gating")

Reads = Callable[[Callable[[], Any]], Awaitable[Any]]
Records = Callable[[Callable[[Transaction], list[StatusChange]]], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class ClockState:
    """The clock as the ledger sees it. waiting: deadlines that have come and are not durable, at the last look."""

    reading: Reading
    beat: Heartbeat | None
    waiting: int

    @property
    def doubt(self) -> Doubt | None:
        """Why the clock is not believed; None where it is."""
        return doubt_of(self.beat, self.reading)


class Sweeper:
    """One service's. read: runs a question in a thread that holds no flip up. record: commits what a block records."""

    def __init__(
        self,
        ledger: Ledger,
        shelf: Shelf,
        deadlines: Deadlines,
        *,
        reading: Callable[[], Reading],
        read: Reads,
        record: Records,
    ) -> None:
        self._ledger, self._shelf, self._deadlines = ledger, shelf, deadlines
        self._reading, self._read, self._record = reading, read, record
        self._place = (0, "")  # behind what waits
        self._waiting = 0  # met since the last look began
        self._look_at_ns = 0  # when all that waits is looked at again, by CLOCK_BOOTTIME
        self._way: Way | None = None
        self.seen: ClockState | None = None
        self.is_behind = False  # whether more has come than one page holds

    async def step(self) -> int:
        """Make one page durable; returns how many changes that were, 0 where nothing is left to do."""
        page: list[Come]
        while True:
            page, ripe = await self._read(self._next)
            self.is_behind = len(ripe) == PAGE_ACCOUNTS
            if not ripe:
                return 0  # no write transaction for nothing: it would hold flips up

            changes = await self._made_durable(ripe)
            self._waiting += len(page) - len(ripe)
            self._place = page[-1].at_us, page[-1].id
            if changes:
                return changes

    async def _made_durable(self, accounts: list[str]) -> int:
        """Record what has come of these; one that fails by itself (its rulebook is lost) holds nobody else up."""

        def record(transaction: Transaction) -> list[StatusChange]:
            transaction.load(accounts)
            return [change for account in accounts for change in self._deadlines.record(transaction, account)]

        try:
            return await self._record(record)
        except Unreachable:
            raise
        except PixelgateError as error:
            if len(accounts) > 1:
                return sum([await self._made_durable([account]) for account in accounts])
            _log.error("a deadline of account %s cannot be made durable: %s", accounts[0], error)
            return 0

    def state(self) -> ClockState:
        """The clock as of now; reads the ledger."""
        now_us = self._reading().wall_us
        waiting = self._ledger.count_come(now_us) if self.seen is None else self.seen.waiting
        beat = self._ledger.beat.read()  # first: one that is stored meanwhile must not be later than the reading
        return ClockState(self._reading(), beat, waiting)

    def look_again(self) -> None:
        """Look at all that waits at the next step: what it waited for may have come."""
        self._look_at_ns = 0

    async def watch(self) -> None:
        """What a service that does not lead sees of the clock, for whoever asks it."""
        self.seen = await self._read(self.state)

    def _next(self) -> tuple[list[Come], list[str]]:
        """The next page that holds accounts of which something may be done, and these."""
        state = self.state()
        doubt, reading = state.doubt, state.reading
        way = doubt.way if doubt else None
        if way is not self._way:
            self._tell(doubt)
        if way is not self._way or reading.boot_ns >= self._look_at_ns:
            self._way, self._waiting, self._place = way, 0, (0, "")
            self._look_at_ns = reading.boot_ns + int(LOOK_SECONDS * 1e9)
        if way is Way.BEHIND:
            horizon_us = doubt.horizon_us if doubt else 0
            self.seen = ClockState(reading, state.beat, self._ledger.count_come(horizon_us))
            return [], []
        while page := self._ledger.come(reading.wall_us, self._place, PAGE_ACCOUNTS):
            ripe = self._ripe(page, doubt, reading.wall_us)
            if ripe:
                return page, ripe
            self._waiting += len(page)
            self._place = page[-1].at_us, page[-1].id
        self.seen = ClockState(reading, state.beat, self._waiting)
        return [], []

    def _ripe(self, page: list[Come], doubt: Doubt | None, now_us: int) -> list[str]:
        """The accounts of the page whose deadline can be made durable, or moves on with what was reported."""
        sliding = any(SLIDING in come.state for come in page)
        if doubt is None and not sliding:
            return [come.id for come in page]
        known_us = self._ledger.activity.known_us(now_us) if sliding else 0
        return [come.id for come in page if self._is_ripe(come, doubt, now_us, known_us)]

    def _is_ripe(self, come: Come, doubt: Doubt | None, now_us: int, known_us: int) -> bool:
        account = come.account
        if account.deadline is not None and not account.deadline.fixed and account.deadline.at_us > known_us:
            return False
        if doubt is None:
            return True
        try:
            decisions = due(self._shelf.of(account), account, now_us, known_us)
        except RulebookInvalid:
            return False  # what it comes to cannot be told: it waits with what is held
        return bool(decisions) and not doubt.holds(decisions[0])

    def _tell(self, doubt: Doubt | None) -> None:
        if doubt is None:
            _log.warning("the clock is believed again: deadlines go on")
        elif doubt.of_note:
            _log.error("%s: see `pixelgate clock show`", doubt.in_words())
