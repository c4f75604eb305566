"""Engines: the Kafka broker and the Redis that a measured server writes to and reads from, on the load's core.

They are real servers (`tests.servers`), so what needs them runs from a checkout. None of their CPU counts.
"""

import asyncio
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from loadtest.bench.cpu import pinned
from loadtest.peers.server import ServerFailed, tool
from tests.servers import KafkaCluster, RedisServer, ServerMissing
from tests.servers.kafka import fetch_jars

TOPICS: Final = ("pixel.events", "pixel.hidden")
PARTITIONS: Final = 6
"""As many as Pixelgate's publisher makes: every server writes to the same."""


def missing_engines(*, redis: bool) -> str | None:
    """Say what this machine lacks, or None. The first call on a machine fetches Kafka."""
    lacking = tool("java") or (tool("redis-server") if redis else None)
    if lacking is None:
        try:
            fetch_jars()
        except ServerMissing as error:
            return str(error)
    return lacking


class Engines:
    """One broker with the events' topics, and a Redis where asked for; in a folder that must outlive them."""

    def __init__(self, folder: Path, core: int, *, redis: bool) -> None:
        """Start them. Raises ServerFailed."""
        folder.mkdir(parents=True, exist_ok=True)
        self._redis: RedisServer | None = None
        try:
            self._kafka = KafkaCluster(folder / "kafka")
            with pinned(core):
                self._kafka.start()
                if redis:
                    self._redis = RedisServer(folder / "redis")
                    self._redis.start()
            asyncio.run(self._make_topics())
        except (ServerMissing, AssertionError, OSError, KafkaError) as error:
            self.stop()
            raise ServerFailed(f"Kafka or Redis does not start: {error}") from error

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self._kafka.bootstrap

    @property
    def redis_url(self) -> str:
        """Redis' address. Raises ServerFailed where none was asked for."""
        if self._redis is None:
            raise ServerFailed("these engines have no Redis")
        return self._redis.url

    def written(self) -> int:
        """How many records the events' topics have ever held, told by the offsets at their ends. Raises ServerFailed.

        What Kafka has acknowledged is below them; an idempotent producer's retries are there once.
        """
        try:
            return asyncio.run(self._written())
        except (KafkaError, OSError, TimeoutError) as error:
            raise ServerFailed(f"Kafka does not tell its topics' ends: {error!r}") from error

    def stop(self) -> None:
        """Stop what runs; a second call does nothing."""
        for engine in (getattr(self, "_kafka", None), self._redis):
            if engine is not None:
                engine.stop()

    async def _make_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in TOPICS])
        finally:
            await admin.close()

    async def _written(self) -> int:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            places = [TopicPartition(name, number) for name in TOPICS for number in range(PARTITIONS)]
            return sum((await consumer.end_offsets(places)).values())
        finally:
            await consumer.stop()
