"""The journal's bytes: segment header, frame, record. Pure: values in, bytes out, and back.

Called by the writer once a tick and by everything that reads. Must not open a file or know what a segment's neighbours
are. All integers are little-endian.

    at  bytes   A segment begins with a stamp; the cursor file is one too (its number is the next sequence to read).
     0      8   magic            SEGMENT_MAGIC or CURSOR_MAGIC
     8      4   version          FORMAT_VERSION
    12     16   journal id       the directory's name
    28     16   salt             the journal's, random; see `seed_of`
    44      8   sequence         of the segment's first hit
    52      8   zero, unread
    60      4   crc              crc32 over the 60 bytes before

    at  bytes   A frame is one tick's group, written by one write().
     0      4   marker           what resync looks for
     4      4   crc              crc32 over the place, then over bytes 8 to 36
     8      4   payload crc      crc32 over the payload
    12      4   payload bytes    1 .. PAYLOAD_BYTES_MAX
    16      4   hits             records in the payload, at least 1
    20      8   first sequence   record n has sequence first + n
    28      8   received at      microseconds UTC, one clock reading for the group
    36          payload          `hits` records, one after the other

    at  bytes   A record is one hit.
     0      8   version          of the feed, where the gate stood
     8      4   body bytes
    12      2   head bytes
    14      1   flags            bits 0-1 verdict, bit 2 verified, bit 3 of a batch (the body is that event's JSON)
    15      1   account bytes
    16      1   peer bytes
    17          account, peer, head, body

Two checksums a frame, so that a header can be trusted, or a false marker refused, without reading what it claims to
head.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from isal.isal_zlib import crc32  # zlib's, which takes 0.5 us for a record where this takes 0.07

from collector.errors import FrameInvalid
from gating.status import Verdict

FORMAT_VERSION: Final = 1
SEGMENT_MAGIC: Final = b"PXSEGMNT"
CURSOR_MAGIC: Final = b"PXCURSOR"
STAMP: Final = struct.Struct("<8sI16s16sQ8xI")
FIRST_SEQUENCE: Final = 1  # so that 0 can mean "none yet"

MARKER: Final = b"PXFR"
FRAME_HEADER: Final = struct.Struct("<4sIIIIQQ")
FRAME_FIELDS: Final = struct.Struct("<IIIQQ")  # what the header's crc covers
FRAME_HEAD: Final = struct.Struct("<4sI")
OFFSET: Final = struct.Struct("<Q")

RECORD: Final = struct.Struct("<QIHBBB")
VERDICT_MASK: Final = 3
FLAG_VERIFIED: Final = 4
FLAG_OF_BATCH: Final = 8

SEGMENT_BYTES: Final = 64 * 1024**2  # about 90,000 hits of 700 bytes between two preallocations
PAYLOAD_BYTES_MAX: Final = 32 * 1024**2  # a full group of the longest heads is 16 MiB, a batch of 500 events 9 MiB
if STAMP.size + FRAME_HEADER.size + PAYLOAD_BYTES_MAX > SEGMENT_BYTES:
    raise ValueError(f"a payload of {PAYLOAD_BYTES_MAX} bytes must fit a segment of {SEGMENT_BYTES}")
if FRAME_HEAD.size + FRAME_FIELDS.size != FRAME_HEADER.size:
    raise ValueError("a frame's header is its marker, its crc and the fields under it")

_VERDICTS: Final = {verdict.value: verdict for verdict in Verdict}


class Record(NamedTuple):
    """One hit as it was journalled. `body` is one event's JSON where the hit came in a batch, else None.

    A tuple, since millions are made and thrown away: 0.4 us each where a frozen dataclass took 1.4 (CPython 3.11).
    """

    sequence: int
    received_at_us: int
    verdict: Verdict
    verified: bool
    version: int
    account: str
    peer: str
    head: bytes
    body: bytes | None


class FrameHeader(NamedTuple):
    """A frame's header whose checksum holds at its place; the payload may still be damaged.

    A tuple, since a worker that is not pressed writes a frame for every hit or two: 0.4 us where a frozen dataclass
    takes 1.3 (CPython 3.11).
    """

    payload_crc: int
    payload_bytes: int
    hits: int
    first_sequence: int
    received_at_us: int

    @property
    def frame_bytes(self) -> int:
        return FRAME_HEADER.size + self.payload_bytes

    @property
    def last_sequence(self) -> int:
        return self.first_sequence + self.hits - 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """Whose file this is, and one sequence: a segment's first, or the cursor's next."""

    journal_id: bytes
    salt: bytes
    sequence: int


def encode_stamp(magic: bytes, stamp: Stamp) -> bytes:
    """Encode a segment's header or a cursor: STAMP.size bytes."""
    unsealed = STAMP.pack(magic, FORMAT_VERSION, stamp.journal_id, stamp.salt, stamp.sequence, 0)[:-4]
    return unsealed + crc32(unsealed).to_bytes(4, "little")


def decode_stamp(magic: bytes, data: bytes) -> Stamp | None:
    """Inverse of `encode_stamp`; None for anything it would not have written."""
    if len(data) != STAMP.size:
        return None
    found_magic, version, journal_id, salt, sequence, crc = STAMP.unpack(data)
    if found_magic != magic or version != FORMAT_VERSION or crc != crc32(data[:-4]):
        return None
    return Stamp(journal_id, salt, sequence)


def seed_of(stamp: Stamp) -> int:
    """What every checksum of a segment starts from, so that a frame of another journal or segment is refused.

    The salt is there because bodies come from strangers and journal ids appear in event ids: without it a request could
    carry bytes that resync, after damage, takes for a frame.
    """
    return crc32(stamp.journal_id + stamp.salt + OFFSET.pack(stamp.sequence))


def place_of(seed: int, offset: int) -> int:
    """The checksum of a place: a segment's seed and an offset in bytes. A frame found elsewhere is refused."""
    return crc32(OFFSET.pack(offset), seed)


def encode_frame(place: int, first_sequence: int, received_at_us: int, hits: int, parts: Iterable[bytes]) -> bytes:
    """Encode one tick's group; pure; checks no bound, since the writer does.

    place: from `place_of`. parts: the records' bytes, in pieces of any cut; joined here, once.
    """
    payload = b"".join(parts)
    fields = FRAME_FIELDS.pack(crc32(payload), len(payload), hits, first_sequence, received_at_us)
    return FRAME_HEAD.pack(MARKER, crc32(fields, place)) + fields + payload


def decode_frame_header(place: int, data: bytes | memoryview, at: int = 0) -> FrameHeader | None:
    """The header at `at`, or None where none stands that belongs to this place."""
    if len(data) - at < FRAME_HEADER.size:
        return None
    marker, crc, payload_crc, payload_bytes, hits, first_sequence, received_at_us = FRAME_HEADER.unpack_from(data, at)
    if marker != MARKER or crc != crc32(data[at + FRAME_HEAD.size : at + FRAME_HEADER.size], place):
        return None
    if not (0 < payload_bytes <= PAYLOAD_BYTES_MAX and hits > 0 and first_sequence >= FIRST_SEQUENCE):
        return None
    return tuple.__new__(FrameHeader, (payload_crc, payload_bytes, hits, first_sequence, received_at_us))


def encode_record(record: Record) -> bytes:
    """Encode one hit. The tick packs its own, with what it knows of a connection prepared; this is the plain form."""
    flags = record.verdict | (FLAG_VERIFIED if record.verified else 0) | (0 if record.body is None else FLAG_OF_BATCH)
    account, peer, body = record.account.encode(), record.peer.encode("ascii", "replace"), record.body or b""
    sizes = RECORD.pack(record.version, len(body), len(record.head), flags, len(account), len(peer))
    return b"".join((sizes, account, peer, record.head, body))


def decode_frame(header: FrameHeader, payload: bytes) -> list[Record]:
    """The frame's records, every one of them. Raises FrameInvalid where the payload is not what the header says."""
    if len(payload) != header.payload_bytes or crc32(payload) != header.payload_crc:
        raise FrameInvalid(f"the frame of sequence {header.first_sequence} does not match its checksum")
    records: list[Record] = []
    at, unpack, sequence, received_at_us = 0, RECORD.unpack_from, header.first_sequence, header.received_at_us
    whose, new = _account_and_peer, tuple.__new__
    try:
        for number in range(sequence, sequence + header.hits):
            version, body_bytes, head_bytes, flags, account_bytes, peer_bytes = unpack(payload, at)
            account_at = at + RECORD.size
            head_at = account_at + account_bytes + peer_bytes
            body_at = head_at + head_bytes
            at = body_at + body_bytes
            account, peer = whose(payload[account_at:head_at], account_bytes)
            records.append(
                new(  # a NamedTuple's own constructor takes its fields by name, and half as long again
                    Record,
                    (
                        number,
                        received_at_us,
                        _VERDICTS[flags & VERDICT_MASK],
                        flags & FLAG_VERIFIED != 0,
                        version,
                        account,
                        peer,
                        payload[head_at:body_at],
                        payload[body_at:at] if body_bytes or flags & FLAG_OF_BATCH else None,
                    ),
                )
            )
    except (struct.error, KeyError) as error:
        raise FrameInvalid(f"the frame of sequence {sequence} holds no {header.hits} records: {error}") from error
    if at != len(payload):
        raise FrameInvalid(f"the frame of sequence {sequence} is {len(payload)} bytes, its {header.hits} records {at}")
    return records


@lru_cache(maxsize=32_768)  # the same again and again: a third of a record's decoding otherwise; each has 320 bytes
def _account_and_peer(data: bytes, account_bytes: int) -> tuple[str, str]:
    return _account_of(data[:account_bytes]), data[account_bytes:].decode("ascii", "replace")


@lru_cache(maxsize=4096)  # one text an account, so that whoever goes through records can tell it by `is`
def _account_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")
