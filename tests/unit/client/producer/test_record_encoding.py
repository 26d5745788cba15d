"""What is taken at `send` can be encoded later, where nobody is left to be told."""

import enum

import pytest

from kafkalite.client.errors import SerializationError
from kafkalite.client.producer.producer_batch import ProducerBatch
from kafkalite.client.producer.record_encoding import (
    check_timestamp,
    to_bytes,
    to_headers,
    to_values,
)
from kafkalite.model.compression import Compression
from kafkalite.wire.records import decode_batch


class _Bytes(bytes):
    """As numpy.bytes_ is one."""


class _Text(str):
    """As numpy.str_ is one."""

    __slots__ = ()


class _Time(enum.IntEnum):
    LATEST = 2**63 - 1


class _Name(enum.StrEnum):
    FIRST = "first"


def test_kinds_of_bytes_and_text_are_sent_as_what_they_hold() -> None:
    check_timestamp(_Time.LATEST)
    headers = to_headers({_Text("é"): _Bytes(b"h"), _Name.FIRST: None})
    batch = ProducerBatch("t", 0, now_ms=5, now_s=0.0, deadline_s=9.0)
    key = to_bytes("key", _Bytes(b"k"), None)
    for value in (_Bytes(b"a"), bytearray(b"b"), memoryview(b"c--")[:1]):
        batch.add(to_bytes("value", value, None), key, headers, _Time.LATEST, 200)
    (many,) = to_values([_Bytes(b"d")], lambda value: value)
    batch.add(many, None, (), None, 200)
    batch.close(Compression.NONE)
    batch.number(1, 0, 0)
    records = decode_batch(batch.body, max_bytes=1 << 20)
    assert [record.value for record in records] == [b"a", b"b", b"c", b"d"]
    assert records[0].key == b"k"
    assert records[0].timestamp == 2**63 - 1
    assert records[0].headers == (("é", b"h"), ("first", None))


def test_a_name_that_is_no_unicode_is_refused_at_once() -> None:
    with pytest.raises(SerializationError, match="Header"):
        to_headers({"\ud800": b"x"})


@pytest.mark.parametrize("timestamp", [-1, 2**63, 2**70])
def test_a_time_that_no_batch_can_hold_is_refused_at_once(timestamp: int) -> None:
    with pytest.raises(SerializationError, match="timestamp"):
        check_timestamp(timestamp)
