"""Addresses: whose address a hit came from, and how much of it may be kept.

Called by `refine.py` for each hit. An address leaves the host's journal only as the policy lets it. Pure, but for
bounded caches of what was read before; no text makes it raise.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

ADDRESS_CHARS_MAX: Final = 64  # the longest, an IPv6 address with a mapped IPv4, a zone and a port, has fewer
CACHED_MAX: Final = 32_768  # about 10 MB; an address costs 5 us to read and 0.1 us to remember (timeit, CPython 3.11)
IPV4_KEPT_BITS: Final = 24  # as Google Analytics and Matomo truncate by default: the last octet
IPV6_KEPT_BITS: Final = 48  # the prefix that a site is given (RFC 6177)

Address = IPv4Address | IPv6Address


class IpPolicy(StrEnum):
    """What is kept of a visitor's address."""

    FULL = "full"
    TRUNCATE = "truncate"  # IPv4 to /24, IPv6 to /48
    NONE = "none"


class Addresses:
    """One policy and one list of proxies, for the life of a process.

    proxies: addresses and networks whose `X-Forwarded-For` is believed, such as "10.0.0.0/8". Raises ValueError, naming
    it, for one that is neither.
    """

    def __init__(self, policy: IpPolicy = IpPolicy.TRUNCATE, proxies: Iterable[str] = ()) -> None:
        self.policy = policy
        self._proxies: tuple[IPv4Network | IPv6Network, ...] = tuple(ip_network(proxy) for proxy in proxies)

    def kept_ip(self, peer: str, forwarded_for: bytes | None) -> str | None:
        """What may be kept of the client's address; None where there is none or the policy says so.

        peer: who connected. forwarded_for: `X-Forwarded-For`, its lines joined by commas. The client is the right-most
        address that is no listed proxy: what stands left of it is that client's own claim.
        """
        if self.policy is IpPolicy.NONE:
            return None
        if forwarded_for and self._proxies:
            peer = self._client(peer, forwarded_for)
        return _kept(peer, self.policy)

    def _client(self, peer: str, forwarded_for: bytes) -> str:
        client = peer
        for hop in reversed(forwarded_for.decode("latin-1").split(",")):
            if not self._is_proxy(client) or _address(hop) is None:
                break  # an unreadable hop ("unknown"): the last address that a proxy vouches for
            client = hop
        return client

    def _is_proxy(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._proxies)


def _address(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`; an IPv4 mapped into IPv6 is IPv4."""
    return _cached_address(text) if len(text) <= ADDRESS_CHARS_MAX else None


@lru_cache(maxsize=CACHED_MAX)
def _cached_address(text: str) -> Address | None:
    text = text.strip()
    if text[:1] == "[":
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])  # a zone names an interface of our host, not a client
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=CACHED_MAX)
def _kept_short(text: str, policy: IpPolicy) -> str | None:
    address = _address(text)
    if address is None or policy is IpPolicy.FULL:
        return None if address is None else str(address)
    kept_bits = IPV4_KEPT_BITS if address.version == 4 else IPV6_KEPT_BITS
    return str(ip_network((address, kept_bits), strict=False).network_address)


def _kept(text: str, policy: IpPolicy) -> str | None:
    return _kept_short(text, policy) if len(text) <= ADDRESS_CHARS_MAX else None
