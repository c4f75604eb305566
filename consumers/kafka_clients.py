"""Kafka clients: what every client of ours needs to be let go of. The only module that words Kafka's errors."""

import asyncio
import contextlib
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

CLOSE_SECONDS: Final = 5.0
"""aiokafka 0.14 may wait for a broker that is gone, as long as a request may take (40 s)."""


async def stopped(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client within CLOSE_SECONDS; what it could not say goodbye to finds out by itself."""
    with contextlib.suppress(KafkaError, TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.stop()


def worded(error: BaseException) -> str:
    """An error of aiokafka in one line; some of them say nothing but their class."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
