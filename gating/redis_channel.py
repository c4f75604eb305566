"""Channel: the leader's two connections to Redis for reports and answers: it listens on one and sends on the other.

Used by `shared_lead.py`. What is lost here costs a worker nothing but the time until its next report. Must not decide
anything: it hands each report on, and sends what answers it is given.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gating.backoff import Backoff
from gating.datagram import Answer, Report, decode, encode
from gating.fence import WORKERS_MAX
from gating.redis_keys import REPORTS, answers_to
from gating.redis_line import Line

BACKOFF_SECONDS: Final = 0.05
BACKOFF_SECONDS_MAX: Final = 1.0
"""While Redis is away no lease is granted, and a flip waits for those there are to run out: 3 s."""

_log = logging.getLogger("pixelgate.gating")


class ReportChannel:
    """Hears reports until cancelled, and sends answers. take: given each report, in the order they come."""

    def __init__(self, redis: Redis, take: Callable[[Report], None]) -> None:
        self._redis = redis
        self._take = take
        self._answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WORKERS_MAX)
        self.trouble: str | None = None
        """Why no report can be heard at present, or None."""

    def answer(self, worker: str, answer: Answer) -> None:
        """Send it soon. One that is held up on its way grants the less for it: it counts from when its report was
        sent. Where more wait than there can be workers it is lost."""
        if not self._answers.full():
            self._answers.put_nowait((answers_to(worker), encode(answer)))

    async def listen(self) -> None:
        """Hear reports until cancelled, whatever becomes of Redis meanwhile."""
        await self._again_and_again(self._listen_on)

    async def send(self) -> None:
        """Send answers until cancelled."""
        await self._again_and_again(self._send_on)

    async def _again_and_again(self, work: Callable[[Line, Callable[[], None]], Awaitable[None]]) -> None:
        backoff = Backoff(BACKOFF_SECONDS, BACKOFF_SECONDS_MAX)
        while True:
            line = Line(self._redis)
            try:
                await line.connect()
                await work(line, backoff.reset)
            except RedisError as error:
                self._tell(str(error))
                await asyncio.sleep(backoff.next_seconds())
            finally:
                await line.close()

    async def _listen_on(self, line: Line, works: Callable[[], None]) -> None:
        async with contextlib.aclosing(line.heard(REPORTS)) as heard:
            async for message in heard:
                works()
                self._tell(None)
                if message is not None:
                    self._hear(message)

    def _hear(self, data: bytes) -> None:
        try:
            report = decode(data)
        except ValueError:
            return  # somebody else's
        if isinstance(report, Report):
            self._take(report)

    async def _send_on(self, line: Line, works: Callable[[], None]) -> None:
        while True:
            answers = [await self._answers.get()]
            while not self._answers.empty():
                answers.append(self._answers.get_nowait())
            for reply in await line.calls([("PUBLISH", channel, answer) for channel, answer in answers]):
                if isinstance(reply, RedisError):
                    raise reply
            works()

    def _tell(self, trouble: str | None) -> None:
        """One line each time that changes."""
        if trouble is not None and self.trouble is None:
            _log.warning("no lease is granted while Redis does not carry reports: %s", trouble)
        if trouble is None and self.trouble is not None:
            _log.info("Redis carries reports again")
        self.trouble = trouble
