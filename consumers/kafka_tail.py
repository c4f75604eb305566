"""KafkaTail: a tail out of Kafka: the events of every host as they come, for whoever may see them.

The same verbs as `tail.py`, which reads the journals of one host. It belongs to no consumer group, commits nothing and
begins at the partitions' ends; partitions that are added later are read from their beginning. What comes `again` is not
live and is left out, so an account sees what was accepted as it came (I11).
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from collector.topics import Topics
from consumers.kafka_clients import CLOSE_SECONDS, stopped, worded
from consumers.kafka_records import event_of
from consumers.tail import EVENTS_MAX, Filter, check_reader, shown
from consumers.warehouse.protocol import Audience, View
from gating.errors import Unreachable

START_SECONDS: Final = 15.0
FETCH_BYTES_MAX: Final = 4 * 1024**2
"""In one answer of a broker: a reader that is slow falls behind in Kafka, not in anybody's memory."""
LOOK_SECONDS: Final = 0.02
METADATA_MS: Final = 2_000
"""How late added partitions are noticed. aiokafka asks for the cluster's metadata as often."""

T = TypeVar("T")


class KafkaTail:
    """One reader's tail, from the moment it is made. It has a thread of its own, on which its Kafka client lives.

    view: asked before each showing for the account's own access as it is then; not asked for operators.
    Raises Unreachable, AccessDenied.
    """

    def __init__(
        self, bootstrap: str, filter_: Filter, view: Callable[[str, Audience], View], topics: Topics | None = None
    ) -> None:
        self._bootstrap, self._topics = bootstrap, topics or Topics()
        self._filter, self._view = filter_, view
        check_reader(filter_, view)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka-tail", daemon=True)
        self._thread.start()
        self._polling = threading.Lock()  # a reader that hangs up closes while a poll runs elsewhere
        self._consumer: AIOKafkaConsumer | None = None
        try:
            self._consumer = self._run(self._started(), START_SECONDS + CLOSE_SECONDS)
        except BaseException:
            self.close()
            raise

    def poll(self) -> list[dict[str, Any]]:
        """Return what came since the last poll and is let through, in order within a partition.

        Raises AccessDenied when the account lost its access meanwhile, Unreachable.
        """
        with self._polling:
            found = [] if self._consumer is None else self._run(self._read(self._consumer), START_SECONDS)
        check_reader(self._filter, self._view)  # after reading: what was kept before a flip is not shown after it
        return found

    def close(self) -> None:
        """Let go of the connection and the thread. Idempotent."""
        with self._polling:
            if self._loop.is_closed():
                return
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                self._run(stopped(consumer), 2 * CLOSE_SECONDS)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run it on the tail's own thread."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except (KafkaError, TimeoutError, OSError) as error:
            future.cancel()
            raise Unreachable(f"Kafka at {self._bootstrap} cannot be followed: {worded(error)}") from error

    async def _started(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id="pixelgate-tail",
            auto_offset_reset="earliest",  # where retention overtakes a slow reader: what is left, not what comes
            fetch_max_bytes=FETCH_BYTES_MAX,
            metadata_max_age_ms=METADATA_MS,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                topics = await consumer.topics()
                missing = [topic for topic in self._topics.of_events if topic not in topics]
                if missing:
                    raise Unreachable(f"Kafka has no topic {missing[0]}: a publisher makes it when it starts")
                consumer.assign([TopicPartition(topic, 0) for topic in self._topics.of_events])
                while not all(map(consumer.partitions_for_topic, self._topics.of_events)):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)  # aiokafka tells nobody once it knows the partitions
                consumer.assign(self._partitions(consumer))
                await consumer.seek_to_end()
        except BaseException:
            await stopped(consumer)
            raise
        return consumer

    def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number)
            for topic in self._topics.of_events
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]

    async def _take_added(self, consumer: AIOKafkaConsumer) -> None:
        """Read partitions that were added from their beginning, all others from where they were.

        Assigned by hand: a subscription would assign all anew as soon as one is added, and forget every position.
        """
        known = consumer.assignment()
        added = [partition for partition in self._partitions(consumer) if partition not in known]
        if added:
            positions = {partition: await consumer.position(partition) for partition in known}
            consumer.assign([*known, *added])
            for partition, offset in positions.items():
                consumer.seek(partition, offset)
            await consumer.seek_to_beginning(*added)

    async def _read(self, consumer: AIOKafkaConsumer) -> list[dict[str, Any]]:
        await self._take_added(consumer)
        found = []
        for records in (await consumer.getmany(max_records=EVENTS_MAX)).values():
            for record in records:
                try:
                    event, again = event_of(record)
                except ValueError:
                    continue  # no event: the consumer keeps it as a dead letter and counts it
                if not again and self._filter.lets(event):
                    found.append(shown(event))
        return found
