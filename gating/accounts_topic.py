"""AccountsTopic: carries every change to Kafka's `pixel.accounts`, compacted by account, for whoever reads downstream.

Run by the relay, beside its way to Redis: Kafka away holds nothing up, and the changes wait in the outbox. Its progress
stands in the ledger, so a killed service repeats a batch at the most; a repeat is harmless. What the outbox does not
hold any more is made up for by every account's newest change, which is all that compaction keeps anyway.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import (  # type: ignore[import-untyped]
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.errors import (  # type: ignore[import-untyped]
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from gating.backoff import Backoff
from gating.errors import PixelgateError
from gating.feed import TOPIC_ACCOUNTS
from gating.ledger import CHANGE, Ledger
from gating.ledger.tables import OWED_MAX

T = TypeVar("T")
PLACE: Final = "kafka"
"""The ledger's name for how far this topic is."""
HEADERS: Final = [("schema", b"1")]
POLICY: Final = "cleanup.policy"
PARTITIONS: Final = 1
"""Flips are few: one partition keeps all of them in the order of their versions. A topic made with more keeps each
account's own order."""
POLL_SECONDS: Final = 0.5
BATCH_CHANGES: Final = 500
REQUEST_MS: Final = 10_000
SEND_SECONDS: Final = 15.0
"""A batch that is not acknowledged within this is sent again by a fresh producer."""
STOP_SECONDS: Final = 2.0
"""aiokafka 0.14 may wait for ever in `stop` while no broker answers; what is then left of it ends with its tasks."""
BACKOFF_SECONDS: Final = 0.2
BACKOFF_SECONDS_MAX: Final = 5.0

_log = logging.getLogger("pixelgate.gating")


@dataclass(frozen=True, slots=True)
class _Owed:
    version: int
    account: str
    change: bytes


class AccountsTopic:
    """One gating service's. in_turn: awaits a callable in the one thread that may write to the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        bootstrap: str,
        *,
        in_turn: Callable[[Callable[[], Any]], Awaitable[Any]],
        topic: str = TOPIC_ACCOUNTS,
    ) -> None:
        self._ledger, self._bootstrap, self._in_turn, self._topic = ledger, bootstrap, in_turn, topic
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="topic-reads")
        self._due = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        self._backoff = Backoff(BACKOFF_SECONDS, BACKOFF_SECONDS_MAX)
        self.version = 0  # up to which every change is in Kafka
        self.trouble: str | None = None

    def wake(self) -> None:
        """A change was committed."""
        self._due.set()

    async def run(self, term: Callable[[], int]) -> None:
        """Carry changes whenever `term()` is not 0; until cancelled."""
        try:
            while True:
                try:
                    if term():
                        await self._carry(term)
                    elif self._producer is not None:
                        await self._discard()
                except (KafkaError, PixelgateError, OSError, TimeoutError) as error:
                    await self._discard()
                    self._tell(f"{type(error).__name__}: {error}")
                    await asyncio.sleep(self._backoff.next_seconds())
                else:
                    await self._woken()
        finally:
            await self._discard()
            self._reads.shutdown(wait=False, cancel_futures=True)

    async def _carry(self, term: Callable[[], int]) -> None:
        """Everything that is owed now, in the order of versions."""
        if self._producer is None:
            self._producer = await self._opened()
        while term() and (owed := await self._read(self._owed)):
            await self._send(self._producer, owed)
            self.version = owed[-1].version
            await self._in_turn(lambda: self._ledger.relayed.note(PLACE, self.version))
        self._backoff.reset()
        self._tell(None)

    def _owed(self) -> list[_Owed]:
        """What follows on `version`: each change from the outbox or, where it is not there any more, the newest change
        of each account that has changed since. Either way nothing up to the last one's version is left out."""
        head = self._ledger.head().version  # first: what it names is in the outbox, unless it was forgotten
        if head <= self.version:
            return []
        rows = self._ledger.outbox((self.version + 1) * OWED_MAX - 1, kind=CHANGE, limit=BATCH_CHANGES)
        if rows and rows[0].version == self.version + 1:
            return [_Owed(row.version, row.account, row.payload) for row in rows]
        page = self._ledger.changes_since(self.version, BATCH_CHANGES)
        return [_Owed(change.version, change.account, change.encode()) for change in page]

    async def _send(self, producer: AIOKafkaProducer, owed: list[_Owed]) -> None:
        """One batch, acknowledged by all replicas. An account's changes share a partition, and so keep their order."""
        async with asyncio.timeout(SEND_SECONDS):
            sent = [
                await producer.send(self._topic, one.change, key=one.account.encode(), headers=HEADERS) for one in owed
            ]
            await asyncio.gather(*sent)

    async def _opened(self) -> AIOKafkaProducer:
        """A fresh producer, on a topic that is there. Where it was not, it gets everything from the start."""
        made = await self._topic_made()
        self.version = 0 if made else await self._read(lambda: self._ledger.relayed.version(PLACE))
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="pixelgate-accounts",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=REQUEST_MS,
        )
        self._producer = producer  # before it starts: whatever then goes wrong, it is stopped
        async with asyncio.timeout(SEND_SECONDS):
            await producer.start()
        return producer

    async def _topic_made(self) -> bool:
        """Create the topic, or check that it is compacted; returns whether it was created."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=REQUEST_MS)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await admin.start()
                # aiokafka 0.14 takes -1, as the brokers say, only beside an assignment, be that empty.
                wanted = NewTopic(
                    self._topic, PARTITIONS, -1, replica_assignments={}, topic_configs={POLICY: "compact"}
                )  # fmt: skip
                ((_, code, *_),) = (await admin.create_topics([wanted])).topic_errors
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(f"topic {self._topic} was not created")
                if code:
                    await self._check_policy(admin)
                return not code
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await admin.close()

    async def _check_policy(self, admin: AIOKafkaAdminClient) -> None:
        asked = ConfigResource(ConfigResourceType.TOPIC, self._topic, {POLICY: None})
        for answer in await admin.describe_configs([asked]):
            for *_, entries in answer.resources:
                policy = next((value for name, value, *_ in entries if name == POLICY), "")
                if "compact" not in policy:
                    _log.warning(
                        "topic %s has cleanup.policy=%s: it forgets accounts that do not change; set it to compact",
                        self._topic, policy,
                    )  # fmt: skip

    async def _discard(self) -> None:
        """After an error a producer of aiokafka 0.14 may hold a batch back for good: it is never used again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(STOP_SECONDS):
                    await producer.stop()

    async def _woken(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._due.wait()
        self._due.clear()

    async def _read(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reads, ask)

    def _tell(self, trouble: str | None) -> None:
        """One line where it begins, and one where it ends."""
        if trouble is not None and self.trouble is None:
            _log.warning("changes are not carried to %s: %s", self._topic, trouble)
        elif trouble is None and self.trouble is not None:
            _log.warning("changes are carried to %s again", self._topic)
        self.trouble = trouble
