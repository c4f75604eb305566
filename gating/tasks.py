"""Tasks: what a process does beside serving. One that ends by a bug ends the process: whoever runs it restarts it."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any


class Tasks:
    """Tasks that go on until cancelled. `stopped` is set once one of them has failed; `close` then raises its error."""

    def __init__(self, works: Iterable[Coroutine[Any, Any, None]], stopped: asyncio.Event) -> None:
        self._stopped = stopped
        self._failure: BaseException | None = None
        self._tasks = [asyncio.create_task(work) for work in works]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Cancel them all. Raises the error of the first that failed by itself."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failure = self._failure or error
            logging.getLogger("pixelgate.gating").error("a task ended by a bug; the process ends", exc_info=error)
            self._stopped.set()
