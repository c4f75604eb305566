"""Purging: `consumer purge`, the purges of one data directory in a process of their own.

For warehouses on ClickHouse, which several processes may write to. A DuckDB file has one holder: there `consumer
materialise` purges beside its loop, by the same `purge.py`.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

from consumers.config import METRICS_HOST, ConsumerSettings
from consumers.errors import QuestionInvalid
from consumers.exposition import PurgeMetrics
from consumers.purge import Purger
from consumers.purge_places import Files
from consumers.service import kafka_log
from consumers.warehouse.place import open_warehouse
from gating.clock import Clock
from gating.datadir import DataDirectory
from gating.ledger import Ledger, ledger_url
from gating.operations import operations, server_of
from gating.serving import serve_until, stop_event, tcp_listener

PURGE_ROLE: Final = "purge"
"""Held by whoever purges a data directory. `consumer purge` claims it, so that a consumer beside it lets go of it."""


async def purge_alone(data: DataDirectory, settings: ConsumerSettings) -> None:
    """Purge until told to stop. Raises QuestionInvalid where the warehouse is a file, DataDirectoryInUse where another
    `consumer purge` does so already, Unreachable where the metrics port is taken."""
    if not settings.clickhouse_url:
        raise QuestionInvalid(
            "CLICKHOUSE_URL", "", "a ClickHouse: over the data directory's own file `consumer materialise` purges"
        )
    stopped = stop_event()
    clock, url = Clock(), ledger_url(data, settings.database_url)
    with ExitStack() as holding:
        port = None
        if settings.metrics_port:
            port = holding.enter_context(tcp_listener(METRICS_HOST, settings.metrics_port))
        holding.enter_context(data.claim(PURGE_ROLE))
        worker = holding.enter_context(ThreadPoolExecutor(1, thread_name_prefix="warehouse"))
        warehouse = open_warehouse(data, settings.clickhouse_url, announces=settings.kafka_bootstrap is not None)

        async def on_worker(work: Any, *arguments: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(worker, work, *arguments)

        log = kafka_log(settings.kafka_bootstrap, clock.now_us)
        purger = Purger(
            lambda: Ledger.open_existing(url), warehouse, Files(data), on_worker, clock.now_us, log=log
        )  # fmt: skip
        metrics = operations(PurgeMetrics(purger), not_ready=lambda: [purger.trouble] if purger.trouble else [])
        running = asyncio.create_task(purger.run())
        running.add_done_callback(lambda _: stopped.set())
        try:
            await serve_until(stopped, [] if port is None else [(server_of(metrics), port)])
        finally:
            running.cancel()
            await asyncio.wait([running])
            await on_worker(warehouse.close)
            purger.close()
    if not running.cancelled() and (error := running.exception()) is not None:
        raise error
