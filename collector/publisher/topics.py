"""Topics: their names, that they are there, and whether their settings keep what was promised.

Called at the publisher's start and by `pixelgate doctor`. What is missing is created; what exists is never changed,
since its settings are an operator's: what is doubtful about them is told in words.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code  # type: ignore[import-untyped]

from collector.errors import SinkFailed
from collector.publishers import RETENTION_SECONDS
from collector.topics import Topics as Topics  # noqa: PLC0414  callers find it where the rest of it is

PARTITIONS_DEFAULT: Final = 6
"""Divides evenly among 1, 2, 3 and 6 consumers, and one core's worth of events is spread over it many times."""

RETENTION_MS_MIN: Final = 3 * 86_400_000
"""A consumer that stopped on a Friday evening finds everything on Monday."""

REQUEST_SECONDS: Final = 15.0
CLUSTERS_DEFAULT: Final = -1
"""Replication: as the cluster's `default.replication.factor` says (KIP-464)."""

_ADDED_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class TopicState:
    """What the cluster says of one topic. retention_ms: -1 without bound."""

    name: str
    partitions: int
    replicas: int
    in_sync_min: int
    retention_ms: int

    def doubts(self) -> list[str]:
        """What an operator should think about, in words; empty where all is well."""
        found = []
        if self.replicas < 2:
            found.append(f"{self.name} has one replica: a broker's disk that is lost takes its events with it")
        elif self.in_sync_min < 2:
            found.append(
                f"{self.name} has min.insync.replicas={self.in_sync_min}: an acknowledged event may lie on one broker "
                "alone; set 2"
            )
        if 0 <= self.retention_ms < RETENTION_MS_MIN:
            hours = self.retention_ms / 3_600_000
            found.append(
                f"{self.name} keeps events for {hours:.0f} h (retention.ms): a consumer that is away for longer "
                f"loses them; {RETENTION_MS_MIN // 3_600_000} h or more are advised"
            )
        return found


async def ensure(bootstrap: str, topics: Topics, partitions: int = PARTITIONS_DEFAULT) -> list[TopicState]:
    """Create what is missing; returns the state of the topics that hold events. Raises SinkFailed."""
    async with Admin(bootstrap) as admin:
        there = await admin.names()
        short = {"cleanup.policy": "compact,delete", "retention.ms": str(RETENTION_SECONDS * 1000)}
        wanted = {topics.events: (partitions, {}), topics.hidden: (partitions, {}), topics.publishers: (1, short)}
        for name, (count, settings) in wanted.items():
            if name not in there:
                await admin.create(name, count, settings)
        return await admin.states(topics.of_events)


class Admin:
    """Kafka's admin client, bounded in time, its errors in our words. Every call raises SinkFailed."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AIOKafkaAdminClient(
            bootstrap_servers=bootstrap,
            client_id="pixelgate-publisher",
            request_timeout_ms=round(REQUEST_SECONDS * 1000),
        )

    async def __aenter__(self) -> "Admin":
        try:
            await asyncio.wait_for(self._client.start(), REQUEST_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._client.close()
            raise SinkFailed("connecting to Kafka", error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def names(self) -> set[str]:
        """Every topic there is."""
        try:
            return set(await asyncio.wait_for(self._client.list_topics(), REQUEST_SECONDS))
        except (KafkaError, OSError, TimeoutError) as error:
            raise SinkFailed("listing Kafka's topics", error) from error

    async def brokers(self) -> int:
        """How many brokers the cluster has now."""
        try:
            described = await asyncio.wait_for(self._client.describe_cluster(), REQUEST_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            raise SinkFailed("describing the cluster", error) from error
        return len(described["brokers"])

    async def create(self, name: str, partitions: int, settings: Mapping[str, str]) -> None:
        """Create a topic; one that is there already, by another publisher just now, is as good."""
        topic = NewTopic(name, partitions, CLUSTERS_DEFAULT, replica_assignments={}, topic_configs=dict(settings))
        try:
            answer = await asyncio.wait_for(self._client.create_topics([topic]), REQUEST_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            raise SinkFailed(f"creating the topic {name}", error) from error
        for _, code, message in answer.topic_errors:
            fault = for_code(code)
            if code and fault is not TopicAlreadyExistsError:
                raise SinkFailed(f"creating the topic {name}", fault(message))

    async def states(self, names: Sequence[str]) -> list[TopicState]:
        """The state of topics that exist; a fresh one is waited for until its brokers know it, and its settings: each
        question may meet another broker, and one that has just come back knows it last."""
        deadline = asyncio.get_running_loop().time() + _ADDED_SECONDS
        try:
            while True:
                described = await asyncio.wait_for(self._client.describe_topics(list(names)), REQUEST_SECONDS)
                known = {topic["topic"]: topic["partitions"] for topic in described if topic["error_code"] == 0}
                if all(known.get(name) for name in names):
                    settings = await self._settings(names)
                    if all(name in settings for name in names):
                        break
                if asyncio.get_running_loop().time() > deadline:
                    raise SinkFailed("reading the topics' state", TimeoutError("the cluster does not know them yet"))
                await asyncio.sleep(0.1)
        except (KafkaError, OSError, TimeoutError) as error:
            raise SinkFailed("reading the topics' state", error) from error
        return [
            TopicState(
                name,
                len(known[name]),
                min(len(partition["replicas"]) for partition in known[name]),
                int(settings[name].get("min.insync.replicas", "1")),
                int(settings[name].get("retention.ms", "-1")),
            )
            for name in names
        ]

    async def message_bytes_max(self, name: str) -> int | None:
        """The largest batch that a topic takes, in bytes; None where the cluster does not tell."""
        try:
            found = (await self._settings([name])).get(name, {}).get("max.message.bytes")
        except (KafkaError, OSError, TimeoutError) as error:
            raise SinkFailed("reading the topics' settings", error) from error
        return int(found) if found else None

    async def _settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        answers = await asyncio.wait_for(self._client.describe_configs(asked), REQUEST_SECONDS)
        return {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for answer in answers
            for resource in answer.resources
            if resource[0] == 0
        }
