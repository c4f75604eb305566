"""Relay: carries every committed change from the ledger's outbox to Redis, and has Redis rebuilt when it cannot go on.

Run by the gating service; works only while that one leads. The ledger alone is truth (I6): Redis may be flushed, fail
over, go back to an older dump or be away for days, and is brought to the ledger's head again - by replaying the changes
that the outbox still holds, or under a new epoch by a rebuild. Meanwhile flips are committed and simply not announced.
It grants no lease and answers no report: that is the leader's, which is told of a head before Redis is.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gating.accounts_topic import AccountsTopic
from gating.backoff import Backoff
from gating.errors import PixelgateError
from gating.feed import StatusChange
from gating.ledger import CHANGE, Head, Ledger, OutboxRow
from gating.ledger.tables import OWED_MAX
from gating.rebuild import Awaits, Rebuild, reason_to_rebuild
from gating.redis_line import Line
from gating.relay_script import STREAM_CHANGES_MAX, Outpaced, RebuildNeeded, RelayScript

T = TypeVar("T")
POLL_SECONDS: Final = 0.5
"""How often Redis is looked at, and the outbox where nobody said that there is something."""
BATCH_CHANGES: Final = 200
"""Changes sent together: about 5 ms of Redis' time, within its bound for an answer by far."""
CHANGES_RETAINED: Final = 10_000
"""Carried changes that stay in the outbox: a Redis that fell back by no more is replayed, under the same epoch."""
CHANGES_OWED_MAX: Final = 1_000_000
"""Changes that wait for a place which is away; beyond it the oldest go, and that place gets the whole state instead."""
FORGET_SECONDS: Final = 2.0
FORGET_CHANGES: Final = 2_000
"""Rows that one transaction forgets: it holds flips up for about 5 ms."""
BACKOFF_SECONDS: Final = 0.05
BACKOFF_SECONDS_MAX: Final = 2.0

_log = logging.getLogger("pixelgate.gating")


class Leader(Protocol):
    """What the relay asks of whoever may lead, and tells it: `shared_lead.SharedLead`."""

    @property
    def term(self) -> int:
        """The current term's number; 0 while another service leads."""

    @property
    def epoch(self) -> str: ...

    def advance(self, version: int) -> None:
        """From here on leases are granted for no older head; called before a change is sent."""

    def restart(self, epoch: str) -> None:
        """The ledger has another epoch now: leases are granted in no other from here on."""


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """relayed: the version Redis stands at, as far as known; lag: changes it still misses; trouble: why, or None."""

    relayed: int
    lag: int
    trouble: str | None
    rebuilding: bool
    rebuilds: int
    topic_version: int | None
    topic_trouble: str | None


class Relay:
    """One gating service's. in_turn: awaits a callable in the one thread that may write to the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        redis: Redis,
        leader: Leader,
        *,
        in_turn: Awaits,
        accounts_topic: AccountsTopic | None = None,
        changes_retained: int = CHANGES_RETAINED,
        stream_changes_max: int = STREAM_CHANGES_MAX,
    ) -> None:
        self._ledger, self._redis, self._leader, self._in_turn = ledger, redis, leader, in_turn
        self._topic = accounts_topic
        self._changes_retained, self._stream_changes_max = changes_retained, stream_changes_max
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="relay-reads")
        self._due = asyncio.Event()
        self._backoff = Backoff(BACKOFF_SECONDS, BACKOFF_SECONDS_MAX)
        self._line: Line | None = None
        self._term = 0  # under which Redis was last looked at
        self._epoch = ""
        self._relayed = 0
        self._head = 0  # the ledger's, as last read
        self._must_look, self._must_compare, self._must_read = True, True, True
        self._fresh: list[StatusChange] = []
        self._rebuilding = Rebuild(ledger, leader, in_turn=in_turn, read=self._read)
        self._trouble: str | None = None

    def wake(self, changes: Sequence[StatusChange] = ()) -> None:
        """Something was committed: carry it now.

        changes: what this very process has just committed, where it can say so. They are sent as they are if they
        follow on what Redis has, which spares two queries and two changes of thread; else the outbox is read.
        """
        if changes and len(self._fresh) + len(changes) <= BATCH_CHANGES:
            self._fresh += changes
        else:
            self._must_read = True
        self._due.set()
        if self._topic is not None:
            self._topic.wake()

    def status(self) -> RelayStatus:
        """Plain values, for metrics and `doctor`."""
        return RelayStatus(
            self._relayed,
            max(0, self._head - self._relayed),
            self._trouble,
            self._rebuilding.under_way,
            self._rebuilding.done,
            None if self._topic is None else self._topic.version,
            None if self._topic is None else self._topic.trouble,
        )

    async def run(self) -> None:
        """Carry changes while this service leads; until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry_on())
                tasks.create_task(self._forget_on())
                if self._topic is not None:
                    tasks.create_task(self._topic.run(lambda: self._leader.term))
        finally:
            await self._hang_up()
            self._reads.shutdown(wait=False, cancel_futures=True)

    # ---- carrying ---------------------------------------------------------------------------------------------------

    async def _carry_on(self) -> None:
        while True:
            try:
                if self._leader.term:
                    await self._carry()
            except (RedisError, PixelgateError, RebuildNeeded, Outpaced) as error:
                await self._hang_up()
                self._tell(str(error))
                with contextlib.suppress(PixelgateError):
                    self._head = (await self._read(self._ledger.head)).version  # so that the lag can be seen to grow
                await asyncio.sleep(self._backoff.next_seconds())
            else:
                await self._woken()

    async def _carry(self) -> None:
        """Everything that is owed now. Raises what keeps it from that."""
        if self._term != self._leader.term:
            self._term, self._must_look, self._must_compare = self._leader.term, True, True
        script = await self._connected()
        try:
            fresh, self._fresh = self._fresh, []
            if self._must_look:
                await self._look(script)
            elif not self._must_read and await self._send_fresh(script, fresh):
                return
            self._must_read = False
            while await self._send(script):
                pass
        except RebuildNeeded as need:
            await self._rebuild(script, str(need))
        except Outpaced as outpaced:
            await self._outpaced(script, outpaced)
        self._backoff.reset()
        self._tell(None)

    async def _look(self, script: RelayScript) -> None:
        """Where Redis stands. Raises RebuildNeeded where it cannot be gone on from there."""
        head = await self._read(self._ledger.head)
        self._head = head.version
        if self._leader.epoch != head.epoch:
            self._leader.restart(head.epoch)
        stands = await script.look(head.epoch)
        why = reason_to_rebuild(stands, head)
        if why is None and self._must_compare and stands.last is not None:
            why = await self._read(partial(self._difference, *stands.last))
        if why is not None or stands.head is None:
            raise RebuildNeeded(why or "the head is gone")
        if stands.term > self._term:
            raise Outpaced(stands.term)
        self._epoch, self._relayed = head.epoch, stands.head
        self._must_look, self._must_compare = False, False

    def _difference(self, version: int, change: bytes) -> str | None:
        """A ledger that went back and on again under the same epoch shows in the change that Redis has of it."""
        rows = self._ledger.outbox(version * OWED_MAX - 1, kind=CHANGE, limit=1)
        if rows and rows[0].version == version and rows[0].payload != change:
            return f"its version {version} is another change than the ledger's"
        return None

    async def _send(self, script: RelayScript) -> bool:
        """One batch; returns whether there may be more."""
        head, rows = await self._read(self._owed)
        self._head = head.version
        if head.epoch != self._epoch:
            raise RebuildNeeded("the ledger's epoch is another one now")
        if head.version <= self._relayed:
            return False
        rows = following(rows, self._relayed)
        if not rows:
            raise RebuildNeeded(f"the changes after version {self._relayed} are not in the outbox any more")
        if self._leader.term != self._term:
            return False
        await self._hand_over(script, rows)
        return len(rows) == BATCH_CHANGES

    async def _send_fresh(self, script: RelayScript, fresh: list[StatusChange]) -> bool:
        """What was just committed here; False where that is not all, or not what comes next: the outbox tells."""
        rows = [
            OutboxRow(one.version * OWED_MAX, one.version, one.account, one.at_us, CHANGE, one.encode())
            for one in fresh
            if one.version > self._relayed
        ]
        if following(rows, self._relayed) != rows or (self._leader.term, self._leader.epoch) != (
            self._term,
            self._epoch,
        ):
            return False
        if rows:
            self._head = max(self._head, rows[-1].version)
            await self._hand_over(script, rows)
        return True

    async def _hand_over(self, script: RelayScript, rows: list[OutboxRow]) -> None:
        self._leader.advance(rows[-1].version)
        self._relayed = await script.changes(self._epoch, self._term, rows)

    def _owed(self) -> tuple[Head, list[OutboxRow]]:
        # The head first: what it names is in the outbox, unless it was forgotten.
        head = self._ledger.head()
        after = (self._relayed + 1) * OWED_MAX - 1
        return head, self._ledger.outbox(after, kind=CHANGE, limit=BATCH_CHANGES)

    async def _outpaced(self, script: RelayScript, outpaced: Outpaced) -> None:
        """Give way to a newer leader - or, where the ledger knows none, to nobody: then it was put back since."""
        term = self._term
        if (await self._read(self._ledger.lead)).term != term or self._leader.term != term:
            raise outpaced
        await self._rebuild(script, f"term {outpaced.term} stands there, and the ledger is at {term}", outpaced.term)

    async def _rebuild(self, script: RelayScript, why: str, over_term: int = 0) -> None:
        self._must_look = True
        _log.warning("Redis is rebuilt under a new epoch: %s", why)
        built = await self._rebuilding.run(script, self._term, over_term)
        self._leader.advance(built.version)
        self._epoch, self._relayed = built.epoch, built.version
        self._due.set()  # what was committed meanwhile

    # ---- forgetting -------------------------------------------------------------------------------------------------

    async def _forget_on(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            if self._leader.term:
                try:
                    await self.forget()
                except PixelgateError as error:
                    _log.warning("carried changes were not forgotten: %s", error)

    async def forget(self) -> None:
        """Have the outbox forget what is carried everywhere and will not be replayed."""
        while True:
            oldest = await self._read(lambda: self._ledger.outbox(kind=CHANGE, limit=1))
            first = oldest[0].version if oldest else self._head + 1
            last = min(self._forgettable(), first + FORGET_CHANGES - 1)
            if last - first < min(FORGET_CHANGES - 1, self._changes_retained // 10):
                return  # not a transaction for a row or two
            await self._in_turn(partial(self._ledger.delivered, CHANGE, last * OWED_MAX))

    def _forgettable(self) -> int:
        """The newest version that nobody needs from the outbox any more."""
        needless = self._relayed - self._changes_retained
        if self._topic is not None:
            needless = min(needless, self._topic.version)
        return max(needless, self._head - CHANGES_OWED_MAX)

    # ---- inside -----------------------------------------------------------------------------------------------------

    async def _connected(self) -> RelayScript:
        if self._line is None or not self._line.connected:
            self._must_look, self._must_compare = True, True  # it may be another server, or the same one put back
            self._line = Line(self._redis)
            await self._line.connect()
        return RelayScript(self._line, stream_changes_max=self._stream_changes_max)

    async def _hang_up(self) -> None:
        self._must_look = True
        if self._line is not None:
            await self._line.close()

    async def _woken(self) -> None:
        """Until there is something to carry, or Redis is to be looked at again."""
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._due.wait()
        except TimeoutError:
            self._must_look = True
        self._due.clear()

    async def _read(self, ask: Callable[[], T]) -> T:
        """Ask the ledger in a thread of the relay's own: a long page holds no flip up."""
        return await asyncio.get_running_loop().run_in_executor(self._reads, ask)

    def _tell(self, trouble: str | None) -> None:
        """One line where it begins, and one where it ends."""
        if trouble is not None and self._trouble is None:
            _log.warning("changes are not carried to Redis: %s", trouble)
        elif trouble is None and self._trouble is not None:
            _log.warning("changes are carried to Redis again")
        self._trouble = trouble


def following(rows: list[OutboxRow], version: int) -> list[OutboxRow]:
    """The rows that follow `version` one after the other without a gap. Pure."""
    last = version
    for row in rows:
        if row.version != last + 1:
            break
        last = row.version
    return rows[: last - version]
