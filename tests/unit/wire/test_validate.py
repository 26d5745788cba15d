"""The validator: what it takes in, and each thing that it refuses, with its error."""

import struct
from typing import Any

import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    CorruptMessageError,
    InvalidRecordError,
    InvalidRequestError,
    InvalidTimestampError,
    LogError,
    MessageTooLargeError,
    UnsupportedCompressionTypeError,
    UnsupportedVersionError,
)
from kafkalite.model.record import Record
from kafkalite.storage.stamping import stamped
from kafkalite.wire.batch import read_headers
from kafkalite.wire.compression import compress
from kafkalite.wire.records import MAX_HEADERS, MAX_RECORDS, decode_batch, encode_batch
from kafkalite.wire.validate import check_replicated, validate_batches
from tests.support.batches import MAX_BYTES, TIME, forge, validate

NO_HEADERS = b"\xc0"


def record(
    *,
    size: int = 4,
    delta: bytes = b"\x00",
    key: bytes = b"\xc0",
    value: bytes = b"\xc0",
    headers: bytes = NO_HEADERS,
    extra: bytes = b"",
) -> bytes:
    """The msgpack of a payload that is one record, its fields given as msgpack."""
    return b"\x91" + bytes([0x90 + size]) + delta + key + value + headers + extra


# -- taken in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", Compression)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_batches_back_to_back_are_taken_in_and_their_headers_given(
    codec: Compression, kind: type[bytes] | type[bytearray] | type[memoryview]
) -> None:
    first = encode_batch([Record(b"a", b"k", 5), Record(b"b", None, 3)], now_ms=1)
    second = encode_batch([Record(b"c", None, 9, (("h", b"v"),))] * 3, now_ms=1, compression=codec)
    assert validate(kind(first + second)) == read_headers(first + second)


@pytest.mark.parametrize(
    "payload",
    [
        record(),
        record(delta=b"\xd3" + bytes(8)),
        record(delta=b"\xcf" + bytes(8)),
        record(key=b"\xc6\x00\x00\x00\x01k", value=b"\xc5\x00\x01v"),
        record(headers=b"\x90"),
        record(headers=b"\x92\x92\xa1a\xc0\x92\xa0\xc4\x00"),
        record(headers=b"\xdd\x00\x00\x00\x01\xdc\x00\x02\xd9\x02\xc3\xbc\xc4\x01v"),
        b"\xdc\x00\x01" + record()[1:],
        b"\xdd\x00\x00\x00\x01" + record()[1:],
    ],
)
def test_integers_and_lengths_may_be_of_any_width(payload: bytes) -> None:
    batch = forge(payload=payload)
    assert validate(batch) == read_headers(batch)
    assert len(decode_batch(batch, max_bytes=MAX_BYTES)) == 1


def test_what_the_leader_stamps_may_be_anything() -> None:
    batch = forge(base_offset=-(2**63), leader_epoch=2**31 - 1)
    assert validate(batch) == read_headers(batch)


def test_a_batch_of_the_greatest_size_is_taken_and_one_byte_more_is_not() -> None:
    batch = forge()
    assert validate_batches(batch, max_batch_bytes=len(batch), max_decompressed_bytes=MAX_BYTES)
    with pytest.raises(MessageTooLargeError, match=f"{len(batch)} bytes, max.message.bytes"):
        validate_batches(batch, max_batch_bytes=len(batch) - 1, max_decompressed_bytes=MAX_BYTES)


@pytest.mark.parametrize("codec", Compression)
def test_a_payload_of_the_greatest_size_is_taken_and_one_byte_more_is_not(
    codec: Compression,
) -> None:
    records = [Record(bytes(1_000))] * 10
    size = len(encode_batch(records, now_ms=1)) - 61
    batch = encode_batch(records, now_ms=1, compression=codec)
    assert validate_batches(batch, max_batch_bytes=MAX_BYTES, max_decompressed_bytes=size)
    with pytest.raises(MessageTooLargeError, match="once decompressed"):
        validate_batches(batch, max_batch_bytes=MAX_BYTES, max_decompressed_bytes=size - 1)


def test_an_idempotent_batch_is_taken() -> None:
    batch = forge(producer_id=2**63 - 1, producer_epoch=2**15 - 1, base_sequence=2**31 - 1)
    assert validate(batch) == read_headers(batch)


# -- refused --------------------------------------------------------------------------------------


def test_no_batch_at_all_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="no batch"):
        validate(b"")


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"magic": 2}, UnsupportedVersionError, "magic 2"),
        ({"magic": -1}, UnsupportedVersionError, "magic -1"),
        ({"attributes": 5}, UnsupportedCompressionTypeError, "codec 5"),
        ({"attributes": 7}, UnsupportedCompressionTypeError, "codec 7"),
        ({"attributes": 1 << 3}, InvalidTimestampError, "log append time"),
        ({"attributes": 1 << 4}, InvalidRequestError, "Transactional batches are not supported"),
        ({"attributes": 1 << 5}, InvalidRequestError, "Control batches are not taken"),
        ({"attributes": 1 << 6}, InvalidRequestError, "bits that are not known"),
        ({"attributes": -(1 << 15)}, InvalidRequestError, "bits that are not known"),
        ({"producer_id": 0}, InvalidRequestError, "Producer id 0, epoch -1"),
        ({"producer_id": 7, "producer_epoch": 0}, InvalidRequestError, "must all be -1"),
        ({"producer_id": -2}, InvalidRequestError, "none of them negative"),
        ({"producer_epoch": 0}, InvalidRequestError, "epoch 0"),
        ({"base_sequence": 4}, InvalidRequestError, "sequence 4"),
        ({"record_count": 2}, CorruptMessageError, "2 records do not fit"),
        ({"last_offset_delta": 1}, CorruptMessageError, "last_offset_delta 1"),
        ({"record_count": 2, "last_offset_delta": 1}, CorruptMessageError, "holds 1 records"),
        ({"record_count": 0, "last_offset_delta": -1}, CorruptMessageError, "0 records"),
        ({"record_count": -4, "last_offset_delta": -5}, CorruptMessageError, "-4 records"),
        ({"record_count": -(2**31), "last_offset_delta": 2**31 - 1}, CorruptMessageError, "fit"),
        (
            {"record_count": MAX_RECORDS + 1, "last_offset_delta": MAX_RECORDS},
            InvalidRecordError,
            "at most 500000",
        ),
        ({"base_timestamp": -1, "max_timestamp": -1}, InvalidRecordError, "no range"),
        ({"base_timestamp": -1}, InvalidRecordError, "no range"),
        ({"max_timestamp": TIME - 1}, InvalidRecordError, "no range"),
        ({"max_timestamp": TIME + 1}, InvalidRecordError, "max_timestamp says"),
        ({"base_timestamp": TIME - 1}, InvalidRecordError, "max_timestamp says"),
        ({"max_timestamp": 2**63 - 1}, InvalidRecordError, "max_timestamp says"),
    ],
)
def test_a_header_that_lies_or_asks_too_much_is_refused(
    fields: dict[str, Any], error: type[LogError], words: str
) -> None:
    with pytest.raises(error, match=words):
        validate(forge(**fields))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc0",
        b"\x80",
        b"\x90",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\xdd\x00\x07\xff\xff" + record()[1:],
        record() + b"\x00",
        record() + record(),
        record()[:-1],
        record(size=3, headers=b""),
        record(size=5, extra=b"\xc0"),
        b"\x91\x84\xa1d\x00\xa1k\xc0\xa1v\xc0\xa1h\xc0",
        record(delta=b"\xff"),
        record(delta=b"\xd3" + struct.pack(">q", -(2**63))),
        record(delta=b"\xc0"),
        record(delta=b"\xc2"),
        record(delta=b"\xca" + bytes(4)),
        record(delta=b"\xa10"),
        record(key=b"\xa3key"),
        record(value=b"\xa5value"),
        record(value=b"\x90"),
        record(value=b"\xc6\xff\xff\xff\xff"),
        record(value=b"\xd6\xff\x00\x00\x00\x00"),
        record(headers=b"\x80"),
        record(headers=b"\xc4\x00"),
        record(headers=b"\x91\xa1a"),
        record(headers=b"\x91\x91\xa1a"),
        record(headers=b"\x91\x93\xa1a\xc0\xc0"),
        record(headers=b"\x91\x92\xc4\x01a\xc0"),
        record(headers=b"\x91\x92\xc0\xc0"),
        record(headers=b"\x91\x92\xa1a\xa1a"),
        record(headers=b"\x91\x92\xa1\xff\xc0"),
        record(headers=b"\x91\x92\xa3\xed\xa0\x80\xc0"),
        record(headers=b"\x81\xa1a\xc0"),
        record(headers=b"\xdd\xff\xff\xff\xff"),
        record(headers=b"\x91\x92\xdb\xff\xff\xff\xff"),
        b"\x91" * 500_000,
        b"\x81\x00" * 400_000,
        record(headers=b"\x91" * 500_000),
        record(headers=b"\x81\x00" * 400_000),
    ],
    ids=lambda payload: payload[:16].hex(),
)
@pytest.mark.parametrize("codec", [Compression.NONE, Compression.ZSTD])
def test_a_payload_that_is_not_the_grammar_is_corrupt(payload: bytes, codec: Compression) -> None:
    batch = forge(payload=compress(codec, payload), attributes=codec)
    with pytest.raises(CorruptMessageError):
        validate(batch)


LARGE = b"\xc5\x04\x00" + bytes(1024)


@pytest.mark.parametrize(
    "payload",
    [
        record(value=LARGE),
        record(key=LARGE),
        record(key=LARGE, value=b"\xc5\xff\xff" + bytes(65_535)),
        record(value=LARGE, headers=b"\x91\x92\xa1a\xc0"),
        record(value=b"\xc6\x00\x00\x04\x00" + bytes(1024)),
    ],
    ids=range(5),
)
def test_large_records_are_taken(payload: bytes) -> None:
    assert validate(forge(payload=payload))


@pytest.mark.parametrize(
    "payload",
    [
        record(value=LARGE)[:-1],
        record(value=LARGE) + b"\x00",
        record(value=LARGE[:-1]),
        record(size=3, value=LARGE, headers=b""),
        record(size=5, value=LARGE, extra=b"\xc0"),
        record(delta=b"\xff", value=LARGE),
        record(key=b"\xa3key", value=LARGE),
        record(value=b"\xda\x04\x00" + b"a" * 1024),
        record(value=b"\xc8\x04\x00\x05" + bytes(1024)),
        record(value=LARGE, headers=b"\x80"),
        record(value=LARGE, headers=b"\x91\xa1a"),
        b"\x92" + record(value=LARGE)[1:],
        b"\x92" + record(value=LARGE)[1:] * 2,
        b"\xdc\x40\x00" + record()[1:] * 0x4000,
    ],
    ids=range(14),
)
def test_large_records_that_are_not_the_grammar_or_not_counted_are_corrupt(payload: bytes) -> None:
    with pytest.raises(CorruptMessageError):
        validate(forge(payload=payload))


def test_many_large_records_are_taken() -> None:
    count = 8193
    payload = b"\xdc" + count.to_bytes(2, "big") + record(value=LARGE)[1:] * count
    batch = forge(payload=payload, record_count=count, last_offset_delta=count - 1)
    assert validate(batch, 16 * MAX_BYTES)


def test_the_record_and_the_field_that_are_wrong_are_named() -> None:
    records: list[Any] = [[0, None, b"a", None], [0, "text", b"b", None]]
    with pytest.raises(CorruptMessageError, match=r"Batch 1, at byte \d+: .*\$\[1\]\[1\]"):
        validate(forge() + forge(records))


def test_a_timestamp_that_would_overflow_is_refused() -> None:
    latest = 2**63 - 1
    good = forge([[latest, None, b"", None]], base_timestamp=0, max_timestamp=latest)
    assert validate(good)
    with pytest.raises(InvalidRecordError):
        validate(forge([[2**64 - 1, None, b"", None]], base_timestamp=0, max_timestamp=latest))


@pytest.mark.parametrize("value", [b"", bytes(1024)], ids=["small", "large"])
@pytest.mark.parametrize("headers", [None, [["h", b"v"]]])
def test_the_greatest_delta_counts_wherever_it_is(headers: object, value: bytes) -> None:
    records = [[delta, None, value, headers] for delta in (2, 40, 7)]
    assert validate(forge(records, max_timestamp=TIME + 40))
    for wrong in (2, 7, 39, 41):
        with pytest.raises(InvalidRecordError, match=f"is of {TIME + 40}, max_timestamp"):
            validate(forge(records, max_timestamp=TIME + wrong))


def test_a_record_with_the_most_headers_is_taken_and_one_more_is_not() -> None:
    headers = [["h", None]] * MAX_HEADERS
    assert validate(forge([[0, None, None, headers]]))
    with pytest.raises(CorruptMessageError, match=f"length <= {MAX_HEADERS}"):
        validate(forge([[0, None, None, [*headers, ["h", None]]]]))


def test_a_batch_with_the_most_records_is_taken_and_one_more_is_not() -> None:
    limit = 8 * MAX_RECORDS
    one = record()[1:]
    most = forge(
        payload=b"\xdd" + MAX_RECORDS.to_bytes(4, "big") + one * MAX_RECORDS,
        record_count=MAX_RECORDS,
        last_offset_delta=MAX_RECORDS - 1,
    )
    assert validate(most, limit)
    more = MAX_RECORDS + 1
    with pytest.raises(CorruptMessageError, match=f"length <= {MAX_RECORDS}"):
        validate(forge(payload=b"\xdd" + more.to_bytes(4, "big") + one * more), limit)


def test_a_payload_that_does_not_decompress_is_corrupt() -> None:
    for codec in (Compression.GZIP, Compression.SNAPPY, Compression.LZ4, Compression.ZSTD):
        with pytest.raises(CorruptMessageError, match=codec.name.lower()):
            validate(forge(attributes=codec))


def test_nothing_of_a_request_with_one_bad_batch_is_taken_in() -> None:
    with pytest.raises(CorruptMessageError, match="Batch 2, at byte"):
        validate(forge() + forge() + forge()[:-1])


# -- what a leader sends to a follower ------------------------------------------------------------


def stored(*batches: bytes, base_offset: int = 10, epoch: int = 3) -> bytes:
    """Batches as their leader has them on disk."""
    data = b"".join(batches)
    return b"".join(stamped(data, read_headers(data), base_offset, epoch)[0])


def test_replicated_batches_are_taken_as_they_are() -> None:
    data = stored(forge(), forge([[0, None, b"a", None]] * 3), forge(payload=b"opaque"))
    headers = check_replicated(memoryview(data), 10)
    assert headers == read_headers(data)
    assert [header.base_offset for header in headers] == [10, 11, 14]
    assert check_replicated(b"", 10) == []


def test_the_first_replicated_batch_may_begin_before_what_is_asked_for() -> None:
    data = stored(forge([[0, None, b"a", None]] * 3), forge())
    assert len(check_replicated(data, 12)) == 2


@pytest.mark.parametrize("offset", [0, 9, 13, 14, 100])
def test_replicated_batches_from_elsewhere_are_refused(offset: int) -> None:
    data = stored(forge([[0, None, b"a", None]] * 3), forge())
    with pytest.raises(CorruptMessageError, match=rf"where {offset} is due"):
        check_replicated(data, offset)


@pytest.mark.parametrize("base_offset", [9, 10, 12, 13])
def test_replicated_batches_are_taken_up_to_a_gap_or_an_overlap(base_offset: int) -> None:
    data = stored(forge()) + stored(forge(), base_offset=base_offset) + stored(forge())
    assert check_replicated(data, 10) == read_headers(stored(forge()))


@pytest.mark.parametrize("position", [16, 17, 21, 30, 60, 61, -1])
def test_a_replicated_batch_that_was_altered_is_refused_and_what_precedes_it_taken(
    position: int,
) -> None:
    altered = bytearray(stored(forge(), base_offset=11))
    altered[position] ^= 1
    with pytest.raises((CorruptMessageError, UnsupportedVersionError)):
        check_replicated(altered, 11)
    sound = stored(forge())
    assert check_replicated(sound + altered, 10) == read_headers(sound)


@pytest.mark.parametrize(("count", "last_delta"), [(0, 0), (-1, 0), (2, 0), (1, -1)])
def test_a_replicated_batch_that_counts_wrong_is_refused(count: int, last_delta: int) -> None:
    wrong = forge(base_offset=10, leader_epoch=3, record_count=count, last_offset_delta=last_delta)
    with pytest.raises(CorruptMessageError):
        check_replicated(wrong, 10)


def test_a_replicated_batch_has_an_epoch_and_is_whole() -> None:
    with pytest.raises(CorruptMessageError, match="epoch -1"):
        check_replicated(stored(forge(), epoch=-1), 10)
    with pytest.raises(CorruptMessageError):
        check_replicated(stored(forge())[:-1], 10)
    assert len(check_replicated(stored(forge(), forge())[:-1], 10)) == 1
