"""RedisFeed: how a worker on any host learns of flips (the scale-out form of `Feed`).

Changes come by a stream, leases by pub/sub; the whole state is paged at the start and after a gap alone. Runs in the
worker's event loop, on connections of its own, and no hit ever waits for it: with Redis away the gate serves its last
map, unverified once the lease is over. Redis only carries: nothing it forgets, repeats or splits can grant a lease, and
within an epoch the map never moves backwards.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final

from redis.exceptions import RedisError

from gating import redis_keys
from gating.backoff import Backoff
from gating.clock import boot_ns
from gating.datagram import Answer, decode, encode
from gating.feed import Follower
from gating.lease import Lease
from gating.redis_client import open_redis
from gating.redis_line import Line
from gating.redis_state import NotNow, RedisState
from gating.saved_map import SavedMap

BLOCK_MS: Final = 500
"""How long a reading of the stream waits; then it is looked whether there is another epoch, or a gap."""
BLOCK_SECONDS_MAX: Final = 2.5
"""A reading that has not ended by then: the server is frozen, or the connection leads nowhere any more."""
STREAM_CHANGES: Final = 100
"""Changes taken from the stream at once: below a millisecond of the loop."""
LOAD_SECONDS_MAX: Final = 30.0
"""The start waits no longer for a whole map; it is gone on with while hits are kept unverified."""
COMPACT_LOOK_SECONDS: Final = 5.0
BACKOFF_SECONDS: Final = 0.05
BACKOFF_SECONDS_MAX: Final = 1.0

_log = logging.getLogger("pixelgate.gating")


class RedisFeed:
    """Keeps one follower at the head. `worker`: a name that no other start of any worker on any host has."""

    def __init__(
        self,
        follower: Follower,
        *,
        url: str,
        worker: str,
        saved: SavedMap | None = None,
        boot_ns: Callable[[], int] = boot_ns,
    ) -> None:
        """saved: where the map is kept for a start without Redis. Raises InputInvalid for the URL."""
        self._follower, self._worker, self._saved = follower, worker, saved
        self._redis = open_redis(url, name=f"pixelgate-{worker[:24]}")
        self._lease = Lease(follower, worker, boot_ns)
        self._report_due = asyncio.Event()
        self._standing = ""  # the epoch in which the map is whole, and follows the stream
        self._leaders_epoch = ""  # as of the newest answer
        self._troubles: dict[str, str] = {}
        self._snapshotting = False
        self._saved_stands = True  # whether the file that is written to would be of use to a start
        self.snapshots = 0  # how often the whole state was paged: once at the start, then once a gap

    @property
    def trouble(self) -> str | None:
        """Why the map may be old, or None."""
        return next(iter(self._troubles.values()), None)

    # ---- Feed -------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Page the whole state from Redis or, where that cannot be had now, take the map that was saved.

        Returns within LOAD_SECONDS_MAX and what the file takes; no hit is verified before a leader has answered.
        """
        try:
            async with asyncio.timeout(LOAD_SECONDS_MAX):
                await self._snapshot()
        except (RedisError, NotNow, ValueError, TimeoutError) as error:
            self._tell("map", str(error) or f"it took longer than {LOAD_SECONDS_MAX:g} s")
            if self._saved is not None:
                self._saved.close()  # what was begun by the attempt
                if await self._saved.load(self._follower):
                    self._standing = self._follower.epoch

    async def run(self) -> None:
        """Follow the stream, report, take answers; until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._steadily("map", self._follow))
                tasks.create_task(self._steadily("answers", self._listen))
                tasks.create_task(self._steadily("reports", self._report))
                if self._saved is not None:
                    tasks.create_task(self._steadily("saving", partial(self._compact, self._saved)))
        finally:
            await self._redis.aclose()
            if self._saved is not None:
                self._saved.close()

    async def _steadily(self, part: str, work: Callable[[Line, Callable[[], None]], Awaitable[None]]) -> None:
        """Do one part of the work on a connection of its own, for ever; a new one after each trouble."""
        backoff = Backoff(BACKOFF_SECONDS, BACKOFF_SECONDS_MAX)

        def works() -> None:
            backoff.reset()
            self._tell(part, None)

        while True:
            line = Line(self._redis)
            try:
                await line.connect()
                await work(line, works)
            except (RedisError, NotNow, ValueError) as error:
                self._tell(part, str(error))
            finally:
                await line.close()
            await asyncio.sleep(backoff.next_seconds())

    # ---- the stream -------------------------------------------------------------------------------------------------

    async def _follow(self, line: Line, works: Callable[[], None]) -> None:
        while True:
            epoch = self._follower.epoch
            if epoch and epoch == self._standing:
                entries = await self._entries(line, epoch, BLOCK_MS)
                if self._follower.epoch != epoch:
                    continue  # an answer had the map begun anew meanwhile
                works()
                if entries and self._take(entries):
                    continue
                if not entries and not await self._overtaken(line, epoch):
                    continue
            await self._snapshot()
            works()

    async def _entries(self, line: Line, epoch: str, block_ms: int | None) -> list[Any]:
        """What came after the map's version: [id, [field, change]] each."""
        wait = () if block_ms is None else ("BLOCK", block_ms)
        after = redis_keys.entry_id(self._follower.version)
        words = "XREAD", "COUNT", STREAM_CHANGES, *wait, "STREAMS", redis_keys.stream_of(epoch), after
        found = await line.call(*words, seconds=BLOCK_SECONDS_MAX)
        return found[0][1] if found else []

    def _take(self, entries: list[Any]) -> bool:
        """Apply changes that follow on the map without a gap; False where there is one, before anything is applied."""
        follower = self._follower
        versions = [follower.version, *(redis_keys.version_of(entry) for entry, _ in entries)]
        if any(later != earlier + 1 for earlier, later in pairwise(versions)):
            return False
        changes = [fields[1] for _, fields in entries]
        follower.apply_page(changes)
        follower.stand(versions[-1])
        if self._saved is not None:
            for change, version in zip(changes, versions[1:], strict=True):
                self._saved.change(change, version)
        self._lease.redeem()
        self._report_due.set()
        return True

    async def _overtaken(self, line: Line, epoch: str) -> bool:
        """Whether the stream, which is silent, will never tell what this map lacks."""
        pointed, head = await line.calls(
            [("HGET", redis_keys.POINTER, redis_keys.POINTER_EPOCH), ("GET", redis_keys.head_of(epoch))]
        )
        for reply in (pointed, head):
            if isinstance(reply, RedisError):
                raise reply
        if pointed is not None and pointed.decode() != epoch:
            return True
        # A Redis that lost what it had acknowledged stands behind this map: the relay brings it past again.
        if head is None or int(head) <= self._follower.version:
            return False
        return not await self._entries(line, epoch, None)  # unless it came just now

    # ---- the whole state --------------------------------------------------------------------------------------------

    async def _snapshot(self) -> None:
        """Page the state of the epoch that is pointed at, then stand at its head. Raises NotNow.

        An account that changes meanwhile may come in either state; its change comes again by the stream, and the
        follower keeps the newer.
        """
        line, follower, saved = Line(self._redis), self._follower, self._saved
        self._snapshotting = True
        try:
            await line.connect()
            epoch, head = await self._pointed(line)
            if epoch == follower.epoch and head < follower.version:
                self._standing = epoch
                return  # Redis fell back; this map is newer, and stays
            if epoch != follower.epoch:
                follower.restart(epoch)
                self._lease.lost()
            self.snapshots += 1
            await self._page_through(line, epoch, head, follower.apply_page)
            follower.stand(head)
            if saved is not None:
                self._stand_saved(saved, head)
            self._standing = epoch
            self._lease.redeem()
            self._report_due.set()
        finally:
            self._snapshotting = False
            await line.close()

    async def _page_through(
        self, line: Line, epoch: str, head: int, take: Callable[[Sequence[bytes]], None] | None
    ) -> None:
        """Hand the whole state to `take` and to the saved map. Raises NotNow where it, or the map, began anew."""
        reading = self.snapshots, self._lease.restarts
        if self._saved is not None:
            self._saved_stands = False
            self._saved.begin(epoch)
        async with contextlib.aclosing(RedisState(line).pieces(epoch, head)) as pieces:
            async for piece in pieces:
                if (self.snapshots, self._lease.restarts) != reading:
                    break
                if take is not None:
                    take(piece)
                if self._saved is not None:
                    self._saved.page(piece)
                await asyncio.sleep(0)  # hits are answered between
        if (self.snapshots, self._lease.restarts) != reading:
            raise NotNow("the map was begun anew while the state was read")

    async def _compact(self, saved: SavedMap, line: Line, works: Callable[[], None]) -> None:
        """Write the saved map anew when it asks for that, or where an attempt broke off; flips arrive as ever."""
        while True:
            await asyncio.sleep(COMPACT_LOOK_SECONDS)
            wanted = saved.wants_compaction or not self._saved_stands
            if wanted and not self._snapshotting and self._follower.epoch == self._standing != "":
                epoch, head = await self._pointed(line)
                if epoch == self._standing and head >= self._follower.version:
                    await self._page_through(line, epoch, head, None)
                    self._stand_saved(saved, head)
            else:
                await line.call("PING")
            works()

    def _stand_saved(self, saved: SavedMap, head: int) -> None:
        saved.stand(head)
        self._saved_stands = True

    async def _pointed(self, line: Line) -> tuple[str, int]:
        """(epoch, head) of the state to read. Raises NotNow where there is none, or none that the leader leads."""
        epoch, head = await RedisState(line).pointed()
        if self._leaders_epoch not in ("", epoch):
            raise NotNow("Redis is being rebuilt under the leader's new epoch")
        return epoch, head

    # ---- reports and answers ----------------------------------------------------------------------------------------

    async def _report(self, line: Line, works: Callable[[], None]) -> None:
        """Tell the leader where the map stands, and so ask for a lease: in turn, and at once after a change."""
        while True:
            self._report_due.clear()
            await line.call("PUBLISH", redis_keys.REPORTS, encode(self._lease.report()))
            works()
            try:
                async with asyncio.timeout(self._lease.report_seconds):
                    await self._report_due.wait()
            except TimeoutError:
                continue

    async def _listen(self, line: Line, works: Callable[[], None]) -> None:
        subscribed = False
        async with contextlib.aclosing(line.heard(redis_keys.answers_to(self._worker))) as heard:
            async for message in heard:
                works()
                if message is not None:
                    self._take_answer(message)
                elif not subscribed:
                    subscribed = True
                    self._report_due.set()  # the answers to earlier reports went nowhere

    def _take_answer(self, message: bytes) -> None:
        try:
            answer = decode(message)
        except ValueError:
            return  # somebody else's: lost, as any message may be
        restarts = self._lease.restarts
        if isinstance(answer, Answer) and self._lease.take(answer):
            self._leaders_epoch = answer.epoch
            if self._lease.restarts != restarts:
                self._standing = ""

    def _tell(self, part: str, trouble: str | None) -> None:
        """One line where a trouble begins, and one where it ends."""
        if trouble is not None and part not in self._troubles:
            _log.warning("Redis (%s): %s", part, trouble)
        elif trouble is None and part in self._troubles:
            _log.warning("Redis (%s) works again", part)
        if trouble is None:
            self._troubles.pop(part, None)
        else:
            self._troubles[part] = trouble
