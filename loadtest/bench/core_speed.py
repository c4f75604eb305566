"""How fast a core is just now: a fixed piece of Python, timed by the CPU time that it takes.

A virtual core shares its real one, and its caches, with neighbours whom no counter here shows: nothing is stolen, the
same work only takes more CPU time. Half as much again for a minute is not rare, and falls on whoever is measured then.
"""

import re
import struct
import time
import zlib
from typing import Final

from loadtest.bench.cpu import pinned

PIECES: Final = 8_000
"""Some 20 ms; a round has two of these."""
KEYS: Final = 20_000
"""So many that the table lies beyond the nearest cache, as a server's own memory does."""
STEP: Final = 7_919  # a prime, so that one key after the other lies elsewhere

_line = re.compile(rb"GET /p/([a-z0-9]+)\.gif(?:\?[^ ]*)? ").match
_heads: Final = [b"GET /p/key%d.gif?e=page_view&v=%d HTTP/1.1\r\n" % (at, at) + b"x" * 600 for at in range(KEYS)]
_table: Final = {b"key%d" % at: b"account-%d" % at for at in range(KEYS)}
_pack: Final = struct.Struct("<QIH").pack


def core_speed(core: int) -> float:
    """Return how many thousand pieces of work the core does in a second of CPU time; this thread is pinned for it."""
    with pinned(core):
        began = time.thread_time_ns()
        for at in range(PIECES):
            _piece(_heads[at * STEP % KEYS], at)
        return PIECES * 1e6 / (time.thread_time_ns() - began)


def _piece(head: bytes, at: int) -> int:
    found = _line(head)
    key = found[1] if found else b""
    return zlib.crc32(b"".join((_pack(at, len(head), len(key)), _table[key], head)))
