"""Kafka's batch format: what we write, aiokafka's own reader reads; and murmur2 is everybody's."""

import random

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as reference
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from collector.publisher.partitions import murmur2, partition_of, partitions_of
from collector.publisher.record import encode_headers, varint
from collector.publisher.record_batch import NO_TIMESTAMP, Compression, RecordBatch

MESSAGES = st.lists(
    st.tuples(
        st.integers(1, 2**40),
        st.integers(0, 253_402_300_799_999),
        st.binary(min_size=1, max_size=200),
        st.binary(max_size=3000),
        st.sampled_from([encode_headers([]), encode_headers([("schema", b"1"), ("verdict", b"ACCEPT")])]),
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("compression", Compression)
@given(messages=MESSAGES, cut=st.integers(0, 60), epoch=st.integers(0, 2**15 - 1), base=st.integers(0, 2**31 - 1))
def test_what_is_written_is_read_by_another_reader(compression, messages, cut, epoch, base):
    batch = RecordBatch(compression)
    for part in (messages[:cut], messages[cut:]):
        if part:
            batch.extend(part)
    batch.close()
    batch._set_producer_state(7, epoch, base)
    built = batch._build()
    assert batch._build() is built
    assert batch.size() == len(built)
    read = DefaultRecordBatch(bytes(built))
    assert read.validate_crc()
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == (7, epoch, base)
    assert read.last_offset_delta == len(messages) - 1 == batch.record_count() - 1
    assert read.max_timestamp == max(message[1] for message in messages)
    found = [(one.timestamp, one.key, one.value, encode_headers(one.headers)) for one in read]
    assert found == [message[1:] for message in messages]


def test_records_without_timestamps_carry_none():
    batch = RecordBatch(Compression.NONE)
    batch.extend([(1, 5, b"k", b"v", b"\0"), (2, 6, b"k", b"v", b"\0")], timestamps=False)
    read = DefaultRecordBatch(bytes(batch._build()))
    assert [one.timestamp for one in read] == [NO_TIMESTAMP, NO_TIMESTAMP]


@given(st.integers(-(2**62), 2**62))
def test_a_varint_is_kafkas(number):
    from aiokafka.record.util import decode_varint

    encoded = bytearray(varint(number))
    assert decode_varint(encoded) == (number, len(encoded))


@given(st.binary(max_size=300))
def test_one_keys_hash_is_every_clients(key):
    assert murmur2(key) == reference(key)


@given(st.lists(st.binary(max_size=13), max_size=120), st.integers(1, 1000))
def test_many_keys_together_go_where_each_alone_would(keys, partitions):
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


@pytest.mark.parametrize("length", [1, 4, 7, 39, 40, 41, 42, 43])
def test_a_share_of_keys_goes_where_aiokafkas_partitioner_sends_it(length):
    source = random.Random(length)
    keys = [source.randbytes(length) for _ in range(500)]
    choose = DefaultPartitioner()
    assert partitions_of(keys, 6) == [choose(key, list(range(6)), list(range(6))) for key in keys]
