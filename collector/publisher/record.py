"""A record as Kafka lays it out: what is known before there is a batch. Pure, and light: the standard library alone.

Made by `messages.py`, laid into batches by `record_batch.py`.
"""

from collections.abc import Iterable

Message = tuple[int, int, bytes, bytes, bytes]
"""An event as Kafka carries it: its sequence in the journal, timestamp (ms), key, value, encoded headers."""


def varint(number: int) -> bytes:
    """Kafka's varint: zigzag, seven bits a byte, the lowest first."""
    rest = (number << 1) ^ (number >> 63)
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def encode_headers(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """A record's headers, from their count on; made once for all events that share them."""
    pairs = [(name.encode(), value) for name, value in headers]
    encoded = [varint(len(name)) + name + varint(len(value)) + value for name, value in pairs]
    return varint(len(pairs)) + b"".join(encoded)
