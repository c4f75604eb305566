"""The field of a run: who is measured, in the order of the tables, and in which scenarios."""

from pathlib import Path
from typing import Final

from loadtest.heads import made_up_keys
from loadtest.peers.asgi import BareAsgi
from loadtest.peers.compiled import GoFasthttp, RustHyper
from loadtest.peers.floors import EpollFloor, UvloopFloor
from loadtest.peers.nginx import NginxGif, NginxLua
from loadtest.peers.pixelgate import Accounts, Pixelgate
from loadtest.peers.proxied import PixelgateBehindNginx
from loadtest.peers.server import IDLE_CROWD, KEEP_ALIVE, MANY_BROWSERS, NEW_CONNECTION, Server
from loadtest.peers.starlette_kafka import StarletteKafka

FEW_KEYS: Final = 10
MANY_KEYS: Final = 100_000
MOST_KEYS: Final = 1_000_000


def field(seed: int, many_keys: int, ledgers: Path, most_keys: int = MOST_KEYS) -> list[Server]:
    """Return every server; one plays the scenarios in which it tells something that another does not.

    seed: of the peers' write keys; many_keys, most_keys: of the rows that show what keys cost; ledgers: where
    Pixelgate's are kept between runs.
    """
    few, many = made_up_keys(seed, FEW_KEYS), made_up_keys(seed, many_keys)
    ours = Accounts(FEW_KEYS, ledgers)
    return [
        EpollFloor(few).only(KEEP_ALIVE, MANY_BROWSERS, NEW_CONNECTION, IDLE_CROWD),
        UvloopFloor(few).only(KEEP_ALIVE, NEW_CONNECTION),
        NginxGif(few).only(KEEP_ALIVE, NEW_CONNECTION),
        NginxLua(few),
        NginxLua(few, buffered=False, name="nginx-lua-unbuffered").only(KEEP_ALIVE),
        NginxLua(many, name=f"nginx-lua-{label(many_keys)}").only(KEEP_ALIVE, MANY_BROWSERS),
        GoFasthttp(few),
        RustHyper(few),
        BareAsgi(few).only(KEEP_ALIVE, NEW_CONNECTION, IDLE_CROWD),
        StarletteKafka(few).only(KEEP_ALIVE),
        Pixelgate(ours, "process", "pixelgate"),
        Pixelgate(ours, "disk", "pixelgate-disk").only(KEEP_ALIVE, MANY_BROWSERS, NEW_CONNECTION),
        Pixelgate(Accounts(many_keys, ledgers), "process", f"pixelgate-{label(many_keys)}").only(
            KEEP_ALIVE, MANY_BROWSERS
        ),
        Pixelgate(Accounts(most_keys, ledgers), "process", f"pixelgate-{label(most_keys)}").only(MANY_BROWSERS),
        Pixelgate(ours, "process", "pixelgate-2-workers", workers=2).only(KEEP_ALIVE, NEW_CONNECTION),
        NginxLua(few, tls=True, name="nginx-lua-tls"),
        Pixelgate(ours, "process", "pixelgate-tls", tls=True),
        PixelgateBehindNginx(ours, "pixelgate-behind-nginx"),
    ]


def label(keys: int) -> str:
    """Write a number of keys short: 100k, 1m."""
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if keys % size == 0:
            return f"{keys // size}{letter}"
    return str(keys)
