"""Line: one connection to Redis that is never replaced behind its caller's back.

Used by the relay, the workers' feed and whoever else must know that two commands reached the same server: a cursor of
HSCAN means nothing on another one, and a subscription nothing on a new connection. redis-py makes the connection
(address, TLS, login, Sentinel); this class bounds each step in time and closes it for good on any error that is not a
reply.
"""

import contextlib
import math
from asyncio import timeout
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gating.redis_client import ANSWER_SECONDS, CONNECT_SECONDS

LISTEN_SECONDS = 1.0
SILENT_ROUNDS_MAX = 2
"""A subscription that has not even answered a PING in so many rounds is dead."""

Word = str | bytes | int


class Line:
    """One connection; a new one is a new Line. Raises redis.exceptions.RedisError alone, a timeout being one."""

    def __init__(self, redis: Redis) -> None:
        self._connection: Any = redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        # Each call has a bound of its own below, so the library needs none: its own makes a task for each write.
        self._connection.socket_timeout = None

    @property
    def connected(self) -> bool:
        return bool(self._connection.is_connected)

    async def connect(self) -> None:
        """Connect and log in. Raises RedisError."""
        async with self._bounded(CONNECT_SECONDS):
            await self._connection.connect()

    async def call(self, *words: Word, seconds: float = ANSWER_SECONDS) -> Any:
        """Send one command and return its reply. Raises ResponseError where Redis says no; the line then goes on."""
        replies = await self.calls([words], seconds=seconds)
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies[0]

    async def calls(self, commands: Sequence[Sequence[Word]], *, seconds: float = ANSWER_SECONDS) -> list[Any]:
        """Send commands together; their replies in order, an error of Redis' being one (not raised).

        seconds: for all of them. Raises RedisError where the line broke: how many were carried out is not known.
        """
        async with self._bounded(seconds):
            await self._write(commands)
            return [await self._read() for _ in commands]

    async def send(self, *words: Word) -> None:
        """Send one command whose reply `receive` gives."""
        async with self._bounded(ANSWER_SECONDS):
            await self._write([words])

    async def reply(self) -> Any:
        """The reply to what was sent. Raises as `call` does."""
        async with self._bounded(ANSWER_SECONDS):
            reply = await self._read()
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def receive(self, seconds: float) -> Any:
        """The next reply or message; None where there was none within that time, and the line goes on."""
        return await self._connection.read_response(timeout=seconds)

    async def heard(self, channel: str) -> AsyncGenerator[bytes | None, None]:
        """Subscribe, and give each message of the channel; None for any other sign of life, the subscription first.

        Raises RedisError where the line broke, or has not even answered a PING for SILENT_ROUNDS_MAX rounds.
        """
        await self.call("SUBSCRIBE", channel)
        yield None
        silent = 0
        while True:
            message = await self.receive(LISTEN_SECONDS)
            if message is not None:
                silent = 0
                yield message[2] if message[0] == b"message" else None
            elif silent < SILENT_ROUNDS_MAX:
                silent += 1
                await self.send("PING")
            else:
                raise RedisTimeoutError("the subscription does not answer any more")

    async def close(self) -> None:
        """Close it, without waiting for the other side. Harmless twice."""
        await self._connection.disconnect(nowait=True)

    async def _write(self, commands: Sequence[Sequence[Word]]) -> None:
        connection = self._connection
        if not connection.is_connected:
            raise RedisConnectionError("the connection to Redis is closed")
        packed = connection.pack_command(*commands[0]) if len(commands) == 1 else connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)

    async def _read(self) -> Any:
        try:
            return await self._connection.read_response(timeout=math.inf)
        except ResponseError as error:
            return error

    @contextlib.asynccontextmanager
    async def _bounded(self, seconds: float) -> AsyncIterator[None]:
        """Work that, where it is too slow, cancelled or broken off, closes the line: replies would be owed on it."""
        try:
            async with timeout(seconds):
                yield
        except TimeoutError:
            await self.close()
            raise RedisTimeoutError(f"Redis did not answer within {seconds:g} s") from None
        except OSError as error:
            await self.close()
            raise RedisConnectionError(f"Redis cannot be reached: {error}") from error
        except BaseException:
            await self.close()
            raise
