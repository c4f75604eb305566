"""Wakeups: what other processes did to the ledger, told at once: a change was committed, a version is enforced.

Used by the gating process, which relays changes and lets those go on who wait for `enforced_version`. It tells that
there is something to look at, never what: words can be lost, twice or late, the ledger alone is truth. So whoever
listens looks by itself now and then too.
"""

import asyncio
import contextlib
import logging
import random
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import sql
from psycopg.abc import PQGen

from gating.ledger.conninfo import connection_parameters, place_of
from gating.ledger.engines import is_postgres
from gating.ledger.postgres_errors import told
from gating.ledger.store import Channel

T = TypeVar("T")

PAUSE_SECONDS: Final = 0.1
PAUSE_SECONDS_MAX: Final = 5.0
"""Between two attempts to connect: doubled each time, and a random half less, so that services do not come all at once
to a server that has just started."""
ANSWER_SECONDS: Final = 5.0
"""LISTEN and SELECT 1 touch no table and wait for no lock."""
QUIET_SECONDS: Final = 30.0
"""After so long without a word the server is asked whether it is still there: a lost connection says nothing."""

_log = logging.getLogger("pixelgate.ledger")


class _Listener(psycopg.AsyncConnection[Any]):
    """A connection that waits for no answer for ever. Not by `asyncio.timeout`: psycopg meets a cancellation by asking
    the server, which is the one that is silent, to cancel, and waits 5 s for that."""

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109  psycopg's own parameter
    ) -> T:
        """As psycopg waits, within ANSWER_SECONDS."""
        return await super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)


class Wakeups:
    """`async with Wakeups(url) as wakeups`, then `async for channel in wakeups`; for one task at a time.

    Each channel comes once whatever was told on it meanwhile, so nothing piles up. Both come once whenever the server
    has been reached, at first or again, since something may have been missed before. For a SQLite ledger none ever
    comes: its only writer is the gating process itself.
    """

    def __init__(self, url: str) -> None:
        """Raises InputInvalid."""
        self._parameters = connection_parameters(url) if is_postgres(url) else None
        self._pending: dict[Channel, None] = {}
        self._woken = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.connections = 0
        """How often the server was reached."""
        self.trouble = ""
        """Why nothing can be heard at present; empty when it can."""

    async def __aenter__(self) -> Self:
        if self._parameters is not None:
            self._listening = asyncio.create_task(self._listen_for_ever(self._parameters))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Channel:
        while not self._pending:
            self._woken.clear()
            await self._woken.wait()
            if self._listening is not None and self._listening.done():
                self._listening.result()  # a bug of ours ended it: not to be waited on in silence
        channel = next(iter(self._pending))
        del self._pending[channel]
        return channel

    def _wake(self, *channels: Channel) -> None:
        self._pending.update(dict.fromkeys(channels))
        self._woken.set()

    async def _listen_for_ever(self, parameters: dict[str, Any]) -> None:
        pause_seconds = PAUSE_SECONDS
        try:
            while True:
                before = self.connections
                try:
                    await self._listen(parameters)
                except (psycopg.Error, TimeoutError, OSError) as error:
                    self._note(error, place_of(parameters))
                pause_seconds = PAUSE_SECONDS if self.connections > before else pause_seconds * 2
                pause_seconds = min(pause_seconds, PAUSE_SECONDS_MAX)
                await asyncio.sleep(random.uniform(pause_seconds / 2, pause_seconds))  # noqa: S311  no secret
        finally:
            self._woken.set()

    async def _listen(self, parameters: dict[str, Any]) -> None:
        """Pass on what is told until the connection is lost, which is an error."""
        connection = await _Listener.connect(**parameters, autocommit=True)
        try:
            for channel in Channel:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self.connections, self.trouble = self.connections + 1, ""
            self._wake(*Channel)
            while True:
                async for notice in connection.notifies(timeout=QUIET_SECONDS):
                    self._wake(Channel(notice.channel))
                await connection.execute("SELECT 1")
        finally:
            await connection.close()

    def _note(self, error: BaseException, place: str) -> None:
        """Tell the first of a row of failures: the others say the same."""
        was, self.trouble = self.trouble, str(told(error, place) or f"the ledger {place} does not answer: {error}")
        if not was:
            _log.warning("changes by other services are not heard of at once: %s", self.trouble)
