"""Member: one client in the consumer group of the materialising consumers, kept connected for as long as it takes.

Driven by `kafka_source.py` on one event loop. It hides what is particular about aiokafka 0.14: eager rebalances alone,
errors in a listener that are only logged, tasks that end silently, a stop that may hang. It reads no record and knows
no warehouse.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from consumers.errors import SourceFailed
from consumers.kafka_clients import stopped, worded
from consumers.topic_ids import topic_ids

FETCH_WAIT_MS: Final = 50
"""How long a broker may keep a question open that it has nothing for. aiokafka asks it one thing at a time, and not for
what lies here unread: while events wait here it asks for the empty topic alone, and what comes next is asked for only
once that is answered. At the broker's usual 500 ms, 20,000 events a second came through; at 50 ms 85,000."""

FETCH_BYTES_MAX: Final = 8 * 1024**2
PARTITION_BYTES_MAX: Final = 1024**2
"""Of one answer of a broker, compressed as it lies there: it is unpacked only as it is read, so that this and the
batch's own bounds say what lies in memory, whatever the backlog. A record is at most 1 MiB by the broker's default."""

SESSION_MS: Final = 10_000  # after which a member that was killed is missed
REVOKE_SECONDS: Final = 30.0
REBALANCE_MS: Final = 40_000
"""A rebalance waits for the batch in hand, which a slow disk may hold up; after REVOKE_SECONDS it is forgotten."""

CONNECT_SECONDS: Final = 30.0
BACKOFF_SECONDS: Final = 0.2
BACKOFF_SECONDS_MAX: Final = 5.0
ANEW_PAUSE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.05  # between two looks whether the group has dealt out its partitions
METADATA_MS: Final = 10_000  # how late a new partition or a new leader is noticed where no error tells of it
COMMIT_SECONDS: Final = 5.0
LOG: Final = logging.getLogger("pixelgate.consumers")
if REBALANCE_MS <= REVOKE_SECONDS * 1000:
    raise ValueError("the group must wait for a member for longer than it waits for its batch")


class TopicsMissing(Exception):
    """The topics are not there yet; publishers make them."""

    def __init__(self, topics: Collection[str]) -> None:
        super().__init__(f"no topic {' and no topic '.join(topics)}: a publisher makes them when it starts")


class Member:
    """A member of `group`, once `connected` says so.

    assignment: goes up whenever partitions may have changed hands: what was read before that is not committed after it.
    idle: clear while a batch is in hand. trouble: told why there is nothing to read from.
    """

    def __init__(self, bootstrap: str, group: str, topics: Collection[str], trouble: Callable[[str], None]) -> None:
        self._bootstrap, self._group, self._topics, self._trouble = bootstrap, group, topics, trouble
        self._consumer: AIOKafkaConsumer | None = None
        self._connecting: asyncio.Task[AIOKafkaConsumer] | None = None
        self._connect_at, self._failures = 0.0, 0
        self._commit_at = 0.0
        self._committing: asyncio.Task[None] | None = None
        self.assignment = 0
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The client. Raises SourceFailed where there is none."""
        if self._consumer is None:
            raise SourceFailed("reading from Kafka", ConnectionError("it is closed"))
        return self._consumer

    async def connected(self, until: float) -> bool:
        """Whether there is a client, and the group has dealt out its partitions, by `until`."""
        if self._consumer is None and not await self._connect(until):
            return False
        while self.consumer._subscription.reassignment_in_progress:
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def begin_anew(self) -> None:
        """Another client in a moment: one whose own tasks have ended stays silent for ever (aiokafka 0.14)."""
        self._connect_at = time.monotonic() + ANEW_PAUSE_SECONDS * random.uniform(0.5, 1.0)  # noqa: S311  jitter
        await self._disconnect()

    async def close(self) -> None:
        """Leave the group. Idempotent."""
        for task in (self._connecting, self._committing):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait((task,))
        self._connecting = self._committing = None
        await self._disconnect()

    def tell_group(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit to the group, at most every COMMIT_SECONDS, and never wait for it: it is read by tools alone."""
        now = time.monotonic()
        if now < self._commit_at or (self._committing is not None and not self._committing.done()):
            return
        self._commit_at = now + COMMIT_SECONDS
        self._committing = asyncio.create_task(self._commit(dict(offsets)))

    async def ids(self, partitions: Collection[TopicPartition]) -> dict[str, set[str | None]]:
        """Under which ids the brokers that lead these partitions know their topics; None where one knows it not.

        None answers for what another serves, so each is asked. Raises KafkaError.
        """
        topics = sorted({partition.topic for partition in partitions})
        client = self.consumer._client
        leaders = {client.cluster.leader_for_partition(partition) for partition in partitions} - {None, -1}
        answers = [await topic_ids(client, node, topics) for node in leaders]
        return {topic: {answer.get(topic) for answer in answers} for topic in topics}

    def owns(self, partition: TopicPartition) -> bool:
        """Whether the group has given the partition to this member. Any thread may ask."""
        return self._consumer is not None and self._consumer._subscription.is_assigned(partition)

    def highwater(self, partition: TopicPartition) -> int:
        """The log's end by the last answer; 0 where none came yet."""
        if self._consumer is None or not self.owns(partition):
            return 0
        return self._consumer.highwater(partition) or 0

    def silent_seconds(self, partitions: Collection[TopicPartition]) -> float:
        """How long no broker has answered for one of these partitions."""
        is_assigned = self.consumer._subscription.is_assigned
        answered = [self.consumer.last_poll_timestamp(one) for one in partitions if is_assigned(one)]
        heard = [at_ms for at_ms in answered if at_ms]
        return time.time() - min(heard) / 1000 if heard else 0.0

    async def revoked(self) -> None:
        """A rebalance begins: the batch in hand is finished first, or forgotten where that takes too long."""
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await self.idle.wait()
        except TimeoutError:
            LOG.warning("a batch was in hand for %g s while the group waited: it is forgotten", REVOKE_SECONDS)
        self.assignment += 1
        self.idle.set()

    async def _connect(self, until: float) -> bool:
        if self._connecting is None:
            await asyncio.sleep(max(0.0, min(self._connect_at, until) - time.monotonic()))
            if self._connect_at > time.monotonic():
                return False
            self._connecting = asyncio.create_task(self._start())
        await asyncio.wait((self._connecting,), timeout=max(0.0, until - time.monotonic()))
        if not self._connecting.done():
            return False
        starting, self._connecting = self._connecting, None
        try:
            self._consumer = starting.result()
        except (KafkaError, OSError, TimeoutError, TopicsMissing) as error:
            self._failures += 1
            pause = min(BACKOFF_SECONDS * 2**self._failures, BACKOFF_SECONDS_MAX)
            self._connect_at = time.monotonic() + pause * random.uniform(0.5, 1.0)  # noqa: S311  jitter is no secret
            self._trouble(f"Kafka at {self._bootstrap} cannot be read: {worded(error)}")
            return False
        self._failures = 0
        return True

    async def _start(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id="pixelgate-consumer",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_bytes=FETCH_BYTES_MAX,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=PARTITION_BYTES_MAX,
            metadata_max_age_ms=METADATA_MS,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await consumer.start()
                missing = set(self._topics) - await consumer.topics()
                if missing:
                    raise TopicsMissing(sorted(missing))
        except BaseException:
            await stopped(consumer)
            raise
        consumer.subscribe(list(self._topics), listener=_Listener(self))
        return consumer

    async def _disconnect(self) -> None:
        self.assignment += 1
        self.idle.set()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stopped(consumer)

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self.consumer.commit(dict(offsets))
        except (KafkaError, TimeoutError, ValueError) as error:  # ValueError: the assignment changed just now
            LOG.info("the group was not told how far it is: %s", worded(error))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: Member) -> None:
        self._member = member

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002  eager: all of them
        await self._member.revoked()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing: an error here would only be logged by aiokafka, so the next poll gives each partition its place."""
