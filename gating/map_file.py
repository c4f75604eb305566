"""The saved map's bytes: frames, one after the other, each with its own checksum. Pure apart from reading a file.

Used by `saved_map.py` alone. All integers are little-endian. A file begins with a BEGIN and has no other.

    at  bytes   frame
     0      4   marker         what this format is known by; another format gets another marker
     4      4   crc            crc32 over the frame's place in the file (8 bytes), then over all that follows here
     8      4   payload bytes  0 .. PAYLOAD_BYTES_MAX
    12      1   kind           BEGIN, PAGE, STAND or CHANGE
    13          payload        BEGIN   the epoch, in UTF-8
                               PAGE    changes as they travel, one a line; or none
                               STAND   8 bytes: up to this version everything has been said
                               CHANGE  8 bytes: its version; then the change as it travels

The map stands at a STAND, and at each CHANGE that follows one with no PAGE between. Whatever comes after the last
intact frame at which it stands says nothing: a frame that was torn or damaged, and all behind it, cannot be told from
one that was never written.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

MARKER: Final = b"PXM1"
BEGIN, PAGE, STAND, CHANGE = range(1, 5)
PAYLOAD_BYTES_MAX: Final = 1024**2
"""Far more than one change can have, which must fit a datagram (`feed.KEYS_PER_ACCOUNT_MAX`)."""
PAGE_BYTES: Final = 48 * 1024
"""A PAGE ends with the change that reaches this, so that taking one over holds the answers up for 1 ms."""
_PAYLOAD_BYTES: Final = {
    BEGIN: (0, PAYLOAD_BYTES_MAX),
    PAGE: (0, PAYLOAD_BYTES_MAX),
    STAND: (8, 8),
    CHANGE: (9, PAYLOAD_BYTES_MAX),
}
"""What a payload of each kind can have, at least and at most."""

_HEADER: Final = struct.Struct("<4sIIB")
_AFTER_CRC: Final = struct.Struct("<IB")
_PLACE: Final = struct.Struct("<Q")
VERSION: Final = struct.Struct("<Q")


class Frame(NamedTuple):
    """One intact frame. end: where the next one begins."""

    kind: int
    payload: bytes
    end: int


def encode(place: int, kind: int, payload: bytes) -> bytes:
    """Encode one frame that will stand at `place`. Raises ValueError for a payload that is too long."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a saved map's frame holds {PAYLOAD_BYTES_MAX} bytes at most, not {len(payload)}")
    body = _AFTER_CRC.pack(len(payload), kind) + payload
    return MARKER + crc32(body, crc32(_PLACE.pack(place))).to_bytes(4, "little") + body


def pages(changes: Sequence[bytes]) -> Iterator[bytes]:
    """Cut changes into the payloads of PAGEs, at least one. Raises ValueError for a change of more than one line."""
    if not changes:
        yield b""
    start = size = 0
    for at, change in enumerate(changes):
        size += len(change) + 1
        if size >= PAGE_BYTES or at + 1 == len(changes):
            payload = b"\n".join(changes[start : at + 1])
            if payload.count(b"\n") != at - start:
                raise ValueError("a change with a line break in it, which its encoding never writes")
            yield payload
            start, size = at + 1, 0


def frames(file: BinaryIO, end: int | None = None) -> Iterator[Frame]:
    """Read frames from the file's beginning up to the first that is not intact, or up to `end`. Raises OSError."""
    place = 0
    while end is None or place < end:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        marker, crc, length, kind = _HEADER.unpack(header)
        least, most = _PAYLOAD_BYTES.get(kind, (0, -1))
        if marker != MARKER or not least <= length <= most or (kind == BEGIN) != (place == 0):
            return
        payload = file.read(length)
        if len(payload) < length or crc32(payload, crc32(header[8:], crc32(_PLACE.pack(place)))) != crc:
            return
        place += _HEADER.size + length
        yield Frame(kind, payload, place)


@dataclass(slots=True)
class Standing:
    """Follows frames and knows where the map last stood."""

    end: int = 0
    base_end: int = 0
    _stands: bool = False

    def meet(self, frame: Frame) -> bool:
        """Take the next frame into account; tell whether the map stands at it."""
        if frame.kind == STAND:
            self._stands = True
            self.base_end = self.base_end or frame.end
        elif frame.kind != CHANGE:
            self._stands = False
        if self._stands:
            self.end = frame.end
        return self._stands
