"""Group: the hits of one tick of the loop, and the one moment that decides, writes and answers all of them.

Filled by protocol.py (a pixel) and app.py (pixels of the reference path, batches). The first hit of a tick schedules
the commit, which runs once every chunk that was ready has been read, or PROMPT_HITS of them: only then is the clock
read, so a worker that was frozen while it read gates by what holds when it wakes (I5). A kept hit is answered after its
frame is in the journal (I1), a dropped one in the same moment and with the same bytes (I2), and each is counted once
(I4).

Must not await, log a hit, or keep anything past the tick beyond what the connections' cap bounds (I3).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from collector.batch import EVENT_BYTES_MAX, EVENTS_MAX
from collector.entry import ACCOUNT, PLAIN_END
from collector.errors import JournalFailed, JournalFull
from collector.gate import SHARD_MASK, Gate
from collector.hit import HEAD_BYTES_MAX
from collector.journal.format import FLAG_OF_BATCH, FLAG_VERIFIED, PAYLOAD_BYTES_MAX, RECORD
from collector.linger import Linger
from collector.outcome import Outcome
from gating.status import Verdict

GROUP_HITS_MAX: Final = 1024  # a tick's group closes here
PROMPT_HITS: Final = 16
"""And at durability `process` here already: those that were read first are answered before more is read. When many are
ready at once (64 behind a pause of the machine) the p99 of service time is a third and less by it, for some 2 % of CPU
at full load (docs/performance.md). A frame that must be synced is worth more hits."""
TICK_PROMPT_HITS: Final = 2048
"""So many of a tick are answered before its end; the answers to all that come then wait for it. libuv (1.52,
uv__io_poll) polls again within a tick while it gets the 1,024 events it has room for, up to 48 times. With more
connections busy than that, each answered at once and asking again, a tick took 49,152 hits, and new connections,
batches and timers waited for 0.7 s. Clients that wait ask nothing, so the tick runs out of events."""
GROUP_EVENT_BYTES_MAX: Final = 8 * 1024**2  # and here, counting what batches brought
_RECORD_BYTES_MAX: Final = HEAD_BYTES_MAX + 1024  # fields, account, peer, and what normalising may add to a head
if GROUP_HITS_MAX * _RECORD_BYTES_MAX + GROUP_EVENT_BYTES_MAX > PAYLOAD_BYTES_MAX:  # not `assert`: -O would drop it
    raise ValueError(f"a full group ({GROUP_HITS_MAX} hits) must fit a frame ({PAYLOAD_BYTES_MAX} bytes)")
if EVENTS_MAX * (_RECORD_BYTES_MAX + EVENT_BYTES_MAX) > PAYLOAD_BYTES_MAX:
    raise ValueError(f"the largest batch ({EVENTS_MAX} events) must fit a frame ({PAYLOAD_BYTES_MAX} bytes)")

FAILING_US: Final = 5_000_000  # after a failed append drops get 503 too for this long, unless one succeeds before
REFUSED: Final = -1
_OVERFLOW: Final = Outcome.OVERFLOW
_RECORD_FLAGS: Final = tuple(
    {
        Outcome.ACCEPTED: Verdict.ACCEPT | FLAG_VERIFIED,
        Outcome.HIDDEN: Verdict.HIDE | FLAG_VERIFIED,
        Outcome.UNVERIFIED: Verdict.HIDE | 0,  # unseen until it is settled
    }.get(outcome, 0)
    for outcome in Outcome
)
"""A record's flags by outcome; 0 where nothing is kept."""

Hit = tuple[bytes, bytes, bytes, bytes]
"""Write key, the peer's address, raw head, one event's JSON (b"" for a pixel)."""


class Waiter(Protocol):
    """Whoever an answer is owed to."""

    def committed(self, kept: bool) -> None:
        """The tick is over: answer 200 (202), or 503 where its hits could not be journalled. Must not raise."""


class JournalWriter(Protocol):
    """What a group needs of a journal (`collector.journal`)."""

    @property
    def room(self) -> bool: ...

    def append(self, received_at_us: int, parts: list[bytes], hits: int) -> int: ...

    def sync(self) -> None: ...


class Group:
    """The hits of a tick, at durability `process`: an append is one write(), which survives any death of ours.

    Hits go in by `add` and `add_batch`; each waiter's `committed` is called once, in the order they came.

    outcomes: the worker's counters, by Outcome. on_fatal: called with what must end the process; the hits it befell are
    neither answered nor counted. linger: waits at the end of a tick, once all of it is answered.
    """

    __slots__ = (
        "_closed_hits",
        "_closes_at",
        "_event_bytes",
        "_failing_until_us",
        "_gate",
        "_hits",
        "_journal",
        "_linger",
        "_loop",
        "_on_fatal",
        "_outcomes",
        "_owed",
        "_waiters",
    )

    def __init__(
        self,
        gate: Gate,
        journal: JournalWriter,
        outcomes: list[int],
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
        linger: Linger | None = None,
    ) -> None:
        self._gate = gate
        self._journal = journal
        self._outcomes = outcomes
        self._loop = loop
        self._on_fatal = on_fatal
        self._hits: list[Hit] = []
        self._waiters: list[Waiter] = []
        self._event_bytes = 0
        self._failing_until_us = 0
        self._closes_at = PROMPT_HITS
        self._closed_hits = 0  # of this tick, in groups that closed before its end
        self._owed: list[tuple[list[Waiter], bool]] = []  # settled, to be answered
        self._linger = linger

    def add(self, waiter: Waiter, key: bytes, peer: bytes, head: bytes) -> None:
        """One pixel joins the tick. The waiter may have no other hit in it."""
        hits = self._hits
        if not hits:
            self._loop.call_soon(self._end_tick)
        elif len(hits) >= self._closes_at:
            self._close_early()
            hits = self._hits
        hits.append((key, peer, head, b""))
        self._waiters.append(waiter)

    def add_batch(self, waiter: Waiter, hits: Sequence[Hit]) -> None:
        """Events of one request, at least one, join the tick in one frame: all of them are kept or none.

        hits: at most EVENTS_MAX, each event at most EVENT_BYTES_MAX, as `parse_events` cuts them.
        """
        event_bytes = sum(len(hit[3]) for hit in hits)
        if not self._hits:
            self._loop.call_soon(self._end_tick)
        elif len(self._hits) + len(hits) > GROUP_HITS_MAX or self._event_bytes + event_bytes > GROUP_EVENT_BYTES_MAX:
            self._close_early()
        self._hits.extend(hits)
        self._waiters.append(waiter)
        self._event_bytes += event_bytes
        if self._event_bytes > GROUP_EVENT_BYTES_MAX:  # a batch as large as that has the frame to itself
            self._close_early()

    def _close_early(self) -> None:
        """Make room in the midst of a tick. Once many of it are answered, the answers wait for its end."""
        self._closed_hits += len(self._hits)
        self._settle()
        if self._closed_hits <= TICK_PROMPT_HITS:
            self._answer()

    def _end_tick(self) -> None:
        """All that was ready has been read: commit what is left, and linger where nothing more is waiting."""
        hits, self._closed_hits = self._closed_hits + len(self._hits), 0
        self._commit()
        if self._linger is not None and not self._hits:  # else an answer freed a chunk that was held back behind it
            self._linger.after_tick(hits)

    def _commit(self) -> None:
        self._settle()
        self._answer()

    def _settle(self) -> None:
        hits, waiters = self._take()
        try:
            kept = self._write(hits)
        except Exception as error:
            self._on_fatal(error)
        else:
            self._owed.append((waiters, kept != REFUSED))

    def _answer(self) -> None:
        """Answer all that is owed. An answer may let in a hit that was held back behind it, which may close a group."""
        owed, self._owed = self._owed, []  # else closing it would answer these too, and so on, each a call deeper
        for waiters, kept in owed:
            for waiter in waiters:
                waiter.committed(kept)

    def _take(self) -> tuple[list[Hit], list[Waiter]]:
        hits, waiters = self._hits, self._waiters
        self._hits, self._waiters, self._event_bytes = [], [], 0
        return hits, waiters

    def _write(self, hits: list[Hit]) -> int:
        """Decide every hit by one clock reading, journal those to keep in one frame, count all.

        Returns how many were kept, or REFUSED. Raises what must end the process.
        """
        gate = self._gate
        now_us, leased = gate.tick()
        decide, shards, version = gate.decide, gate.shards, gate.version  # the loop is hot
        pack, flags_of = RECORD.pack, _RECORD_FLAGS
        parts: list[bytes] = []
        kept, outcomes = 0, self._outcomes
        counts = outcomes.copy()  # taken over once the frame is written
        for key, peer, head, event in hits:
            entry = shards[hash(key) & SHARD_MASK].get(key)
            if entry is not None and leased and (outcome := entry[0]) < PLAIN_END:  # what `decide` does, without calls
                account = entry[ACCOUNT]
            else:
                outcome, account = decide(key, now_us, leased)
            counts[outcome] += 1
            if flags := flags_of[outcome]:
                kept += 1
                if event:
                    flags |= FLAG_OF_BATCH
                parts += (
                    pack(version, len(event), len(head), flags, len(account), len(peer)),
                    account,
                    peer,
                    head,
                    event,
                )
        if not self._append(now_us, parts, kept):
            outcomes[_OVERFLOW] += len(hits)
            return REFUSED
        outcomes[:] = counts
        return kept

    def _append(self, now_us: int, parts: list[bytes], kept: int) -> bool:
        """Write the frame. False where that failed, or failed so lately that a 200 would tell a DROP apart (I2)."""
        if not kept:
            return now_us >= self._failing_until_us and self._journal.room
        try:
            self._journal.append(now_us, parts, kept)
        except (JournalFull, JournalFailed):
            self._failing_until_us = now_us + FAILING_US
            return False
        self._failing_until_us = 0
        return True


class SyncedGroup(Group):
    """The same at durability `disk`: group N is synced in a thread while N + 1 collects, so one at most is unsynced.

    A group is decided, written and answered only once the one before it is on disk. A sync that fails answers nobody:
    the kernel may have lost what was written, so the process must end.
    """

    __slots__ = ("_closed", "_unsynced")

    def __init__(
        self,
        gate: Gate,
        journal: JournalWriter,
        outcomes: list[int],
        loop: asyncio.AbstractEventLoop,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        super().__init__(gate, journal, outcomes, loop, on_fatal)
        self._closes_at = GROUP_HITS_MAX
        self._closed: deque[tuple[list[Hit], list[Waiter]]] = deque()  # full ones; the connections' cap bounds them
        self._unsynced: list[Waiter] | None = None  # whose group is written and being synced

    def _close_early(self) -> None:
        self._closed.append(self._take())

    def _commit(self) -> None:
        while self._unsynced is None and (self._closed or self._hits):
            hits, waiters = self._closed.popleft() if self._closed else self._take()
            try:
                kept = self._write(hits)
            except Exception as error:
                self._on_fatal(error)
                return
            if kept > 0:
                self._unsynced = waiters
                self._loop.run_in_executor(None, self._journal.sync).add_done_callback(self._synced)
            else:
                for waiter in waiters:
                    waiter.committed(kept != REFUSED)

    def _synced(self, sync: asyncio.Future[None]) -> None:
        if error := sync.exception():
            self._on_fatal(error)
            return
        waiters, self._unsynced = self._unsynced or [], None
        for waiter in waiters:
            waiter.committed(True)
        self._commit()
