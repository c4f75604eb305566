"""`python -m consumers materialise`: the consumer process of one data directory, until SIGTERM or SIGINT."""

import argparse
import asyncio
import gc
import logging
import os
import sys
from typing import Final

import uvicorn
from pydantic import ValidationError

from consumers.config import ConsumerSettings
from consumers.server import application
from consumers.service import Service
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.serving import Server, serve_until, stop_event, unix_listener

DRAIN_SECONDS: Final = 5.0
"""A stop takes what the collectors wrote before they stopped; more waits safely in the journals."""

COLLECT_OBJECTS: Final = 500_000
"""Objects before the garbage collector looks. A batch makes some 100,000 that all go by themselves; looking for cycles
among them every 700 took a fifth of the CPU an event."""


def main() -> int:
    """Run until told to stop; returns the exit code of CONTRACT."""
    parser = argparse.ArgumentParser(prog="python -m consumers", description=__doc__)
    parser.add_argument("role", nargs="?", choices=["materialise"], default="materialise")
    parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    gc.set_threshold(COLLECT_OBJECTS)
    os.umask(0o077)  # events are personal data: nothing this process makes is for other users
    try:
        settings = ConsumerSettings()
        data = DataDirectory.open(settings.data)
        with data.hold("consumer"):
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
    """The loop and the socket beside each other; when either ends, the other is stopped, then the warehouse closed."""
    stopped = stop_event()
    service = Service(data, settings.addresses())
    try:
        server = Server(
            uvicorn.Config(
                application(service),
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=5,  # a tail never ends by itself
            )
        )
        looping = asyncio.create_task(service.loop.run())
        looping.add_done_callback(lambda _: stopped.set())
        try:
            await serve_until(stopped, [(server, unix_listener(data.consumer_socket))])
        finally:
            service.loop.stop()
            await looping
            await service.loop.drain(DRAIN_SECONDS)
    finally:
        data.consumer_socket.unlink(missing_ok=True)
        await service.close()


if __name__ == "__main__":
    sys.exit(main())
