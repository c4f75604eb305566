"""House: what the routes share: the service and its ledger, and which keys of callers' are being carried out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection

from gating.clock import Clock
from gating.ledger import Ledger
from gating.rest.errors import StillRunning
from gating.rest.usage import UsageReader
from gating.service import Service
from gating.shelf import Shelf
from gating.webhooks.desk import Desk

T = TypeVar("T")


class House:
    """For one event loop."""

    def __init__(self, ledger: Ledger, service: Service, usage: UsageReader) -> None:
        self.ledger = ledger
        self.service = service
        self.usage = usage
        self.clock: Clock = service.clock
        self.shelf = Shelf(ledger)
        self.billing = Desk(ledger, service)
        self._running: set[tuple[str, str]] = set()

    async def look(self, ask: Callable[[Connection], T]) -> T:
        """Read within one short snapshot, where it holds no change up."""
        return await self.service.read(lambda: self.ledger.look(ask))

    @contextmanager
    def alone(self, scope: str, key: str) -> Iterator[None]:
        """Carry out what was asked under a key, and nothing else under it meanwhile. Raises StillRunning."""
        if (scope, key) in self._running:
            raise StillRunning
        self._running.add((scope, key))
        try:
            yield
        finally:
            self._running.discard((scope, key))
