"""addresses.py: whose address counts, and how little of it leaves the journal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.addresses import Addresses, IpPolicy

PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "full", "truncated"),
    [
        ("203.0.113.77", "203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.77", "203.0.113.0"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        ("", None, None),
        ("unix:", None, None),
        ("203.0.113", None, None),
        ("1" * 10_000, None, None),
    ],
)
def test_the_policy_decides_how_much_is_kept(peer: str, full: str | None, truncated: str | None) -> None:
    """DESIGN 8: `ip` is anonymised before it leaves the host's journal; /24 and /48 by default."""
    assert Addresses(IpPolicy.FULL).kept_ip(peer, None) == full
    assert Addresses(IpPolicy.TRUNCATE).kept_ip(peer, None) == truncated
    assert Addresses().kept_ip(peer, None) == truncated
    assert Addresses(IpPolicy.NONE).kept_ip(peer, None) is None


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.1", b"198.51.100.9", "203.0.113.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", b"6.6.6.6, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", b"6.6.6.6, 198.51.100.9, 10.9.9.9,192.0.2.7", "198.51.100.9"),
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", b"198.51.100.9, unknown", "10.0.0.1"),
        ("10.0.0.1", b"unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", b"198.51.100.9:4711", "198.51.100.9"),
        ("10.0.0.1", b"[2001:db8::9]:4711", "2001:db8::9"),
        ("2001:db8:ffff::1", b" 2001:db8::9 ", "2001:db8::9"),
        ("::ffff:10.0.0.1", b"198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", b"\xff\x00,,", "10.0.0.1"),
        ("not an address", b"198.51.100.9", None),
    ],
)
def test_forwarded_for_is_believed_as_far_as_listed_proxies_vouch(
    peer: str, forwarded_for: bytes | None, client: str | None
) -> None:
    """DESIGN 10: `X-Forwarded-For` from listed proxies only; the right-most address that is none is the client."""
    assert Addresses(IpPolicy.FULL, PROXIES).kept_ip(peer, forwarded_for) == client


def test_without_listed_proxies_nobodys_word_counts() -> None:
    assert Addresses(IpPolicy.FULL).kept_ip("10.0.0.1", b"198.51.100.9") == "10.0.0.1"


@pytest.mark.parametrize("proxy", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"])
def test_a_proxy_that_is_no_network_is_named(proxy: str) -> None:
    with pytest.raises(ValueError, match=proxy):
        Addresses(proxies=(proxy,))


@given(st.text(max_size=60), st.none() | st.binary(max_size=80), st.sampled_from(IpPolicy))
def test_no_text_makes_it_raise(peer: str, forwarded_for: bytes | None, policy: IpPolicy) -> None:
    assert Addresses(policy, PROXIES).kept_ip(peer, forwarded_for) is None or policy is not IpPolicy.NONE
