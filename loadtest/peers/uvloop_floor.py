"""The floor of Python's event loop: a uvloop Protocol that answers fixed bytes to each chunk and parses nothing.

Usage: python -m loadtest.peers.uvloop_floor PORT CLOSE, CLOSE 0 or 1: end the connection after an answer.
"""

import asyncio
import sys
from typing import cast

import uvloop

from loadtest.peers.wire import answer


class Floor(asyncio.Protocol):
    """One connection; a chunk counts as one request."""

    __slots__ = ("_answer", "_close", "_transport")

    def __init__(self, answered: bytes, close: bool) -> None:
        self._answer = answered
        self._close = close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _chunk: bytes) -> None:
        """Answer, whatever was asked."""
        self._transport.write(self._answer)
        if self._close:
            self._transport.close()


async def serve(port: int, close: bool) -> None:
    """Serve until the process is ended."""
    answered = answer(close=close)
    server = await asyncio.get_running_loop().create_server(
        lambda: Floor(answered, close), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2] == "1"))
