"""`python -m collector.publisher`: the publisher of one data directory, until SIGTERM or SIGINT."""

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import threading
from typing import Final

import uvloop
from pydantic import ValidationError

from collector.config import PublisherSettings
from collector.errors import BookDamaged, SettingMissing, TotalDamaged
from collector.journal.directory import journals
from collector.publisher.book import read_book
from collector.publisher.correspondence import Correspondent
from collector.publisher.dead_letters import DIRECTORY
from collector.publisher.exposition import PublisherMetrics
from collector.publisher.pump import Publisher
from collector.publisher.record_batch import Compression
from collector.publisher.sink import KafkaSink
from collector.publisher.topics import Topics
from collector.totals import fold
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.operations import operations, server_of
from gating.serving import serve_until, stop_event, tcp_listener

METRICS_HOST: Final = "127.0.0.1"
EXIT_SECONDS: Final = 15.0
"""A stop ends the process by then whatever hangs; the cursors are where they are, so that nothing is lost."""

FOLD_SECONDS: Final = 5.0
"""Between two looks for counters of workers that are gone."""

COLLECT_OBJECTS: Final = 500_000
"""Objects before the garbage collector looks: a share makes thousands that all go by themselves."""

_log = logging.getLogger("pixelgate.collector")


def main() -> int:
    """Run until told to stop; returns the exit code of CONTRACT."""
    logging.basicConfig(format="%(asctime)s publisher %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("pixelgate").setLevel(logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the pump tells what matters, once
    gc.set_threshold(COLLECT_OBJECTS)
    os.umask(0o077)  # events are personal data: nothing this process makes is for other users
    try:
        settings = PublisherSettings()
        if settings.kafka_bootstrap is None:
            raise SettingMissing("KAFKA_BOOTSTRAP", "a publisher carries the journals to Kafka: host:port,host:port")
        data = DataDirectory.open(settings.data)
        # `journals`: held by whoever takes them over, this process or an embedded consumer, since each removes them.
        with data.claim("publisher"), data.hold("journals"):
            uvloop.run(_serve(data, settings, settings.kafka_bootstrap))
    except ValidationError as error:
        fault = error.errors()[0]
        print(f"pixelgate: PIXELGATE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}", file=sys.stderr)
        return 2
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


async def _serve(data: DataDirectory, settings: PublisherSettings, bootstrap: str) -> None:
    """The pump, its voice and its port beside each other, until told to stop."""
    stopped = stop_event()
    port = tcp_listener(METRICS_HOST, settings.metrics_port) if settings.metrics_port else None
    topics = Topics()
    sink = KafkaSink(bootstrap, topics, settings.kafka_partitions)
    publisher = Publisher(data, sink, topics, settings.addresses(), compression=Compression(settings.kafka_compression))
    voice = Correspondent(
        bootstrap, topics.publishers, data, publisher.through, lambda: publisher.offsets, host=socket.gethostname()
    )
    doors = []
    if port is not None:
        metrics = PublisherMetrics(publisher, data, data.root / DIRECTORY)
        app = operations(metrics, not_ready=lambda: [publisher.trouble] if publisher.trouble else [])
        doors.append((server_of(app), port))
    pumping = asyncio.create_task(publisher.run(stopped))
    pumping.add_done_callback(lambda _: stopped.set())
    speaking = asyncio.create_task(voice.run())
    folding = asyncio.create_task(_fold_now_and_then(data))
    try:
        await serve_until(stopped, doors)
    finally:
        _exit_in(EXIT_SECONDS)
        await pumping
        speaking.cancel()
        folding.cancel()
        await asyncio.wait({speaking, folding})
        if not publisher.trouble and not journals(data.journals):
            await voice.farewell()


async def _fold_now_and_then(data: DataDirectory) -> None:
    """Fold the counters of workers whose journals are published and gone, as an embedded consumer does."""
    while True:
        try:
            await asyncio.to_thread(fold, data.counters, data.journals, lambda: _published(data))
        except (OSError, BookDamaged, TotalDamaged) as error:
            _log.warning("counters of workers that are gone were not folded: %s", error)
        await asyncio.sleep(FOLD_SECONDS)


def _published(data: DataDirectory) -> dict[str, int]:
    """Up to where each journal is in Kafka, in the dead letters, or told missing."""
    return {journal: account.last for journal, account in read_book(data.root).journals.items()}


def _exit_in(seconds: float) -> None:
    """See that the process ends: Kafka's client may wait for a broker that is gone."""
    watchdog = threading.Timer(seconds, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
