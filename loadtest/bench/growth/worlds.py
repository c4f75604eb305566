"""Two axes of what a server is started on: write keys, and workers."""

from functools import partial
from pathlib import Path
from typing import Final

from loadtest.bench.growth.contenders import Grown
from loadtest.bench.growth.gauge import Point
from loadtest.bench.growth.hits import KEYS, LOADS
from loadtest.bench.growth.lives import Life
from loadtest.heads import HEADS, heads
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import Server

COUNTS: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
WORKERS: Final = (1, 2)
MANY_HEADS: Final = HEADS * 128
"""So many that of a million keys tens of thousands are asked for; few keys get as many heads."""


def keys(ledgers: Path, seed: int) -> list[Life]:
    """10 write keys to a million, drawn evenly; each count is a server of its own."""

    def points(count: int, server: Server) -> list[Point]:
        written = heads(seed, MANY_HEADS, server.keys)
        return [Point(count, load, written) for load in LOADS]

    return [Life(Grown(Accounts(count, ledgers)), partial(points, count)) for count in COUNTS]


def workers(ledgers: Path, seed: int) -> list[Life]:
    """One worker and two on one core: what a second one costs by itself. A machine with more cores would share the hits
    among them; this one has only the load's beside it."""

    def points(count: int, server: Server) -> list[Point]:
        written = heads(seed, HEADS, server.keys)
        return [Point(count, load, written) for load in LOADS]

    return [Life(Grown(Accounts(KEYS, ledgers), count), partial(points, count)) for count in WORKERS]
