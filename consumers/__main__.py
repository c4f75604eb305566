"""`python -m consumers materialise|purge`: one data directory's consumer process, or its purges alone over a warehouse
that several processes may hold; until SIGTERM or SIGINT."""

import argparse
import asyncio
import gc
import logging
import os
import sys
from contextlib import nullcontext, suppress
from typing import Final

from pydantic import ValidationError

from consumers.config import METRICS_HOST, ConsumerSettings
from consumers.exposition import ConsumerMetrics
from consumers.purge import Purger
from consumers.purging import PURGE_ROLE, purge_alone
from consumers.server import application
from consumers.service import Service
from gating.datadir import DataDirectory
from gating.errors import DataDirectoryInUse, PixelgateError
from gating.operations import operations, server_of
from gating.serving import serve_until, stop_event, tcp_listener, unix_listener

DRAIN_SECONDS: Final = 5.0
"""A stop takes what the collectors wrote before they stopped; more waits safely in the journals."""

FOLD_SECONDS: Final = 5.0
"""Between two looks for counters of workers that are gone."""

PURGE_STANDBY_SECONDS: Final = 10.0

COLLECT_OBJECTS: Final = 500_000
"""Objects before the garbage collector looks. A batch makes some 100,000 that all go by themselves; looking for cycles
among them every 700 took a fifth of the CPU an event."""


def main() -> int:
    """Run until told to stop; returns the exit code of CONTRACT."""
    parser = argparse.ArgumentParser(prog="python -m consumers", description=__doc__)
    parser.add_argument("role", nargs="?", choices=["materialise", "purge"], default="materialise")
    role = parser.parse_args().role
    logging.basicConfig(format="%(asctime)s consumer %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("pixelgate").setLevel(logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the source tells what matters, once
    gc.set_threshold(COLLECT_OBJECTS)
    os.umask(0o077)  # events are personal data: nothing this process makes is for other users
    try:
        settings = ConsumerSettings()
        data = DataDirectory.open(settings.data)
        if role == "purge":
            asyncio.run(purge_alone(data, settings))
            return 0
        # `journals`: held by whoever takes them over, an embedded consumer or a publisher, since each removes them.
        journals = nullcontext() if settings.kafka_bootstrap else data.hold("journals")
        with data.claim("consumer"), journals:
            asyncio.run(_serve(data, settings))
    except ValidationError as error:
        fault = error.errors()[0]
        print(f"pixelgate: PIXELGATE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}", file=sys.stderr)
        return 2
    except PixelgateError as error:
        print(f"pixelgate: {error}", file=sys.stderr)
        return error.exit_code
    return 0


async def _serve(data: DataDirectory, settings: ConsumerSettings) -> None:
    """The loop and its doors beside each other; when either ends, the other is stopped, then the warehouse closed."""
    stopped = stop_event()
    # Bound before the warehouse is opened: a port that is taken ends this at once.
    port = tcp_listener(METRICS_HOST, settings.metrics_port) if settings.metrics_port else None
    service = Service(data, settings)
    try:
        doors = [(server_of(application(service)), unix_listener(data.consumer_socket))]
        if port is not None:
            metrics = operations(ConsumerMetrics(service), not_ready=lambda: not_ready(service))
            doors.append((server_of(metrics), port))
        looping = asyncio.create_task(service.loop.run())
        looping.add_done_callback(lambda _: stopped.set())
        works = (_fold_now_and_then(service), _purge(data, service.purger), service.activity.run())
        beside = [asyncio.create_task(work) for work in works]
        if service.announcer is not None:
            beside.append(asyncio.create_task(service.announcer.run()))
        try:
            await serve_until(stopped, doors)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            service.loop.stop()
            await looping
            await service.loop.drain(DRAIN_SECONDS)
            await service.fold_counters()
    finally:
        data.consumer_socket.unlink(missing_ok=True)
        await service.close()


def not_ready(service: Service) -> list[str]:
    """Why it takes no events at present; empty when it does."""
    trouble = service.loop.trouble or service.loop.source.status().trouble
    return [trouble] if trouble else []


async def _purge(data: DataDirectory, purger: Purger) -> None:
    """Purge, one process a data directory: where `consumer purge` runs beside this one, that one does."""
    while True:
        with suppress(DataDirectoryInUse):
            if not data.is_claimed(PURGE_ROLE):
                with data.hold(PURGE_ROLE):
                    await purger.run(until=lambda: data.is_claimed(PURGE_ROLE))
        await asyncio.sleep(PURGE_STANDBY_SECONDS)


async def _fold_now_and_then(service: Service) -> None:
    while True:
        await service.fold_counters()
        await asyncio.sleep(FOLD_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
