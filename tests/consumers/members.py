"""Members of a consumer group in one process: each with its own source and its own memory, over one warehouse."""

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from collector.topics import Topics
from consumers.dead_letters import DeadLetters
from consumers.kafka_source import KafkaSource
from consumers.materialise import Materialiser
from consumers.warehouse.duckdb import DuckDBWarehouse
from tests.eventually import aeventually


class OneAtATime:
    """A warehouse that several members' threads may call."""

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self._warehouse, self._lock = warehouse, threading.Lock()

    def highest(self):
        with self._lock:
            return self._warehouse.highest()

    def append(self, parts, missing, again=()):
        with self._lock:
            return self._warehouse.append(parts, missing, again)

    def ids(self) -> Counter[str]:
        """What it holds, settled or not: how often each id."""
        query = "SELECT journal || '-' || sequence FROM {}"
        with self._lock:
            rows = [
                row[0]
                for table in ("events", "unverified")
                for row in self._warehouse._connection.execute(query.format(table)).fetchall()
            ]
        return Counter(rows)


class Member:
    """One consumer: reads, takes, commits, until it is stopped."""

    def __init__(self, bootstrap: str, topics: Topics, group: str, warehouse, root: Path) -> None:
        self.materialiser = Materialiser(warehouse, shared=True)
        self.letters = root / "dead-letters"
        self.batches = 0
        self._running: asyncio.Task[None] | None = None

        async def highest() -> Mapping[str, int]:
            return await asyncio.to_thread(self.materialiser.refreshed)

        self.source = KafkaSource(bootstrap, highest, DeadLetters(self.letters), topics, group)

    def start(self) -> "Member":
        self._running = asyncio.create_task(self._run())
        return self

    async def _run(self) -> None:
        while True:
            batch = await self.source.poll(0.2)
            if batch:
                await asyncio.to_thread(self.materialiser.take, batch)
                self.batches += 1
            if batch or batch.token is not None:
                await self.source.commit(batch)

    async def stop(self) -> None:
        """Leave the group in good order."""
        self._running.cancel()
        await asyncio.wait((self._running,))
        await self.source.close()

    @property
    def failed(self) -> bool:
        return self._running.done()


class Group:
    """A warehouse and whoever fills it."""

    def __init__(self, bootstrap: str, topics: Topics, root: Path) -> None:
        self.bootstrap, self.topics, self.root, self.name = bootstrap, topics, root, uuid.uuid4().hex
        self.file = DuckDBWarehouse.open(root / "warehouse.duckdb")
        self.warehouse = OneAtATime(self.file)
        self.members: list[Member] = []

    def join(self) -> Member:
        member = Member(self.bootstrap, self.topics, self.name, self.warehouse, self.root).start()
        self.members.append(member)
        return member

    async def leave(self, member: Member) -> None:
        self.members.remove(member)
        await member.stop()

    async def holds(self, ids, deadline_seconds: float = 40) -> None:
        """Return once the warehouse holds all of them; fails at once where anything is there twice."""
        wanted = set(ids)

        def all_there() -> bool:
            found = self.warehouse.ids()
            assert [one for one, times in found.items() if times > 1] == []
            for member in self.members:
                assert not member.failed, member._running.exception()
            return found.keys() >= wanted

        await aeventually(all_there, deadline_seconds)
        assert self.warehouse.ids().keys() == wanted

    async def close(self) -> None:
        for member in list(self.members):
            await self.leave(member)
        self.file.close()
