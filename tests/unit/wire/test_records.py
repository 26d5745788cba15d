"""Records to batch and back."""

import msgspec
import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    CorruptMessageError,
    MessageTooLargeError,
    UnsupportedCompressionTypeError,
    UnsupportedVersionError,
)
from kafkalite.model.record import Record
from kafkalite.wire.batch import HEADER_SIZE, read_header
from kafkalite.wire.records import (
    decode_batch,
    decode_batches,
    encode_batch,
    encode_batch_with_header,
    encode_one,
    encode_values,
)
from tests.support.batches import MAX_BYTES, TIME, forge, validate

RECORDS = [
    Record(b"value", b"key", TIME + 5, (("trace", b"\x00\xff"), ("trace", None), ("ü", b""))),
    Record(None, b"tombstone", TIME),
    Record(b"", b"", TIME + 9),
    Record(None, None, TIME + 5),
]


@pytest.mark.parametrize("codec", Compression)
def test_records_come_back_with_their_offsets(codec: Compression) -> None:
    batch = encode_batch(RECORDS, now_ms=1, compression=codec)
    assert decode_batch(batch, max_bytes=MAX_BYTES) == [
        record._replace(offset=offset) for offset, record in enumerate(RECORDS)
    ]


def test_the_header_spans_the_records_times() -> None:
    batch, header = encode_batch_with_header(RECORDS, now_ms=1, compression=Compression.ZSTD)
    assert header == read_header(batch)
    assert (header.base_offset, header.leader_epoch) == (0, -1)
    assert (header.base_timestamp, header.max_timestamp) == (TIME, TIME + 9)
    assert (header.record_count, header.last_offset_delta) == (4, 3)
    assert header.compression == Compression.ZSTD


def test_the_payload_is_one_msgpack_array() -> None:
    payload = encode_batch(RECORDS, now_ms=1)[HEADER_SIZE:]
    assert msgspec.msgpack.decode(payload) == [
        [5, b"key", b"value", [["trace", b"\x00\xff"], ["trace", None], ["ü", b""]]],
        [0, b"tombstone", None, None],
        [9, b"", b"", None],
        [5, None, None, None],
    ]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("codec", [Compression.NONE, Compression.LZ4])
def test_a_record_without_a_time_gets_now(count: int, codec: Compression) -> None:
    records = [Record(b"v"), *(Record(b"v", timestamp=TIME) for _ in range(count - 1))]
    batch = encode_batch(records, now_ms=TIME + 7, compression=codec)
    first, *others = decode_batch(batch, max_bytes=MAX_BYTES)
    assert first.timestamp == TIME + 7
    assert all(record.timestamp == TIME for record in others)


@pytest.mark.parametrize("record", [*RECORDS, Record(b"v", timestamp=0)])
def test_one_record_is_encoded_as_a_batch_of_one(record: Record) -> None:
    batch, header = encode_one(record.value, record.key, record.headers, record.timestamp)
    assert header == read_header(batch)
    assert validate(batch) == [header]
    assert decode_batch(batch, header, max_bytes=MAX_BYTES) == [record._replace(offset=0)]
    assert encode_batch([record], now_ms=1) == batch


def test_values_are_encoded_as_records_that_have_nothing_else() -> None:
    values = [b"a", None, b""]
    batch, header = encode_values(values, TIME)
    assert header == read_header(batch)
    assert validate(batch) == [header]
    assert batch == encode_batch([Record(value, timestamp=TIME) for value in values], now_ms=1)


def test_a_time_of_zero_is_a_time() -> None:
    """Only -1 leaves it to the broker."""
    batch = encode_batch([Record(b"v", timestamp=0)], now_ms=TIME)
    assert decode_batch(batch, max_bytes=MAX_BYTES)[0].timestamp == 0


def test_offsets_start_where_the_leader_stamped() -> None:
    batch = forge([[0, None, b"a", None], [0, None, b"b", None]], base_offset=2**40)
    assert [record.offset for record in decode_batch(batch, max_bytes=MAX_BYTES)] == [
        2**40,
        2**40 + 1,
    ]


def test_what_follows_a_batch_is_not_looked_at() -> None:
    assert len(decode_batch(forge() + b"anything", max_bytes=MAX_BYTES)) == 1


def test_batches_back_to_back_are_read_in_order() -> None:
    data = b"".join(
        forge([[0, None, b"%d" % number, None]], base_offset=number * 10) for number in range(3)
    )
    records = list(decode_batches(data, max_bytes=MAX_BYTES))
    assert [(record.offset, record.value) for record in records] == [
        (0, b"0"),
        (10, b"1"),
        (20, b"2"),
    ]
    assert list(decode_batches(b"", max_bytes=MAX_BYTES)) == []


def test_a_partial_batch_at_the_end_raises_after_the_whole_ones_were_given() -> None:
    records = decode_batches(forge() + forge()[:-1], max_bytes=MAX_BYTES)
    assert next(records).value == b"value"
    with pytest.raises(CorruptMessageError):
        next(records)


def test_a_damaged_batch_is_not_decoded() -> None:
    batch = bytearray(forge())
    batch[-3] ^= 0x10
    with pytest.raises(CorruptMessageError, match="checksum"):
        decode_batch(batch, max_bytes=MAX_BYTES)


def test_a_batch_cut_off_after_its_header_was_read_is_corrupt() -> None:
    batch = forge()
    with pytest.raises(CorruptMessageError):
        decode_batch(batch[:-1], read_header(batch), max_bytes=MAX_BYTES)


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (forge(magic=2), UnsupportedVersionError),
        (forge(attributes=5), UnsupportedCompressionTypeError),
        (forge(record_count=2), CorruptMessageError),
        (forge(payload=b"\x91\x90"), CorruptMessageError),
        (forge(payload=b""), CorruptMessageError),
        (forge([[0, None, b"v", [["\udcff".encode("utf-8", "surrogateescape"), None]]]]),
         CorruptMessageError),
        (forge([[0, None, bytes(MAX_BYTES), None]]), MessageTooLargeError),
    ],
)  # fmt: skip
def test_what_is_no_batch_of_ours_is_refused(batch: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_batch(batch, max_bytes=MAX_BYTES)


def test_log_append_time_stands_for_every_record() -> None:
    batch = forge(
        [[0, None, b"a", None], [9, None, b"b", None]],
        attributes=1 << 3,
        base_timestamp=TIME,
        max_timestamp=TIME,
    )
    assert {record.timestamp for record in decode_batch(batch, max_bytes=MAX_BYTES)} == {TIME}
