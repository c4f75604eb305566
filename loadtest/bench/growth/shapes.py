"""Heads of a wanted size, and with so many parameters: a browser's, made longer where sites make them longer. Pure."""

from collections.abc import Sequence
from random import Random
from typing import Final
from urllib.parse import quote

from loadtest.heads import HEADS, HOST, KEY_LETTERS, heads

COOKIE_BYTES_MAX: Final = 3500
"""Browsers take cookies of up to 4 KiB; a longer jar is several of them, on one line."""
LEAST: Final = b"GET /p/%s.gif HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\r\n\r\n"


class HeadTooSmall(ValueError):
    """No head can be that small."""


def sized(seed: int, size: int, keys: Sequence[str], count: int = HEADS) -> list[bytes]:
    """Heads of exactly `size` bytes: the target and host of a pixel, then a cookie jar as long as it takes.

    From 700 bytes on the rest is a browser's own; below, its least. Raises HeadTooSmall.
    """
    random = Random(f"sized {seed} {size}")
    return [_filled(head, size, random) for head in _bases(seed, size, keys, count)]


def _bases(seed: int, size: int, keys: Sequence[str], count: int) -> list[bytes]:
    least = [LEAST % (key.encode(), HOST.encode()) for key in (Random(seed).choices(keys, k=count))]
    room = len(b"Cookie: a=b\r\n")
    browsers = [head for head in heads(seed, count * 4, keys) if len(head) + room <= size and b"Cookie:" not in head]
    if len(browsers) >= count:
        return browsers[:count]
    if len(least[0]) > size:
        raise HeadTooSmall(f"a head of {size} bytes: the least one has {len(least[0])}")
    return least


def _filled(head: bytes, size: int, random: Random) -> bytes:
    """Put a header before the empty line that brings the head to its size."""
    missing = size - len(head)
    if missing == 0:
        return head
    name = b"Cookie: " if missing > len(b"Cookie: \r\n") else b"a:"
    value = missing - len(name) - 2
    if value < 0:  # two bytes or so cannot be a header: make the first line's path longer instead
        return (
            head.replace(b".gif", b".gif?" + b"x" * (missing - 1), 1)
            if b".gif?" not in head
            else _stretched(head, missing)
        )
    return head[:-2] + name + _jar(value, random) + b"\r\n\r\n"


def _stretched(head: bytes, missing: int) -> bytes:
    return head.replace(b".gif?", b".gif?" + b"x" * (missing - 1) + b"&", 1)


def _jar(size: int, random: Random) -> bytes:
    """Cookies of that many bytes altogether."""
    parts: list[str] = []
    left = size
    while left > 0:
        whole = min(left, COOKIE_BYTES_MAX)
        name = f"c{len(parts)}="[:whole]
        parts.append(name + "".join(random.choices(KEY_LETTERS, k=whole - len(name))))
        left -= whole + len("; ")
    text = "; ".join(parts)
    return (text + "x" * (size - len(text))).encode()


def with_params(seed: int, params: int, keys: Sequence[str], count: int = HEADS) -> list[bytes]:
    """A browser's heads whose query has exactly so many parameters, each as one of a shop's: `p7=` and 12 letters."""
    random = Random(f"params {seed} {params}")
    written = []
    for head in heads(seed, count, keys):
        line, _, rest = head.partition(b" HTTP/1.1\r\n")
        target = line.partition(b"?")[0]
        query = "&".join(f"p{at}={quote(_value(random), safe='')}" for at in range(params))
        written.append(target + (b"?" + query.encode() if params else b"") + b" HTTP/1.1\r\n" + rest)
    return written


def _value(random: Random) -> str:
    return "".join(random.choices(KEY_LETTERS, k=12))
