"""KafkaLog: whether Kafka still holds what it held at a moment. Records leave it by retention alone.

Called by `purge.py`. A purge notes where each partition ended once all journals were past; the log of a topic that
begins behind that holds nothing from before. Connects for a moment each time, since it is asked every half minute.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from collector.topics import Topics
from consumers.kafka_clients import stopped, worded
from consumers.topic_ids import topic_ids
from gating.errors import Unreachable

ASK_SECONDS: Final = 30.0
"""Between two looks: retention is enforced every five minutes."""

CHECK_MS: Final = 300_000  # log.retention.check.interval.ms, the brokers' default
TERMS: Final = ("retention.ms", "segment.ms", "file.delete.delay.ms")


class KafkaLog:
    """The topics of events. Any method may raise Unreachable."""

    def __init__(
        self, bootstrap: str, now_us: Callable[[], int], topics: Topics | None = None, ask_seconds: float = ASK_SECONDS
    ) -> None:
        self._bootstrap, self._now_us, self._topics = bootstrap, now_us, topics or Topics()
        self._ask_seconds = ask_seconds
        self._asked_at = float("-inf")
        self._past_since: dict[str, float] = {}  # of ends, when they were first seen behind the log's beginning

    async def ends(self) -> dict[str, Any]:
        """Where each partition ends now, under which topic id, and the topics' longest terms in milliseconds."""
        async with self._consumer() as consumer:
            ids = await self._ids(consumer)
            ends = await consumer.end_offsets(self._partitions(consumer))
        found = [[p.topic, p.partition, ids.get(p.topic, ""), offset] for p, offset in ends.items() if offset]
        return {"ends": sorted(found), "terms": await self._terms(), "at_us": self._now_us()}

    async def is_past(self, ends: dict[str, Any]) -> bool:
        """Whether every partition begins behind there, and for longer than a broker keeps what it has let go of."""
        now = time.monotonic()
        if now - self._asked_at < self._ask_seconds:
            return False
        self._asked_at = now
        async with self._consumer() as consumer:
            ids = await self._ids(consumer)
            known = set(self._partitions(consumer))
            beginnings = await consumer.beginning_offsets(list(known)) if known else {}
        for topic, number, topic_id, offset in ends["ends"]:
            partition = TopicPartition(topic, number)
            if partition in known and ids.get(topic) == topic_id and beginnings[partition] < offset:
                self._past_since.pop(str(ends["ends"]), None)
                return False
        since = self._past_since.setdefault(str(ends["ends"]), now)
        return now - since >= (ends["terms"]["file.delete.delay.ms"] or 0) / 1000

    def gone_by_us(self, ends: dict[str, Any]) -> int | None:
        """When all of it has gone at the latest: a file goes a term after its newest record, and takes records for
        another. None where a topic keeps records for ever."""
        terms = ends["terms"]
        if terms["retention.ms"] < 0:
            return None
        return int(ends["at_us"] + (sum(terms.values()) + CHECK_MS) * 1000)

    def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number)
            for topic in self._topics.of_events
            for number in consumer.partitions_for_topic(topic) or ()
        ]

    async def _ids(self, consumer: AIOKafkaConsumer) -> dict[str, str]:
        client = consumer._client
        return await topic_ids(client, client.get_random_node(), self._topics.of_events)

    async def _terms(self) -> dict[str, int]:
        """Of both topics the longer term each; -1 is for ever."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            await admin.start()
            resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in self._topics.of_events]
            answers = await admin.describe_configs(resources)
        except (KafkaError, OSError) as error:
            raise Unreachable(f"Kafka at {self._bootstrap} does not tell its retention: {worded(error)}") from error
        finally:
            await admin.close()
        found: dict[str, list[int]] = {name: [] for name in TERMS}
        for answer in answers:
            for resource in answer.resources:
                for name, value, *_ in resource[4]:
                    if name in found:
                        found[name].append(int(value))
        return {name: -1 if -1 in values else max(values, default=0) for name, values in found.items()}

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(*self._topics.of_events, bootstrap_servers=self._bootstrap, group_id=None)
        try:
            await consumer.start()
            yield consumer
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unreachable(f"Kafka at {self._bootstrap} does not tell what it holds: {worded(error)}") from error
        finally:
            await stopped(consumer)
