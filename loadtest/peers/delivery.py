"""Delivery: a started server that answers hits and delivers them to Kafka, in one process or several.

What it has kept is what stands in Kafka's topics. Where Kafka and Redis are its own they are stopped with it, after
what they hold was counted.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from loadtest.peers.engines import Engines
from loadtest.peers.server import Place, Running


@dataclass(slots=True)
class Delivery(Running):
    """counted: the processes besides the first whose trees count as the server's, too; each also stands in `beside`.

    own: engines that are stopped with it.
    """

    counted: Sequence["subprocess.Popen[bytes]"] = field(default_factory=tuple)
    own: Engines | None = None

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are measured."""
        return [self.process.pid, *(process.pid for process in self.counted)]

    def stop(self) -> None:
        """End the server, let it deliver what is on its way, count it, and stop the engines that are its own.

        Raises ServerFailed where a process had to be killed.
        """
        own, self.own = self.own, None
        try:
            Running.stop(self)
            if own is not None and self.kept is not None:
                kept = self.kept()
                self.kept = lambda: kept
        finally:
            if own is not None:
                own.stop()


@contextmanager
def delivering_to(shared: Engines | None, place: Place, *, redis: bool) -> Iterator[tuple[Engines, Engines | None]]:
    """Give the engines that a start uses, and those of them that are its own: shared ones, or else new ones.

    New ones are stopped where the start fails; once it has come about they are the delivery's. Raises ServerFailed.
    """
    engines = shared or Engines(place.folder / "engines", place.cores.load, redis=redis)
    own = None if shared else engines
    try:
        yield engines, own
    except BaseException:
        if own is not None:
            own.stop()
        raise
