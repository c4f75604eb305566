"""Service: the consumers' verbs in one place, whoever asks: the socket's server, or the command line on the files.

Holds the warehouse, the loop that fills it and the accounts that say who may see what. Each verb decides the view, then
reads: never the other way round.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from collector.errors import TotalDamaged
from collector.topics import Topics
from collector.totals import fold
from consumers.accounts import Accounts
from consumers.activity import Activity
from consumers.config import ConsumerSettings
from consumers.errors import QuestionInvalid, WarehouseFailed
from consumers.export import Exported, Format, export_file
from consumers.journal_source import JournalSource, journal_ends
from consumers.loop import Loop
from consumers.materialise import Materialiser
from consumers.purge import Purger
from consumers.purge_places import Files
from consumers.reports import check_access, report
from consumers.settle import Settler
from consumers.source import Source
from consumers.tail import Filter, Following
from consumers.tailing import open_tail
from consumers.warehouse.place import open_warehouse
from consumers.warehouse.protocol import Audience, Period, WarehouseReader
from gating.clock import Clock
from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url

if TYPE_CHECKING:
    from consumers.announcer import Announcer
    from consumers.purge_kafka import KafkaLog

READERS_MAX: Final = 2
"""Reports and exports at once; more wait their turn, so that questions never outnumber the machine's cores."""

SETTLED_SECONDS_MAX: Final = 3600.0
SPOOL_PREFIX: Final = ".export-"
LOG: Final = logging.getLogger("pixelgate.consumers")
T = TypeVar("T")


class Service:
    """Open on one data directory, whose role `consumer` the caller holds."""

    def __init__(self, data: DataDirectory, settings: ConsumerSettings, topics: Topics | None = None) -> None:
        """Raises as `open_warehouse` does, and QuestionInvalid."""
        self.data = data
        self.kafka = settings.kafka_bootstrap
        self._settings = settings
        self._topics = topics or Topics()
        for spool in data.root.glob(f"{SPOOL_PREFIX}*"):  # of exports that a kill broke off
            shutil.rmtree(spool, ignore_errors=True)
        self.clock = Clock()
        self._addresses = settings.addresses()
        # Read, never made: an empty ledger in a missing one's place would know no key, and settle every hit away.
        url = ledger_url(data, settings.database_url)
        self.accounts = Accounts(lambda: Ledger.open_reading(url), self.clock.now_us)
        self.warehouse = open_warehouse(data, settings.clickhouse_url, announces=self.kafka is not None)
        settler = Settler(self.warehouse, self.accounts, self.clock.now_us)
        materialiser = Materialiser(self.warehouse, shared=self.kafka is not None)
        self.loop = Loop(self._source(materialiser), materialiser, settler)
        self.announcer = self._announcer()
        files = Files(data)
        self.purger = Purger(
            lambda: Ledger.open_existing(url), self.warehouse, files, self.loop.on_worker, self.clock.now_us,
            log=kafka_log(self.kafka, self.clock.now_us, self._topics),
        )  # fmt: skip
        self.activity = Activity(
            lambda: Ledger.open_existing(url), self.loop, self.warehouse, self.clock.now_us,
            place=files.place, seconds=settings.activity_seconds,
        )  # fmt: skip
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="reader")

    # aiokafka is loaded only where it is used: it costs a start 0.2 s.

    def _source(self, materialiser: Materialiser) -> Source:
        """What this host reads from: Kafka where it is set, else its own journals."""
        if self.kafka is None:
            return JournalSource(self.data.journals, self.data.quarantine, self._addresses)
        from consumers.dead_letters import DeadLetters
        from consumers.kafka_source import KafkaSource

        async def highest() -> Mapping[str, int]:
            return await self.loop.on_worker(materialiser.refreshed)

        return KafkaSource(self.kafka, highest, DeadLetters(self.data.dead_letters), self._topics)

    def _announcer(self) -> "Announcer | None":
        """Who writes to `pixel.events` what settles as accepted; nobody where Kafka is not set."""
        if self.kafka is None:
            return None
        from consumers.announcer import Announcer

        return Announcer(
            self.kafka,
            self.warehouse,
            self.loop.on_worker,
            self.clock.now_us,
            self._topics,
            my_turn=lambda: self.loop.source.settles,
        )

    async def settled(self, seconds: float) -> None:
        """Return once what was answered before the call is in the warehouse and settled. Raises NotSettledInTime."""
        if not 0 <= seconds <= SETTLED_SECONDS_MAX:
            raise QuestionInvalid("settled", f"{seconds:g}", f"0 to {SETTLED_SECONDS_MAX:g} seconds")
        await self.loop.settled(seconds)

    async def report(self, account: str, audience: Audience, period: Period) -> dict[str, Any]:
        """The report of CONTRACT. Raises NotFound, AccessDenied, Unreachable, WarehouseFailed."""

        def work(reader: WarehouseReader) -> dict[str, Any]:
            view = self.accounts.view(account, audience)
            return report(reader, view, period, self.clock.now_us())

        return await self._reading(work)

    async def export(self, account: str, audience: Audience, period: Period, format_: Format, target: Path) -> Exported:
        """Write an export to `target`, whole or not at all. Raises as `report` does, and ExportFailed."""

        def work(reader: WarehouseReader) -> Exported:
            def recheck() -> None:
                check_access(self.accounts.view(account, audience))

            view = self.accounts.view(account, audience)
            return export_file(reader, view, period, format_, target, recheck)

        return await self._reading(work)

    async def check_access(self, account: str, audience: Audience) -> None:
        """Raise AccessDenied where the account has no access to its data now."""
        await self._on_reader(lambda: check_access(self.accounts.view(account, audience)))

    async def tail(self, filter_: Filter) -> Following:
        """A tail from now on; the caller polls and closes it."""
        return await self._on_reader(
            lambda: open_tail(self.data, self._settings, filter_, self.accounts.view, self._topics)
        )

    async def sums(self) -> dict[str, Any]:
        """What the warehouse holds, journal by journal; for `verify`."""
        return await self.loop.on_worker(self.warehouse.sums)

    def status(self) -> dict[str, Any]:
        """What this process has done since its start, and what troubles it."""
        return {
            "source": asdict(self.loop.source.status()),
            "taken": asdict(self.loop.materialiser.taken),
            "settled": asdict(self.loop.settler.settled),
            "announced": self.announcer.announced if self.announcer else 0,
            "receipts": self.purger.receipts,
            "trouble": self.trouble(),
        }

    def trouble(self) -> str:
        """What hinders this process at present; empty when nothing does."""
        announcing = self.announcer.trouble if self.announcer else ""
        return self.loop.source.status().trouble or self.loop.settler.trouble or announcing or self.purger.trouble

    def owed(self) -> int | None:
        """How many hits are known not to be in the warehouse yet; None before the first look at it. Any thread may ask.

        Raises OSError where the journals cannot be read.
        """
        if self.kafka is not None:
            return sum(self.loop.source.status().lag.values()) if self.loop.source.status().streams else None
        return self.loop.materialiser.owed(journal_ends(self.data.journals))

    async def fold_counters(self) -> None:
        """Fold the counter files of workers whose journals are taken over for good; what hinders it is logged.

        Where Kafka is set that is the publisher's to do: it takes this host's journals over.
        """
        if self.kafka is not None:
            return

        def work() -> None:
            self.loop.materialiser.highest()  # asked for in any case: `owed` needs it known
            fold(self.data.counters, self.data.journals, self.loop.materialiser.highest)

        try:
            await self.loop.on_worker(work)
        except (OSError, TotalDamaged, WarehouseFailed) as error:
            LOG.warning("counters of workers that are gone were not folded: %s", error)

    async def close(self) -> None:
        """Let go of everything; the loop has ended or never ran."""
        self._readers.shutdown(wait=True)
        if self.announcer is not None:
            await self.announcer.close()
        await self.loop.close()
        self.purger.close()
        self.activity.close()
        self.accounts.close()
        self.warehouse.close()

    async def _reading(self, work: Callable[[WarehouseReader], T]) -> T:
        def read() -> T:
            reader = self.warehouse.reader()
            try:
                return work(reader)
            finally:
                reader.close()

        return await self._on_reader(read)

    async def _on_reader(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)


def kafka_log(bootstrap: str | None, now_us: Callable[[], int], topics: Topics | None = None) -> "KafkaLog | None":
    """What a purge asks of Kafka; None where events do not go through it."""
    if bootstrap is None:
        return None
    from consumers.purge_kafka import KafkaLog

    return KafkaLog(bootstrap, now_us, topics)
