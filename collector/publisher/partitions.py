"""Partitions: which partition a key belongs to, as every Kafka client tells it: murmur2, without its sign, modulo.

Called by the lanes with the keys of a share at a time. One key in plain Python takes 2.5 us (aiokafka's own 7.6), which
would be a fifth of all that an event may cost; so the keys of one length are hashed together, as lanes of one long
integer each: 0.3 us a key (40 bytes each, a thousand at a time, CPython 3.11). Pure.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from sys import byteorder
from typing import Final

SEED: Final = 0x9747B28C
M: Final = 0x5BD1E995
MASK: Final = 0xFFFFFFFF
WORD: Final = Struct("<I")
TOGETHER_MIN: Final = 8
"""Fewer keys of one length are hashed one by one."""


def murmur2(key: bytes) -> int:
    """Kafka's hash of a key: 32 bits, unsigned."""
    whole = len(key) & ~3
    h = SEED ^ len(key)
    for (word,) in WORD.iter_unpack(key[:whole]):
        k = word * M & MASK
        h = (h * M & MASK) ^ ((k ^ k >> 24) * M & MASK)
    if whole < len(key):
        h = (h ^ int.from_bytes(key[whole:], "little")) * M & MASK
    h = (h ^ h >> 13) * M & MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's clients send this key to."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """`partition_of` each key, in order."""
    if partitions == 1:
        return [0] * len(keys)
    by_length: dict[int, list[int]] = {}
    for at, length in enumerate(map(len, keys)):
        by_length.setdefault(length, []).append(at)
    found = [0] * len(keys)
    for length, places in by_length.items():
        if len(places) < TOGETHER_MIN or byteorder != "little":
            for at in places:
                found[at] = partition_of(keys[at], partitions)
        else:
            hashes = _murmur2_together([keys[at] for at in places], length)
            for at, h in zip(places, hashes, strict=True):
                found[at] = (h & 0x7FFFFFFF) % partitions
    return found


def _murmur2_together(keys: list[bytes], length: int) -> "array[int]":
    """The hashes of keys that are all `length` bytes long.

    Each key has 64 bits of a long integer to itself: a product of two 32-bit numbers fits, so that no key's carry
    reaches its neighbour, and one multiplication, shift or xor of the long integer is that of every key.
    """
    count = len(keys)
    ones, mask = _lanes(count)
    padding = -length % 4
    words = memoryview((b"\0" * padding).join(keys) + b"\0" * padding).cast("I")
    stride = (length + padding) // 4
    h = ones * (SEED ^ length)
    for at in range(length // 4):
        k = _spread(words[at::stride], count) * M & mask
        # A shift carries a lane's lowest bits into the one below, above its 32 bits: the mask cuts them off.
        k = (k ^ (k >> 24 & mask)) * M & mask
        h = (h * M & mask) ^ k
    if padding:
        h = (h ^ _spread(words[stride - 1 :: stride], count)) * M & mask
    h = (h ^ (h >> 13 & mask)) * M & mask
    h ^= h >> 15 & mask
    return array("Q", h.to_bytes(8 * count, "little"))


def _spread(column: memoryview, count: int) -> int:
    """A column of 32-bit words as one long integer with 64 bits for each."""
    wide = bytearray(8 * count)
    memoryview(wide).cast("I")[::2] = column
    return int.from_bytes(wide, "little")


@lru_cache(maxsize=64)
def _lanes(count: int) -> tuple[int, int]:
    """1 in every lane, and the lower 32 bits of every lane."""
    ones = int.from_bytes((1).to_bytes(8, "little") * count, "little")
    return ones, ones * MASK
