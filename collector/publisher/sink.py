"""Sink: where batches of events go; `KafkaSink` is aiokafka's idempotent producer, held to what can be relied on.

Called by the pump alone. A sink that failed once is closed and opened anew: a failed batch leaves aiokafka's producer
with a gap in its sequence numbers, and every later batch of that partition is refused.

Of aiokafka 0.14:
- its sequence numbers go wrong after 2^31 records a partition: `spent` asks for a new producer long before;
- `stop()` waits for what can no longer be delivered: it is given CLOSE_SECONDS;
- with idempotence a batch never expires: the pump gives it a time.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError  # type: ignore[import-untyped]

from collector.errors import BatchRefused, SinkFailed
from collector.publisher.record_batch import RecordBatch
from collector.publisher.topics import PARTITIONS_DEFAULT, Admin, Topics, ensure
from collector.publishers import Place

LOG: Final = logging.getLogger("pixelgate.publisher")
RECORDS_PER_PRODUCER_MAX: Final = 2**30
"""Of one partition. aiokafka's counter is right up to 2^31 - 1; half of that leaves room for what is on its way."""

REQUEST_SECONDS: Final = 20.0
"""How long one request may take; Kafka's own clients wait 30 s. A broker that fails over answers within 10 s."""

CLOSE_SECONDS: Final = 2.0
BATCH_BYTES_DEFAULT: Final = 1_048_588
"""Kafka's default of `max.message.bytes`."""

METADATA_SECONDS: Final = 30.0
"""Partitions that were added are noticed within this time."""

_REFUSALS: Final[dict[type[Exception], str]] = {
    MessageSizeTooLargeError: "too large for the broker (message.max.bytes)",
    RecordListTooLargeError: "too large for the broker (segment.bytes)",
}


class Sink(Protocol):
    """Takes batches. One batch a place at a time is the caller's business."""

    @property
    def spent(self) -> bool:
        """Whether it should be closed and opened anew as soon as nothing is on its way."""

    @property
    def batch_bytes_max(self) -> int:
        """The largest batch it takes, in bytes; known once it was opened."""

    async def open(self) -> Mapping[str, int]:
        """Connect; returns each topic's number of partitions. Raises SinkFailed."""

    def partitions(self) -> Mapping[str, int]:
        """Each topic's number of partitions as last heard."""

    async def send(self, place: Place, batch: RecordBatch) -> int | None:
        """Deliver; once all in-sync replicas have it, returns the offset of its last record, None where not known.

        Raises BatchRefused where the broker does not take this very batch, SinkFailed for everything else; whether the
        batch arrived is then unknown.
        """

    async def close(self) -> None:
        """Let go of everything, within seconds; what is on its way may arrive or not."""


class KafkaSink:
    """Kafka's form of the `Sink` protocol."""

    def __init__(
        self,
        bootstrap: str,
        topics: Topics,
        partitions: int = PARTITIONS_DEFAULT,
        *,
        request_seconds: float = REQUEST_SECONDS,
        metadata_seconds: float = METADATA_SECONDS,
    ) -> None:
        """partitions: of topics that are not there yet."""
        self.batch_bytes_max = BATCH_BYTES_DEFAULT
        self._bootstrap = bootstrap
        self._names = topics
        self._topics = topics.of_events
        self._new_partitions = partitions
        self._request_seconds = request_seconds
        self._metadata_seconds = metadata_seconds
        self._doubts: set[str] = set()
        self._producer: AIOKafkaProducer | None = None
        self._sent: dict[Place, int] = {}

    @property
    def spent(self) -> bool:
        return max(self._sent.values(), default=0) >= RECORDS_PER_PRODUCER_MAX

    async def open(self) -> Mapping[str, int]:
        self._sent.clear()
        await self._prepare()
        self._producer = producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="pixelgate-publisher",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=round(self._request_seconds * 1000),
            metadata_max_age_ms=round(self._metadata_seconds * 1000),
        )
        try:
            await asyncio.wait_for(producer.start(), self._request_seconds * 2)
            for topic in self._topics:
                await asyncio.wait_for(producer.partitions_for(topic), self._request_seconds)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise SinkFailed("connecting to Kafka", error) from error
        return self.partitions()

    async def _prepare(self) -> None:
        """See that the topics are there; tell each doubt about them once."""
        for state in await ensure(self._bootstrap, self._names, self._new_partitions):
            for doubt in state.doubts():
                if doubt not in self._doubts:
                    self._doubts.add(doubt)
                    LOG.warning(doubt)
        async with Admin(self._bootstrap) as admin:
            found = [await admin.message_bytes_max(name) for name in self._topics]
        self.batch_bytes_max = min([limit for limit in found if limit], default=BATCH_BYTES_DEFAULT)

    def partitions(self) -> Mapping[str, int]:
        producer = self._open()
        known = ((topic, producer.client.cluster.partitions_for_topic(topic)) for topic in self._topics)
        return {topic: len(partitions) for topic, partitions in known if partitions}

    async def send(self, place: Place, batch: RecordBatch) -> int | None:
        producer, (topic, partition) = self._open(), place
        self._sent[place] = self._sent.get(place, 0) + batch.record_count()
        try:
            sending: Any = batch  # aiokafka asks for its own class and uses the methods that ours has too
            delivered = await (await producer.send_batch(sending, topic, partition=partition))
        except InvalidTimestampError as error:
            raise BatchRefused(place, "its timestamp is out of the broker's bounds", timestamp=True) from error
        except tuple(_REFUSALS) as error:
            raise BatchRefused(place, _REFUSALS[type(error)]) from error
        except (KafkaError, OSError, AssertionError) as error:  # an assertion: the partition is not there any more
            raise SinkFailed(f"writing to {topic}/{partition}", error) from error
        return delivered.offset + batch.record_count() - 1 if delivered.offset >= 0 else None

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        for closing in (producer.stop, producer.client.close):
            task = asyncio.ensure_future(closing())
            done, _ = await asyncio.wait({task}, timeout=CLOSE_SECONDS)
            if not done:
                task.cancel()
            elif not task.cancelled() and (error := task.exception()):
                LOG.info("closing a producer: %s", error)  # it is thrown away, so that nothing depends on it

    def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise SinkFailed("writing", ConnectionError("it is not open"))
        return self._producer
