"""Slowdown: how long whoever gave wrong tokens has to wait before the next try. Pure: the time is given.

By peer address (of IPv6 the /64, which one customer has), in bounded memory. It keeps a flood of guesses from the
ledger; no guess could succeed: a token has 256 random bits.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE_TRIES: Final = 10
"""Failed tries that cost nothing: a token that ran out in a script, a typing error."""
WAIT_SECONDS_MAX: Final = 60.0
FORGET_SECONDS: Final = 900.0
"""Without a failed try for so long, all is forgotten."""
PEERS_MAX: Final = 10_000
"""About 2 MB; whoever failed longest ago is forgotten first."""


@dataclass(slots=True)
class _Tries:
    failed: int
    last_seconds: float

    def wait_until_seconds(self, free_tries: int) -> float:
        """One second after the first try too many, twice as long after each further one."""
        beyond = self.failed - free_tries
        if beyond <= 0:
            return 0.0
        return self.last_seconds + min(2.0 ** min(beyond - 1, 30), WAIT_SECONDS_MAX)


class Slowdown:
    """For one event loop. free_tries: failed tries that cost nothing."""

    def __init__(self, free_tries: int = FREE_TRIES, peers_max: int = PEERS_MAX) -> None:
        self._peers: OrderedDict[str, _Tries] = OrderedDict()  # by their last failed try
        self._free_tries = free_tries
        self._peers_max = peers_max

    def __len__(self) -> int:
        return len(self._peers)

    def wait_seconds(self, peer: str, now_seconds: float) -> float:
        """How long the peer has to wait; 0 where it need not. Asking costs nothing."""
        tries = self._peers.get(_block(peer))
        return 0.0 if tries is None else max(0.0, tries.wait_until_seconds(self._free_tries) - now_seconds)

    def failed(self, peer: str, now_seconds: float) -> None:
        """Note a failed try."""
        block = _block(peer)
        tries = self._peers.pop(block, None)
        if tries is None or now_seconds - tries.last_seconds > FORGET_SECONDS:
            tries = _Tries(0, now_seconds)
        tries.failed += 1
        tries.last_seconds = now_seconds
        self._peers[block] = tries
        while len(self._peers) > self._peers_max:
            self._peers.popitem(last=False)


def _block(peer: str) -> str:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
