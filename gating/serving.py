"""Serving HTTP from a process that has other things to do: uvicorn without its own signal handling.

The gating service, the consumer and each collector worker stop in an order of their own (answer what was read, then
close the ledger or the journal), so SIGTERM and SIGINT only set an event here. Loads uvicorn; not for shared modules.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from gating.errors import Unreachable


class Server(uvicorn.Server):
    """A uvicorn server whose owner watches for signals; `should_exit` stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, in the running loop. A second signal changes nothing."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def serve_until(stopped: asyncio.Event, servers: Sequence[tuple[uvicorn.Server, socket.socket]]) -> None:
    """Serve on each socket until the event is set or a server ends by itself; returns when all have shut down."""
    serving = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    waiting = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


def unix_listener(path: Path) -> socket.socket:
    """A listening Unix socket for this user alone. One a dead process left is replaced: the caller holds the role.

    Bound by its name within the directory, since a Unix address has 107 bytes (unix(7)) and a path may have more.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mask = os.umask(0o177)
        try:
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.umask(mask)
    finally:
        os.close(directory)
    return listener


def tcp_listener(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A TCP socket bound to host and port. shared: several processes bind it, each with a queue of its own.

    Raises Unreachable, naming the address, where it is taken or not this host's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol's number, or asyncio takes it for no TCP and sets no TCP_NODELAY (selector_events.py): an
    # answer's body then waits for the head's delayed acknowledgement, 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unreachable(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another port, or stop what holds it"
        ) from error
    return listener
