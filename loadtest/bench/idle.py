"""Idle connections: opened and answered once before a round, kept open beside it, asked again after it.

Called by rounds.py for scenarios that have some. A server that closes one meanwhile fails: it would carry less than the
others do.
"""

import resource
import socket
from typing import Final, Self

from loadtest.peers.server import ServerFailed, connect, exchange

SPARE_FILES: Final = 512
"""What a server or this process opens besides: the busy connections, journals, logs."""


class IdleConnections:
    """`count` connections to a port, each asked with the same head when it is opened and by `ask_again`.

    answered: the answers so far. Raises ServerFailed for a connection that is closed or answers anything but the GIF.
    """

    def __init__(self, port: int, count: int, head: bytes, *, tls: bool = False) -> None:
        self._port, self._count, self._head, self._tls = port, count, head, tls
        self._open: list[socket.socket] = []
        self.answered = 0

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                self._open.append(connect(self._port, tls=self._tls))
                self._ask(self._open[-1])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            connection.close()

    def ask_again(self) -> None:
        """Prove that each is still open."""
        for connection in self._open:
            self._ask(connection)

    def _ask(self, connection: socket.socket) -> None:
        try:
            exchange(connection, self._head)
        except (OSError, ServerFailed) as error:
            where = f"idle connection {self._open.index(connection) + 1:,} of {self._count:,}"
            raise ServerFailed(f"{where}, answer {self.answered + 1:,}: {error}") from error
        self.answered += 1


def allow_files(connections: int) -> None:
    """Let this process, and those it starts, have so many connections open. Raises ServerFailed where it may not."""
    needed = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed <= soft or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ServerFailed(f"{needed:,} open files are needed, {hard:,} are allowed here (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
