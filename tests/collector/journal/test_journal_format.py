"""The journal's bytes: what is encoded is decoded, and nothing else is."""

import contextlib
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import FrameInvalid
from collector.journal.format import (
    CURSOR_MAGIC,
    FRAME_HEADER,
    SEGMENT_MAGIC,
    STAMP,
    FrameHeader,
    Record,
    Stamp,
    decode_frame,
    decode_frame_header,
    decode_stamp,
    encode_frame,
    encode_record,
    encode_stamp,
    place_of,
    seed_of,
)
from gating.status import Verdict
from tests.collector.journal.kit import hit

STAMPS = st.builds(
    Stamp, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.integers(1, 2**63)
)
RECORDS = st.builds(
    Record,
    sequence=st.just(0),
    received_at_us=st.just(5),
    verdict=st.sampled_from(Verdict),
    verified=st.booleans(),
    version=st.integers(0, 2**64 - 1),
    account=st.text("abcdefgh_-\N{LATIN SMALL LETTER U WITH DIAERESIS}", max_size=64),
    peer=st.sampled_from(["127.0.0.1", "2001:db8::1", ""]),
    head=st.binary(max_size=2000),
    body=st.none() | st.binary(max_size=2000),
)


@given(st.lists(RECORDS, min_size=1, max_size=8), STAMPS, st.integers(0, 2**40), st.integers(1, 2**62))
def test_a_frame_gives_back_the_records_it_was_made_of(records, stamp, offset, first):
    """decode(encode(x)) == x, whatever strangers put into heads and bodies."""
    place = place_of(seed_of(stamp), offset)
    frame = encode_frame(place, first, 5, len(records), [encode_record(record) for record in records])
    header = decode_frame_header(place, frame)
    assert header is not None
    assert header.frame_bytes == len(frame)
    decoded = decode_frame(header, frame[FRAME_HEADER.size :])
    assert [record.sequence for record in decoded] == list(range(first, first + len(records)))
    assert [encode_record(record) for record in decoded] == [encode_record(record) for record in records]
    assert [(r.verdict, r.verified, r.account, r.head, r.body) for r in decoded] == [
        (r.verdict, r.verified, r.account, r.head, r.body) for r in records
    ]


@given(STAMPS, STAMPS, st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_frame_found_at_another_place_is_refused(written, found, written_at, found_at):
    """DESIGN 5: the checksum covers journal, salt, segment and offset, none of which stand in the frame."""
    place = place_of(seed_of(written), written_at)
    elsewhere = place_of(seed_of(found), found_at)
    frame = encode_frame(place, 1, 5, 1, [encode_record(hit(1))])
    assert (decode_frame_header(elsewhere, frame) is None) == (place != elsewhere)


@pytest.mark.parametrize("change", ["journal_id", "salt", "sequence"])
def test_each_part_of_the_place_counts(change):
    here = Stamp(b"j" * 16, b"s" * 16, 1)
    there = {
        "journal_id": Stamp(b"k" * 16, b"s" * 16, 1),
        "salt": Stamp(b"j" * 16, b"t" * 16, 1),
        "sequence": Stamp(b"j" * 16, b"s" * 16, 2),
    }[change]
    assert seed_of(here) != seed_of(there)


@given(st.integers(1, 2**32 - 1), st.integers(0, 50), st.binary(max_size=400))
def test_a_payload_that_is_not_its_header_s_raises_frame_invalid_alone(crc, hits, payload):
    """No input raises anything but the documented error, even where the checksum holds (a writer with a bug)."""
    for payload_crc in (crc, crc32(payload)):
        header = FrameHeader(payload_crc, len(payload), hits, 1, 5)
        with contextlib.suppress(FrameInvalid):
            assert len(decode_frame(header, payload)) == hits


@pytest.mark.parametrize(
    ("payload", "hits"),
    [
        (encode_record(hit(1)), 2),
        (encode_record(hit(1)) * 2, 1),
        (encode_record(hit(1)) + b"x", 1),
        (encode_record(hit(1))[:-1], 1),
        (encode_record(hit(1)).replace(b"\x01\x04\x09", b"\x00\x04\x09"), 1),
    ],
    ids=["too few records", "too many", "a byte too many", "a byte too few", "no verdict"],
)
def test_records_that_a_buggy_caller_packed_are_refused_though_the_checksum_holds(payload, hits):
    header = FrameHeader(crc32(payload), len(payload), hits, 1, 5)
    with pytest.raises(FrameInvalid, match="sequence 1"):
        decode_frame(header, payload)


@given(st.binary(max_size=200), st.integers(-3, 250))
def test_random_bytes_are_no_header_and_no_stamp(data, at):
    assert decode_frame_header(1, data, max(at, 0)) is None
    assert decode_stamp(SEGMENT_MAGIC, data) is None


@given(STAMPS, st.integers(0, STAMP.size * 8 - 1))
def test_a_stamp_with_any_bit_flipped_is_none(stamp, bit):
    encoded = encode_stamp(SEGMENT_MAGIC, stamp)
    assert decode_stamp(SEGMENT_MAGIC, encoded) == stamp
    assert decode_stamp(CURSOR_MAGIC, encoded) is None
    flipped = bytearray(encoded)
    flipped[bit // 8] ^= 1 << bit % 8
    assert decode_stamp(SEGMENT_MAGIC, bytes(flipped)) is None
