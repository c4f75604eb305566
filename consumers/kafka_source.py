"""KafkaSource: the scale-out source, one member of a consumer group on `pixel.events` and `pixel.hidden`.

Where reading goes on is the warehouse's to say, never the group's: offsets are stored with the events (I10), and each
assignment asks for them anew, since another member may have moved them. The group only deals out partitions; offsets
are committed to it for the sake of tools that show lag. Must not judge an event; what is none becomes a dead letter.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from collector.topics import Topics
from consumers.asking import Asker
from consumers.dead_letters import DeadLetters
from consumers.errors import SourceFailed
from consumers.kafka_clients import stopped, worded
from consumers.kafka_places import Place, place, place_stream
from consumers.kafka_records import Gathered
from consumers.source import BATCH_EVENTS_MAX, Batch, SourceStatus
from consumers.topic_ids import topic_ids
from gating.errors import Unreachable

GROUP: Final = "pixelgate-materialise"

FETCH_BYTES_MAX: Final = 8 * 1024**2
PARTITION_BYTES_MAX: Final = 1024**2
"""Of one answer of a broker, compressed as it lies there. A batch is unpacked only as it is read, so this and
BATCH_BYTES_MAX bound what lies in memory, whatever the backlog. A record is at most 1 MiB by the broker's default."""

BATCH_BYTES_MAX: Final = 32 * 1024**2
"""Of events' JSON in a batch: ten thousand usual ones are 7 MB, ten thousand of the longest would be 160."""

CHUNK_RECORDS: Final = 2_000
"""Taken from the client at once; between two chunks the batch's bounds are looked at."""

GATHER_SECONDS: Final = 0.5
"""How long a batch that is behind the log is filled for: a transaction costs as much for one event as for hundreds."""

SESSION_MS: Final = 10_000
REVOKE_SECONDS: Final = 30.0
REBALANCE_MS: Final = 40_000
"""A rebalance waits for the batch in hand, which a slow disk may hold up; after REVOKE_SECONDS it is forgotten."""

CONNECT_SECONDS: Final = 30.0
PLACE_SECONDS: Final = 10.0
BACKOFF_SECONDS: Final = 0.2
BACKOFF_SECONDS_MAX: Final = 5.0
ASSIGNMENT_SECONDS: Final = 0.05  # between two looks whether the group has dealt out its partitions
METADATA_MS: Final = 10_000  # how late a new partition or a new leader is noticed where no error tells of it
COMMIT_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 5.0
"""A broker answers a fetch within half a second, whether there is anything or not."""

FAULTS_MAX: Final = 100
LOG: Final = logging.getLogger("pixelgate.consumers")
if REBALANCE_MS <= REVOKE_SECONDS * 1000:
    raise ValueError("the group must wait for a member for longer than it waits for its batch")


class TopicsMissing(Exception):
    """The topics are not there yet; publishers make them."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__(f"no topic {' and no topic '.join(topics)}: a publisher makes them when it starts")


@dataclass(frozen=True, slots=True)
class Position:
    """A batch's token: where it ends in each partition, and under which assignment it was read."""

    assignment: int
    next_offsets: Mapping[TopicPartition, int]


@dataclass(slots=True)
class _Assigned:
    """What is known of the partitions of one assignment, once each has its place."""

    ids: dict[str, str] = field(default_factory=dict)
    streams: dict[tuple[str, int], str] = field(default_factory=dict)
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    to_store: dict[tuple[str, int], int] = field(default_factory=dict)  # places that moved without any event


class KafkaSource:
    """The `Source` protocol over Kafka. Made anywhere; connects on the first poll, and again for as long as it must.

    highest: how far each stream is by the warehouse, read anew at each call (`Materialiser.refreshed`, on its thread).
    """

    unit = "partitions"

    def __init__(
        self,
        bootstrap: str,
        highest: Callable[[], Awaitable[Mapping[str, int]]],
        dead_letters: DeadLetters,
        topics: Topics | None = None,
        group: str = GROUP,
    ) -> None:
        self._bootstrap, self._group = bootstrap, group
        self._topics = topics or Topics()
        self._highest = highest
        self._dead_letters = dead_letters
        self._asker: Asker | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._connecting: asyncio.Task[AIOKafkaConsumer] | None = None
        self._readying = asyncio.Lock()
        self._connect_at, self._failures = 0.0, 0
        self._assignment = 0  # goes up with each rebalance: what was read before one is not committed after it
        self._assigned: _Assigned | None = None  # None until every partition has its place
        self._idle = asyncio.Event()
        self._idle.set()
        self._careful = False  # after a batch failed: decode every event here, so that the one at fault is found
        self._commit_at = 0.0
        self._committing: asyncio.Task[None] | None = None
        self._status = SourceStatus("kafka")

    # The protocol

    async def poll(self, wait_seconds: float) -> Batch:
        until = time.monotonic() + wait_seconds
        if not await self._ready(until):
            return Batch()
        assignment, assigned = self._assignment, self._assigned
        assert assigned is not None  # for mypy: `_ready` says so
        try:
            gathered: Gathered | None = await self._gather(assignment, until)
            if gathered and gathered.records and not await self._still_the_same(assigned, gathered):
                gathered = None
        except (OffsetOutOfRangeError, NoOffsetForPartitionError, CorruptRecordException) as error:
            self._trouble(f"reading from Kafka failed: {worded(error)}")  # look at every partition's place anew
            gathered = None
        except KafkaError as error:  # aiokafka's own tasks end with some of them: a client in that state stays so
            self._trouble(f"reading from Kafka failed: {worded(error)}")
            await self._disconnect()
            gathered = None
        if gathered is None or assignment != self._assignment:
            self._forget()
            return Batch()
        return await self._batch(gathered, assigned)

    async def commit(self, batch: Batch) -> None:
        """Let a rebalance go on; the group is told now and then, and it does not matter whether it hears."""
        position: Position | None = batch.token
        self._careful = False
        if position is not None and position.assignment == self._assignment and self._assigned is not None:
            self._assigned.next_offsets.update(position.next_offsets)
            self._tell_group()
        self._idle.set()

    async def ends(self, seconds: float) -> Mapping[str, int]:
        """Every publisher is asked; what earlier ones wrote lies below the partitions' ends at the question."""
        if self._asker is None:
            self._asker = Asker(self._bootstrap, self._topics.publishers)
        began = time.monotonic()
        if not await self._ready(began + seconds):
            raise Unreachable(f"Kafka at {self._bootstrap} cannot be read: {self._status.trouble or 'no answer'}")
        consumer = self._connected()
        topics = self._topics.of_events
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                ids = await topic_ids(consumer._client, consumer._client.get_random_node(), topics)
                known = {topic: consumer.partitions_for_topic(topic) or () for topic in ids}
                partitions = [TopicPartition(topic, number) for topic in ids for number in known[topic]]
                needed = dict(await consumer.end_offsets(partitions))
        except (KafkaError, TimeoutError) as error:
            raise Unreachable(f"Kafka at {self._bootstrap} does not tell its ends: {worded(error)}") from error
        answered = await self._asker.ask(max(0.0, seconds - (time.monotonic() - began)))
        for (topic, number), offset in answered.items():
            partition = TopicPartition(topic, number)
            needed[partition] = max(offset + 1, needed.get(partition, 0))
        streams = await self._highest()
        return {
            place_stream(streams, topic, number, ids[topic]): needed[TopicPartition(topic, number)]
            for topic, number in needed
            if topic in ids and needed[TopicPartition(topic, number)]
        }

    async def rewind(self) -> None:
        """Ask the warehouse where to go on, and look at each event closely from now until a batch has gone in."""
        self._careful = True
        self._forget()

    def status(self) -> SourceStatus:
        status = self._status
        consumer, assigned = self._consumer, self._assigned
        if consumer is not None and assigned is not None:
            status.streams = len(assigned.next_offsets)
            status.lag = {
                f"{partition.topic}/{partition.partition}": max(0, (_highwater(consumer, partition) or 0) - offset)
                for partition, offset in assigned.next_offsets.items()
            }
        return status

    async def close(self) -> None:
        for task in (self._connecting, self._committing):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait((task,))
        self._connecting = self._committing = None
        await self._disconnect()
        self._dead_letters.close()
        if self._asker is not None:
            await self._asker.close()
            self._asker = None

    # Being connected, and each partition having its place

    async def _ready(self, until: float) -> bool:
        """Whether there is something to read from by `until`; why not is told as trouble. `ends` asks it too."""
        async with self._readying:
            return await self._make_ready(until)

    async def _make_ready(self, until: float) -> bool:
        if self._consumer is None and not await self._connect(until):
            return False
        while self._assigned is None:
            if not self._connected()._subscription.reassignment_in_progress:
                return await self._place()
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(ASSIGNMENT_SECONDS)
        return True

    async def _connect(self, until: float) -> bool:
        now = time.monotonic()
        if self._connecting is None:
            if self._connect_at > until:
                await asyncio.sleep(max(0.0, until - now))
                return False
            await asyncio.sleep(max(0.0, self._connect_at - now))
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
            max_partition_fetch_bytes=PARTITION_BYTES_MAX,
            metadata_max_age_ms=METADATA_MS,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
        )
        topics = self._topics.of_events
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await consumer.start()
                missing = set(topics) - await consumer.topics()
                if missing:
                    raise TopicsMissing(sorted(missing))
        except BaseException:
            await stopped(consumer)
            raise
        consumer.subscribe(list(topics), listener=_Listener(self))
        return consumer

    async def _place(self) -> bool:
        """Give every partition of the assignment its place by what the warehouse says now."""
        consumer, assignment = self._connected(), self._assignment
        partitions = consumer.assignment()
        streams = await self._highest()
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                found_ids = await self._ids(partitions)
                beginnings = await consumer.beginning_offsets(partitions) if partitions else {}
                ends = await consumer.end_offsets(partitions) if partitions else {}
        except (KafkaError, TimeoutError) as error:
            self._trouble(f"Kafka at {self._bootstrap} does not tell where its partitions stand: {worded(error)}")
            return False
        if assignment != self._assignment:
            return False
        assigned = _Assigned()
        for topic, ids in found_ids.items():
            topic_id = ids.pop() if len(ids) == 1 else None
            if topic_id is None:
                self._trouble(f"Kafka has no topic {topic} at present")
                return False
            assigned.ids[topic] = topic_id
        for partition in partitions:
            beginning, end, topic_id = beginnings[partition], ends[partition], assigned.ids[partition.topic]
            found = place(streams, partition.topic, partition.partition, topic_id, beginning, end)
            self._tell(partition, found)
            consumer.seek(partition, found.offset)
            assigned.streams[tuple(partition)] = found.stream
            assigned.next_offsets[partition] = found.offset
            if found.offset > streams.get(found.stream, 0):
                assigned.to_store[tuple(partition)] = found.offset
        self._assigned = assigned
        self._status.trouble = ""
        return True

    def _tell(self, partition: TopicPartition, found: Place) -> None:
        name = f"{partition.topic}/{partition.partition}"
        if found.anew:
            self._fault(f"partition {name} ends before what was read of it: it is read again from its start")
        if found.lost:
            self._status.lost += found.lost
            self._fault(f"partition {name}: {found.lost} records before offset {found.offset} were removed unread")

    async def _ids(self, partitions: Collection[TopicPartition]) -> dict[str, set[str | None]]:
        """Under which ids the brokers that lead these partitions know their topics; None where one knows it not.

        None answers for what another serves, so each is asked.
        """
        topics = sorted({partition.topic for partition in partitions})
        client = self._connected()._client
        leaders = {client.cluster.leader_for_partition(partition) for partition in partitions} - {None, -1}
        answers = [await topic_ids(client, node, topics) for node in leaders]
        return {topic: {answer.get(topic) for answer in answers} for topic in topics}

    # Reading

    async def _gather(self, assignment: int, until: float) -> Gathered:
        """Fill a batch: until it is full, the log's end is reached, or its time is up."""
        consumer, gathered = self._connected(), Gathered(careful=self._careful)
        gather_until = time.monotonic() + GATHER_SECONDS
        while gathered.records < BATCH_EVENTS_MAX and gathered.value_bytes < BATCH_BYTES_MAX:
            wait_seconds = max(0.0, (gather_until if gathered.records else until) - time.monotonic())
            found: dict[TopicPartition, list[Any]] = {}
            try:
                _leave_records_as_they_are(consumer)
                async with asyncio.timeout(wait_seconds + 0.001):  # `getmany` waits for a rebalance for ever
                    found = await consumer.getmany(timeout_ms=int(wait_seconds * 1000), max_records=CHUNK_RECORDS)
            except TimeoutError:
                break
            if assignment != self._assignment:  # of the next assignment, before its partitions have their places
                break
            if not found:
                break
            self._idle.clear()
            await asyncio.to_thread(_add, gathered, found)
            if self._caught_up(consumer, gathered):
                break
        return gathered

    def _caught_up(self, consumer: AIOKafkaConsumer, gathered: Gathered) -> bool:
        assigned = self._assigned
        if assigned is None:
            return True
        return all(
            (_highwater(consumer, partition) or 0) <= gathered.next_offsets.get(tuple(partition), offset)
            for partition, offset in assigned.next_offsets.items()
        )

    async def _still_the_same(self, assigned: _Assigned, gathered: Gathered) -> bool:
        """Whether the topics are those that the places belong to: asked after the records were there, so that none of
        another incarnation is ever taken for this one's."""
        partitions = [TopicPartition(*place) for place in gathered.next_offsets]
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                found_ids = await self._ids(partitions)
        except (KafkaError, TimeoutError) as error:
            self._trouble(f"Kafka at {self._bootstrap} was lost: {worded(error)}")
            return False
        return all(ids <= {assigned.ids[topic], None} for topic, ids in found_ids.items())

    async def _batch(self, gathered: Gathered, assigned: _Assigned) -> Batch:
        """The batch, once what is no event lies in the dead letters."""
        if gathered.poison:
            try:
                await asyncio.to_thread(self._dead_letters.append, gathered.poison)
            except OSError as error:
                raise SourceFailed("keeping a dead letter", error) from error
            self._status.poison += len(gathered.poison)
            first = gathered.poison[0]
            LOG.warning(
                "%d records are no events and lie in %s; first: %s/%d offset %d: %s", len(gathered.poison),
                self._dead_letters.directory, first.topic, first.partition, first.offset, first.reason,
            )  # fmt: skip
        self._status.again += len(gathered.again)
        gathered.next_offsets = {**assigned.to_store, **gathered.next_offsets}
        assigned.to_store = {}
        if not gathered.next_offsets:
            self._look_at_silence(assigned)
            self._idle.set()
            return Batch()
        self._idle.clear()
        self._status.trouble = ""
        offsets = {TopicPartition(*place): offset for place, offset in gathered.next_offsets.items()}
        token = Position(self._assignment, offsets)
        return Batch(gathered.parts(assigned.streams), again=tuple(gathered.again), token=token)

    def _look_at_silence(self, assigned: _Assigned) -> None:
        consumer = self._connected()
        heard = [state for partition in assigned.next_offsets if (state := _heard_ms(consumer, partition))]
        if heard and time.time() - min(heard) / 1000 > SILENT_SECONDS:
            self._trouble(f"Kafka at {self._bootstrap} has not answered for more than {SILENT_SECONDS:g} s")
        else:
            self._status.trouble = ""

    # What changes meanwhile

    async def revoked(self) -> None:
        """A rebalance begins: the batch in hand is finished first, or forgotten where that takes too long."""
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            LOG.warning("a batch was in hand for %g s while the group waited: it is forgotten", REVOKE_SECONDS)
        self._assignment += 1
        self._forget()

    async def _disconnect(self) -> None:
        self._assignment += 1
        self._forget()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stopped(consumer)

    def _forget(self) -> None:
        self._assigned = None
        self._idle.set()

    def _tell_group(self) -> None:
        """Commit to the group, at most every COMMIT_SECONDS, and never wait for it."""
        now = time.monotonic()
        if now < self._commit_at or (self._committing is not None and not self._committing.done()):
            return
        self._commit_at = now + COMMIT_SECONDS
        assert self._assigned is not None  # for mypy: the caller asked
        self._committing = asyncio.create_task(self._commit_group(dict(self._assigned.next_offsets)))

    async def _commit_group(self, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._connected().commit(dict(offsets))
        except (KafkaError, TimeoutError, ValueError) as error:  # ValueError: the assignment changed just now
            LOG.info("the group was not told how far it is: %s", worded(error))

    def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise SourceFailed("reading from Kafka", ConnectionError("it is closed"))
        return self._consumer

    def _trouble(self, text: str) -> None:
        if text != self._status.trouble:
            LOG.warning(text)
        self._status.trouble = text

    def _fault(self, text: str) -> None:
        if text not in self._status.faults and len(self._status.faults) < FAULTS_MAX:
            self._status.faults.append(text)
        LOG.warning(text)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002  eager: all of them
        await self._source.revoked()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing: an error here would only be logged by aiokafka, so the next poll gives each partition its place."""


def _add(gathered: Gathered, found: Mapping[TopicPartition, Sequence[Any]]) -> None:
    for partition, records in found.items():
        gathered.add(partition.topic, partition.partition, records)


def _leave_records_as_they_are(consumer: AIOKafkaConsumer) -> None:
    """Have what was fetched come as aiokafka's parser made it, not copied into a ConsumerRecord each: it has all that
    `kafka_records.py` looks at, and 1.2 of 2.6 us an event are saved. What is fetched later comes as a copy."""
    for fetched in consumer._fetcher._records.values():
        records = getattr(fetched, "_partition_records", None)  # none where an error waits instead
        if records is not None:
            records._consumer_record = _as_it_is


def _as_it_is(_: TopicPartition, record: Any) -> Any:
    return record


def _highwater(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    return consumer.highwater(partition) if consumer._subscription.is_assigned(partition) else None


def _heard_ms(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    return consumer.last_poll_timestamp(partition) if consumer._subscription.is_assigned(partition) else None
