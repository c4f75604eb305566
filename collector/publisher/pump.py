"""The pump: journals in, batches out, cursors after what is acknowledged. The publisher's one loop.

Run by `__main__.py`, one a data directory by its role lock. At least once, in an order that lets whoever reads tell
what comes twice: within a partition a journal's sequences ascend, but for what is sent again from the cursor after a
failure.

- A journal's cursor is everything below its first sequence that stands in a lane. It moves now and then, since each
  move is synced to disk.
- Any failed batch: the producer is thrown away, the lanes are emptied, and reading begins anew at the cursors.
- A batch that the broker refuses is halved until the one record is alone that it refuses: that becomes a dead letter.
- What must drain first (a number of partitions that changed, a producer near the end of its sequence numbers) stops the
  reading and lets everything arrive.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.addresses import Addresses
from collector.errors import BatchRefused, CollectorError, JournalError, SinkFailed
from collector.publisher.intake import ENOUGH_RECORDS, Intake
from collector.publisher.lanes import Batch, Lane
from collector.publisher.limits import Counts, Limits
from collector.publisher.record_batch import Compression
from collector.publisher.sink import Sink
from collector.publisher.topics import Topics
from collector.publishers import Place
from gating.datadir import DataDirectory

LOG: Final = logging.getLogger("pixelgate.publisher")
REFUSED_WAIT_SECONDS: Final = 2.0
"""After a batch was refused, how long what else is on its way may take to arrive, instead of coming twice."""

DEFAULT: Final = Limits()


@dataclass(frozen=True, slots=True)
class _Failure:
    error: SinkFailed | BatchRefused
    lane: Lane
    batch: Batch


class Publisher:
    """The pump of one data directory, whose roles `publisher` and `journals` the caller holds."""

    def __init__(
        self,
        data: DataDirectory,
        sink: Sink,
        topics: Topics,
        addresses: Addresses,
        *,
        compression: Compression = Compression.LZ4,
        limits: Limits = DEFAULT,
    ) -> None:
        """Raises BookDamaged, OSError."""
        self.counts = Counts()
        self.trouble = ""  # why nothing goes out at present, in words
        self.intake = Intake(data, topics, addresses, compression)
        self._sink, self._topics, self._limits = sink, topics, limits
        self._offsets = dict(self.intake.offsets)
        self._sending: set[asyncio.Task[None]] = set()
        self._failure: _Failure | None = None
        self._generation = 0  # of batches: what an earlier one sent does not count any more
        self._wake = asyncio.Event()
        self._committed_at = float("-inf")
        self._stuck = False  # the last commit failed: nothing more is read, or all of it would be sent again and again
        self._oldest_us: int | None = None  # while the lanes are empty because of a failure

    @property
    def offsets(self) -> Mapping[Place, int]:
        """Of each partition that was ever written to, the highest offset known to be this publisher's."""
        return self._offsets

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong with the journals."""
        return self.intake.spool.faults

    @property
    def oldest_us(self) -> int | None:
        """When the oldest hit was received that was read and is not acknowledged; None where there is none."""
        return self.intake.oldest_us or self._oldest_us

    def through(self, journal: str) -> int:
        """Up to which sequence everything of a journal is acknowledged, a dead letter, or known to be missing."""
        return self.intake.through(journal)

    async def run(self, stopped: asyncio.Event) -> None:
        """Carry everything until stopped, and a little longer what is on its way. No failure of Kafka's ends it."""
        waking = asyncio.create_task(self._wake_when(stopped))
        shortest, longest = self._limits.backoff_seconds
        wait_seconds = shortest
        try:
            while not stopped.is_set():
                acknowledged = self.counts.batches
                try:
                    await self._open()
                    while not stopped.is_set():
                        await self._step()
                except BatchRefused:  # what narrows it down is progress: no wait
                    await self._start_over()
                except (SinkFailed, JournalError, OSError) as error:
                    self._tell(error)
                    await self._start_over()
                    wait_seconds = shortest if self.counts.batches > acknowledged else min(longest, wait_seconds * 2)
                    await _sleep_unless(stopped, wait_seconds * random.uniform(0.5, 1.0))  # noqa: S311
        finally:
            waking.cancel()
            await self._finish()

    async def _step(self) -> bool:
        """One turn of the loop; tells whether anything is left to do. Raises what failed."""
        self._raise_failure()
        draining = self._sink.spent or self._grown()
        if draining and self.intake.empty:
            await self._renew()
        read = 0 if draining or self._stuck else self.intake.fill(self._limits.waiting_bytes_max)
        self.counts.dead = self.intake.dead
        self._send(0.0 if read < ENOUGH_RECORDS else self._limits.linger_seconds)
        if time.monotonic() - self._committed_at >= self._limits.commit_seconds:
            await self._commit_or_wait()
        await self._pause(read)
        return bool(read) or not self.intake.empty

    def _grown(self) -> bool:
        """Whether a topic has more partitions than it is sent to by. Fewer are a broker that lags behind, or a topic
        made anew: then what is sent fails, and `_open` asks again."""
        known = self._sink.partitions()
        return any(known.get(topic, 0) > number for topic, number in self.intake.partitions.items())

    async def _pause(self, read: int) -> None:
        """Let what is on its way arrive; where there was little to read, for longer."""
        if read >= ENOUGH_RECORDS:
            await asyncio.sleep(0)
            return
        self._wake.clear()
        if self._failure is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._limits.idle_seconds)

    async def _wake_when(self, stopped: asyncio.Event) -> None:
        await stopped.wait()
        self._wake.set()

    def _send(self, linger_seconds: float) -> None:
        now = time.monotonic()
        for lane in self.intake.lanes.values():
            batch = lane.in_flight
            if batch is None:
                self._send_lane(lane, now, linger_seconds)
            elif now - batch.started > self._limits.delivery_seconds and self._failure is None:
                waited = TimeoutError(f"no answer within {self._limits.delivery_seconds:g} s")
                topic, partition = lane.place
                self._fail(_Failure(SinkFailed(f"writing to {topic}/{partition}", waited), lane, batch))

    def _send_lane(self, lane: Lane, now: float, linger_seconds: float) -> None:
        batch = lane.take(now, linger_seconds)
        if batch is not None:
            task = asyncio.create_task(self._deliver(lane, batch, self._generation))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self, lane: Lane, batch: Batch, generation: int) -> None:
        try:
            offset = await self._sink.send(lane.place, batch.records)
        except (SinkFailed, BatchRefused) as error:
            if generation == self._generation:
                self._fail(_Failure(error, lane, batch))
            return
        if generation != self._generation:  # it was given up meanwhile, and is sent again
            return
        lane.acknowledged()
        self._count(lane, batch)
        if offset is not None:
            self._offsets[lane.place] = max(offset, self._offsets.get(lane.place, -1))
        self.trouble, self._oldest_us = "", None
        if self._failure is None:
            self._send_lane(lane, time.monotonic(), self._limits.linger_seconds)

    def _count(self, lane: Lane, batch: Batch) -> None:
        if lane.place[0] == self._topics.events:
            self.counts.events += len(batch)
        else:
            self.counts.hidden += len(batch)
        self.counts.batches += 1
        self.counts.event_bytes += batch.payload_bytes
        self.counts.sent_bytes += batch.records.size()

    def _fail(self, failure: _Failure) -> None:
        if isinstance(failure.error, BatchRefused):
            self.counts.batches_refused += 1
        else:
            self.counts.batches_failed += 1
        if self._failure is None:
            self._failure = failure
            self._wake.set()

    def _raise_failure(self) -> None:
        """Raise what failed; of a refusal, note first what the next attempt does differently."""
        if self._failure is None:
            return
        error, lane, batch = self._failure.error, self._failure.lane, self._failure.batch
        if isinstance(error, BatchRefused):
            if error.timestamp and self.intake.without_timestamps(lane.place[0]):
                LOG.warning("%s: its events go without a timestamp now; see to this host's clock", error)
            elif len(batch) == 1:
                self.intake.refuse(batch, error.reason)
            else:
                lane.narrow(batch)
        raise error

    async def _open(self) -> None:
        self.counts.producers += 1
        await self._adopt(await self._sink.open())

    async def _adopt(self, partitions: Mapping[str, int]) -> None:
        if missing := set(self._topics.of_events) - set(partitions):
            raise SinkFailed("connecting to Kafka", LookupError(f"the topic {min(missing)} is not there"))
        await self.intake.adopt(partitions, self._sink.batch_bytes_max)

    async def _renew(self) -> None:
        """Nothing is on its way: take a new producer, or other partitions, into use."""
        await self._commit()
        if self._sink.spent:
            await self._sink.close()
            await self._open()
        else:
            await self._adopt(self._sink.partitions())

    async def _commit(self) -> None:
        self._committed_at = time.monotonic()
        await self.intake.commit(self._offsets)

    async def _commit_or_wait(self) -> None:
        """Commit; where the disk refuses, what was read stays in the lanes and nothing more is read until it does."""
        try:
            await self._commit()
        except (JournalError, OSError) as error:
            if not self._stuck:
                self._stuck = True
                self._tell(error)
        else:
            self._stuck = False

    async def _start_over(self) -> None:
        """Throw the producer away and begin anew at the cursors; what arrived counts."""
        if self._failure is not None and isinstance(self._failure.error, BatchRefused) and self._sending:
            await asyncio.wait(self._sending, timeout=REFUSED_WAIT_SECONDS)
        self._generation += 1
        try:
            await self._commit()
        except (CollectorError, OSError) as error:  # the cursors stay where they were: more is sent again
            LOG.warning("committing before beginning anew: %s", error)
        self._oldest_us = self.oldest_us
        self.intake.forget()
        for task in self._sending:
            task.cancel()
        self._failure = None
        await self._sink.close()

    async def _finish(self) -> None:
        """A stop: let what is on its way arrive within `drain_seconds`, commit what did, let go."""
        deadline = time.monotonic() + self._limits.drain_seconds
        try:
            while time.monotonic() < deadline and await self._step():
                pass
        except (CollectorError, OSError) as error:
            self._tell(error)
        await self._start_over()
        self.intake.close()

    def _tell(self, error: Exception) -> None:
        self.trouble = str(error)
        LOG.warning("%s; what is not acknowledged is sent again", error)


async def _sleep_unless(stopped: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), seconds)
