"""The field of a run: who is measured, in the order of the tables."""

from pathlib import Path
from typing import Final

from loadtest.heads import made_up_keys
from loadtest.peers.asgi import BareAsgi
from loadtest.peers.floors import EpollFloor, UvloopFloor
from loadtest.peers.nginx import NginxGif, NginxLua
from loadtest.peers.pixelgate import Accounts, Pixelgate
from loadtest.peers.server import Server

FEW_KEYS: Final = 10
MANY_KEYS: Final = 100_000


def field(seed: int, many_keys: int, ledgers: Path) -> list[Server]:
    """Return every server.

    seed: of the peers' write keys; many_keys: of the rows that show what keys cost; ledgers: where
    Pixelgate's are kept between runs.
    """
    few, many = made_up_keys(seed, FEW_KEYS), made_up_keys(seed, many_keys)
    few_accounts = Accounts(FEW_KEYS, ledgers)
    label = f"{many_keys // 1000}k" if many_keys % 1000 == 0 else str(many_keys)
    return [
        EpollFloor(few),
        UvloopFloor(few),
        NginxGif(few),
        NginxLua(few),
        NginxLua(few, buffered=False, name="nginx-lua-unbuffered"),
        NginxLua(many, name=f"nginx-lua-{label}"),
        BareAsgi(few),
        Pixelgate(few_accounts, "process", "pixelgate"),
        Pixelgate(few_accounts, "disk", "pixelgate-disk"),
        Pixelgate(Accounts(many_keys, ledgers), "process", f"pixelgate-{label}"),
    ]
