"""Purging: `consumer purge`, the purges of one data directory in a process of their own.

For warehouses on ClickHouse, which several processes may write to. A DuckDB file has one holder: there `consumer
materialise` purges beside its loop, by the same `purge.py`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from consumers.config import ConsumerSettings
from consumers.errors import QuestionInvalid
from consumers.purge import Purger
from consumers.purge_places import Files
from consumers.service import kafka_log
from consumers.warehouse.place import open_warehouse
from gating.clock import Clock
from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url
from gating.serving import stop_event


async def purge_alone(data: DataDirectory, settings: ConsumerSettings) -> None:
    """Purge until told to stop. Raises QuestionInvalid where the warehouse is a file, DataDirectoryInUse."""
    if not settings.clickhouse_url:
        raise QuestionInvalid(
            "CLICKHOUSE_URL", "", "a ClickHouse: over the data directory's own file `consumer materialise` purges"
        )
    stopped = stop_event()
    clock, url = Clock(), ledger_url(data, settings.database_url)
    with data.hold("purge"), ThreadPoolExecutor(1, thread_name_prefix="warehouse") as worker:
        warehouse = open_warehouse(data, settings.clickhouse_url, announces=settings.kafka_bootstrap is not None)

        async def on_worker(work: Any, *arguments: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(worker, work, *arguments)

        log = kafka_log(settings.kafka_bootstrap, clock.now_us)
        purger = Purger(
            lambda: Ledger.open_existing(url), warehouse, Files(data), on_worker, clock.now_us, log=log
        )  # fmt: skip
        running = asyncio.create_task(purger.run())
        running.add_done_callback(lambda _: stopped.set())
        try:
            await stopped.wait()
        finally:
            running.cancel()
            await asyncio.wait([running])
            await on_worker(warehouse.close)
            purger.close()
    if not running.cancelled() and (error := running.exception()) is not None:
        raise error
