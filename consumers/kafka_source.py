"""KafkaSource: the scale-out source, one member of a consumer group on `pixel.events` and `pixel.hidden`.

Where reading goes on is the warehouse's to say, never the group's: offsets are stored with the events (I10), and each
assignment asks for them anew, since another member may have moved them. The group only deals out partitions; offsets
are committed to it for the sake of tools that show lag. Must not judge an event; what is none becomes a dead letter.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import CorruptRecordException, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError  # type: ignore[import-untyped]

from collector.topics import Topics
from consumers.asking import Asker
from consumers.dead_letters import DeadLetters
from consumers.errors import SourceFailed
from consumers.kafka_clients import worded
from consumers.kafka_member import Member
from consumers.kafka_places import Place, place, place_stream
from consumers.kafka_records import Gathered
from consumers.source import BATCH_EVENTS_MAX, Batch, SourceStatus
from consumers.topic_ids import topic_ids
from gating.errors import Unreachable

GROUP: Final = "pixelgate-materialise"

BATCH_BYTES_MAX: Final = 32 * 1024**2
"""Of events' JSON in a batch: 25,000 usual ones are 17 MB, 25,000 of the longest would be 400."""

CHUNK_RECORDS: Final = 2_000
"""Taken from the client at once; between two chunks the batch's bounds are looked at."""

GATHER_SECONDS: Final = 0.5
"""How long a batch that is behind the log is filled for: a transaction costs as much for one event as for hundreds."""

PLACE_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 5.0
"""A broker answers a fetch within half a second, whether there is anything or not."""

ANEW_SECONDS: Final = 60.0
"""Longer than a broker's restart, after which a client finds back by itself."""

FAULTS_MAX: Final = 100
LOG: Final = logging.getLogger("pixelgate.consumers")


@dataclass(frozen=True, slots=True)
class Position:
    """A batch's token: where it ends in each partition, and under which assignment it was read."""

    assignment: int
    next_offsets: Mapping[TopicPartition, int]


@dataclass(slots=True)
class _Assigned:
    """What is known of the partitions of one assignment, once each has its place.

    to_store: places that moved without any event; the next batch stores them.
    """

    number: int
    ids: dict[str, str] = field(default_factory=dict)
    streams: dict[tuple[str, int], str] = field(default_factory=dict)
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    to_store: dict[tuple[str, int], int] = field(default_factory=dict)


class KafkaSource:
    """The `Source` protocol over Kafka. Made where a loop runs; connects on the first poll, and again and again.

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
        self._bootstrap, self._topics = bootstrap, topics or Topics()
        self._highest = highest
        self._dead_letters = dead_letters
        self._asker = Asker(bootstrap, self._topics.publishers)
        self._member = Member(bootstrap, group, self._topics.of_events, self._trouble)
        self._readying = asyncio.Lock()
        self._assigned: _Assigned | None = None  # None until every partition has its place
        self._careful = False  # after a batch failed: decode every event here, so that the one at fault is found
        self._told: set[tuple[str, int]] = set()
        self._status = SourceStatus("kafka")

    # The protocol

    @property
    def settles(self) -> bool:
        """The group gives each partition to one member: whoever has the first of what may be unverified settles."""
        return self._member.owns(TopicPartition(self._topics.hidden, 0))

    async def poll(self, wait_seconds: float) -> Batch:
        until = time.monotonic() + wait_seconds
        assigned = await self._ready(until)
        if assigned is None:
            return Batch()
        try:
            gathered = await self._gather(assigned, until)
            good = not gathered.records or await self._still_the_same(assigned, gathered)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError, CorruptRecordException) as error:
            self._trouble(f"reading from Kafka failed: {worded(error)}")  # look at every partition's place anew
            good = False
        except KafkaError as error:  # aiokafka's own tasks end with some of them: a client in that state stays so
            self._trouble(f"reading from Kafka failed: {worded(error)}")
            await self._member.begin_anew()
            good = False
        if not good or assigned.number != self._member.assignment:
            self._forget()
            return Batch()
        batch = await self._batch(gathered, assigned)
        self._note_lag()
        return batch

    async def commit(self, batch: Batch) -> None:
        """Let a rebalance go on; the group is told now and then, and it does not matter whether it hears."""
        position: Position | None = batch.token
        assigned = self._assigned
        self._careful = False
        if position is not None and assigned is not None and position.assignment == self._member.assignment:
            assigned.next_offsets.update(position.next_offsets)
            self._note_lag()
            self._member.tell_group(assigned.next_offsets)
        self._member.idle.set()

    async def ends(self, seconds: float) -> Mapping[str, int]:
        """Every publisher is asked; what earlier ones wrote lies below the partitions' ends at the question."""
        began = time.monotonic()
        if await self._ready(began + seconds) is None:
            raise Unreachable(f"Kafka at {self._bootstrap} cannot be read: {self._status.trouble or 'no answer'}")
        consumer = self._member.consumer
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                ids = await topic_ids(consumer._client, consumer._client.get_random_node(), self._topics.of_events)
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
            place_stream(streams, partition.topic, partition.partition, ids[partition.topic]): offset
            for partition, offset in needed.items()
            if partition.topic in ids and offset
        }

    async def rewind(self) -> None:
        """Ask the warehouse where to go on, and look at each event closely from now until a batch has gone in."""
        self._careful = True
        self._forget()

    def status(self) -> SourceStatus:
        return self._status

    async def close(self) -> None:
        await self._member.close()
        await self._asker.close()
        self._dead_letters.close()

    # Each partition having its place

    async def _ready(self, until: float) -> _Assigned | None:
        """What there is to read from by `until`; None and a trouble where nothing is. `ends` asks beside the loop."""
        async with self._readying:
            if not await self._member.connected(until):
                return None
            if self._assigned is None or self._assigned.number != self._member.assignment:
                self._assigned = await self._placed()
            return self._assigned

    async def _placed(self) -> _Assigned | None:
        """Give every partition of the assignment its place by what the warehouse says now."""
        member, consumer = self._member, self._member.consumer
        assigned = _Assigned(member.assignment)
        partitions = consumer.assignment()
        streams = await self._highest()
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                found_ids = await member.ids(partitions)
                beginnings = await consumer.beginning_offsets(partitions) if partitions else {}
                ends = await consumer.end_offsets(partitions) if partitions else {}
        except (KafkaError, TimeoutError) as error:
            self._trouble(f"Kafka at {self._bootstrap} does not tell where its partitions stand: {worded(error)}")
            return None
        if assigned.number != member.assignment:
            return None
        for topic, ids in found_ids.items():
            topic_id = ids.pop() if len(ids) == 1 else None
            if topic_id is None:
                self._trouble(f"Kafka has no topic {topic} at present")
                return None
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
        self._status.trouble = ""
        return assigned

    def _tell(self, partition: TopicPartition, found: Place) -> None:
        name = f"{partition.topic}/{partition.partition}"
        if found.anew:
            self._fault(f"partition {name} ends before what was read of it: it is read again from its start")
        if found.lost and (found.stream, found.offset) not in self._told:  # it is found again until it is stored
            self._told.add((found.stream, found.offset))
            self._status.lost += found.lost
            self._fault(f"partition {name}: {found.lost} records before offset {found.offset} were removed unread")

    def _forget(self) -> None:
        self._assigned = None
        self._member.idle.set()

    # Reading

    async def _gather(self, assigned: _Assigned, until: float) -> Gathered:
        """Fill a batch: until it is full, the log's end is reached, or its time is up."""
        consumer, gathered = self._member.consumer, Gathered(careful=self._careful)
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
            if assigned.number != self._member.assignment:  # records of the next one, not placed yet
                break
            if not found:
                break
            self._member.idle.clear()
            await asyncio.to_thread(_add, gathered, found)
            if self._caught_up(assigned, gathered):
                break
        return gathered

    def _caught_up(self, assigned: _Assigned, gathered: Gathered) -> bool:
        return all(
            self._member.highwater(partition) <= gathered.next_offsets.get(tuple(partition), offset)
            for partition, offset in assigned.next_offsets.items()
        )

    async def _still_the_same(self, assigned: _Assigned, gathered: Gathered) -> bool:
        """Whether the topics are those that the places belong to: asked after the records were there, so that none of
        another incarnation is ever taken for this one's."""
        partitions = [TopicPartition(*place) for place in gathered.next_offsets]
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                found_ids = await self._member.ids(partitions)
        except (KafkaError, TimeoutError) as error:
            self._trouble(f"Kafka at {self._bootstrap} was lost: {worded(error)}")
            return False
        return all(ids and ids <= {assigned.ids[topic], None} for topic, ids in found_ids.items())

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
            await self._look_at_silence(assigned)
            self._member.idle.set()
            return Batch()
        self._member.idle.clear()
        self._status.trouble = ""
        offsets = {TopicPartition(*place): offset for place, offset in gathered.next_offsets.items()}
        token = Position(assigned.number, offsets)
        return Batch(gathered.parts(assigned.streams), again=tuple(gathered.again), token=token)

    async def _look_at_silence(self, assigned: _Assigned) -> None:
        silent_seconds = self._member.silent_seconds(assigned.next_offsets)
        if silent_seconds <= SILENT_SECONDS:
            self._status.trouble = ""
            return
        self._trouble(f"Kafka at {self._bootstrap} has not answered for more than {SILENT_SECONDS:g} s")
        if silent_seconds > ANEW_SECONDS:
            await self._member.begin_anew()

    def _note_lag(self) -> None:
        """What metrics tell from other threads: a value that is replaced, never changed."""
        offsets = self._assigned.next_offsets if self._assigned else {}
        self._status.streams = len(offsets)
        self._status.lag = {
            f"{partition.topic}/{partition.partition}": max(0, self._member.highwater(partition) - offset)
            for partition, offset in offsets.items()
        }

    def _trouble(self, text: str) -> None:
        if text != self._status.trouble:
            LOG.warning(text)
        self._status.trouble = text

    def _fault(self, text: str) -> None:
        if text not in self._status.faults and len(self._status.faults) < FAULTS_MAX:
            self._status.faults.append(text)
        LOG.warning(text)


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
