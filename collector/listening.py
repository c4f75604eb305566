"""Listening: by how many descriptors a worker takes new connections from its socket's queue.

libuv accepts one connection from each listening descriptor in an iteration of the loop. A few are enough while
iterations are short. When a thousand connections all have something to say an iteration takes ten milliseconds, and
whoever comes new would wait behind hundreds of them; so more descriptors are opened while connections queue.

Started and stopped by worker.py with its server. Must not touch a connection: that is protocol.py's.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final

from gating.serving import Server

BACKLOG: Final = 65_535
"""Connections the kernel queues while a tick runs: as many as it allows, which is net.core.somaxconn (4,096 where
nobody changed it). One that finds the queue full is sent again by its client, a second later."""
SILENT_SECONDS: Final = 1
"""The kernel keeps a new connection to itself until it has sent something, or for about this long: its first hit can be
read as soon as it is accepted (docs/performance.md has what that saves). Apache does the same for HTTP."""
ACCEPTS_MIN: Final = 4
"""New connections an iteration, at most, while hardly any queue. With one descriptor each hit on a new connection has a
tick, a frame and a write() of its own: 37 us CPU, not 34. One that comes alone pays 11 us for the three that find
nothing (docs/performance.md)."""
ACCEPTS_MAX: Final = 64
"""The same while they do."""
QUEUED_MANY: Final = 128
"""So many make a crowd. At 16 a hit on a new connection cost 38 us where it is 31 otherwise (64 connections at a time):
with few in the queue most of 64 descriptors find nothing, each time."""
LOOK_SECONDS: Final = 0.05
CALM_LOOKS: Final = 20
"""So many looks in a row must find the queue empty before the further descriptors are closed: a second."""

_QUEUED = struct.Struct("=24xI")
"""struct tcp_info (linux/tcp.h): of a listening socket `tcpi_unacked` is how many connections wait for accept()."""


def queued(listener: socket.socket) -> int:
    """How many connections wait in a listening socket's queue. 0 where the kernel does not tell."""
    with contextlib.suppress(OSError):
        told = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUED.size)
        if len(told) == _QUEUED.size:
            return int(_QUEUED.unpack(told)[0])
    return 0


class PixelServer(Server):
    """Listens on each socket by ACCEPTS_MIN descriptors, and by ACCEPTS_MAX while connections queue."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`; every descriptor is closed with the server."""
        listeners = list(sockets or ())
        for listener in listeners:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_SECONDS)
        watching = asyncio.create_task(self._watch(listeners))
        try:
            more = [listener.dup() for listener in listeners for _ in range(1, ACCEPTS_MIN)]
            await super().serve([*listeners, *more])
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, listeners: Sequence[socket.socket]) -> None:
        calm = 0
        more: list[asyncio.Server] = []
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self.started or self.should_exit:
                continue
            waiting = sum(map(queued, listeners))
            calm = calm + 1 if waiting == 0 else 0
            if waiting >= QUEUED_MANY and not more:
                more = [await self._open(listener) for listener in listeners for _ in range(ACCEPTS_MIN, ACCEPTS_MAX)]
            elif more and calm >= CALM_LOOKS:
                for server in more:
                    self.servers.remove(server)
                    server.close()
                more = []

    async def _open(self, listener: socket.socket) -> asyncio.Server:
        """One more descriptor, which uvicorn closes with its own."""
        config, state = self.config, self.server_state

        def connect() -> asyncio.Protocol:
            protocol: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=state, app_state=self.lifespan.state, _loop=None
            )
            return protocol

        server = await asyncio.get_running_loop().create_server(
            connect, sock=listener.dup(), ssl=config.ssl, backlog=config.backlog
        )
        self.servers.append(server)
        return server
