"""Three axes of one server under different hits: parameters, head size, connections."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from loadtest.bench.growth.contenders import EpollFloor, Grown, NginxLua
from loadtest.bench.growth.gauge import Point
from loadtest.bench.growth.lives import Life
from loadtest.bench.growth.loads import Full, GrowthLoad, Steady
from loadtest.bench.growth.shapes import sized, with_params
from loadtest.heads import HEADS, heads, made_up_keys
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import Server

CONNECTIONS: Final = 64
PACE: Final = 5_000.0
"""Hits a second: what one connection can bear too, and 10,000 of them fire each other second."""
KEYS: Final = 10
PARAMS: Final = (0, 10, 25, 50)
SIZES: Final = (200, 800, 2_000, 3_500, 4_500, 8_000)
LINKS: Final = (1, 4, 16, 64, 256, 1_024, 4_096, 10_000)
NGINX_LINKS_MAX: Final = 1_024
"""Its configuration allows 4,096, each hit's own log and all."""
ROOM: Final = {"PIXELGATE_CONNECTIONS_MAX": "20000"}
"""At its default of 10,000 a worker makes room from 9,500 on by closing the longest idle."""
FULL: Final = Full(CONNECTIONS)
LOADS: Final[Sequence[GrowthLoad]] = (Steady(CONNECTIONS, PACE), FULL)


def params(ledgers: Path, seed: int) -> list[Life]:
    """0 to 50 parameters in the query."""
    return _shaped(ledgers, {n: partial(with_params, seed, n) for n in PARAMS}, [NginxLua(made_up_keys(seed, KEYS))])


def sizes(ledgers: Path, seed: int) -> list[Life]:
    """Heads of 200 bytes to 8,000."""
    return _shaped(ledgers, {n: partial(sized, seed, n) for n in SIZES}, [NginxLua(made_up_keys(seed, KEYS))])


def _shaped(ledgers: Path, shapes: "dict[int, partial[list[bytes]]]", peers: list[Server]) -> list[Life]:
    """At full load alone: at a pace the wake-ups of a hit cost several times what its bytes do."""

    def points(server: Server) -> list[Point]:
        return [Point(x, FULL, shape(server.keys)) for x, shape in shapes.items()]

    return [Life(server, points) for server in (Grown(Accounts(KEYS, ledgers)), *peers)]


def connections(ledgers: Path, seed: int) -> list[Life]:
    """One connection to 10,000, at one pace and at full load."""

    def points(most: int, server: Server) -> list[Point]:
        written = heads(seed, HEADS, server.keys)
        links = [n for n in LINKS if n <= most]
        return [Point(n, load, written) for n in links for load in (Steady(n, PACE), Full(n))]

    keys = made_up_keys(seed, KEYS)
    return [
        Life(Grown(Accounts(KEYS, ledgers), settings=ROOM), partial(points, max(LINKS))),
        Life(NginxLua(keys), partial(points, NGINX_LINKS_MAX)),
        Life(EpollFloor(keys), partial(points, max(LINKS))),
    ]
