"""Records to payload and back.

    payload         = compressed?( records )        ; as attributes bits 0 to 2 say, as a whole
    records         = msgpack array of 1 to MAX_RECORDS record, header.record_count of them
    record          = msgpack array of exactly 4: timestamp_delta key value headers
    timestamp_delta = msgpack int, 0 or more        ; timestamp - header.base_timestamp
    key, value      = msgpack bin | nil             ; a nil value is a tombstone
    headers         = nil | msgpack array of 0 to MAX_HEADERS header
    header          = msgpack array of exactly 2: name:str (UTF-8) value:(bin | nil)

Integers and lengths may be written in any width that msgpack has. Nothing follows the array.
A record's offset is base_offset plus its index. base_timestamp is the least of the records' times
and max_timestamp the greatest, so the header alone says what the batch spans; where the timestamp
type bit says log append time, both are that time and stand for every record, whatever its delta.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from kafkalite.model.compression import Compression
from kafkalite.model.errors import CorruptMessageError, UnsupportedCompressionTypeError
from kafkalite.model.record import Header, Record
from kafkalite.wire.batch import (
    HEADER_SIZE,
    TIMESTAMP_TYPE_BIT,
    BatchHeader,
    Buffer,
    check_intact,
    header_at,
    seal,
    seal_one,
    unsealed,
)
from kafkalite.wire.compression import compress, decompress

MAX_RECORDS: Final = 500_000
"""Records in one batch: bounds the memory that looking into a batch takes, whatever it holds."""
MAX_HEADERS: Final = 10_000
"""Headers of one record, for the same reason."""

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what they should be."""


class _StoredRecord(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    timestamp_delta: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_StoredRecord]).decode


def encode_batch(
    records: Sequence[Record], *, now_ms: int, compression: Compression = Compression.NONE
) -> bytes:
    """One batch of one or more records, whole but for what its leader stamps.

    A record with timestamp -1 gets `now_ms`; the records' own offsets are not looked at.
    """
    return encode_batch_with_header(records, now_ms=now_ms, compression=compression)[0]


def encode_batch_with_header(
    records: Sequence[Record], *, now_ms: int, compression: Compression = Compression.NONE
) -> tuple[bytes, BatchHeader]:
    """Like `encode_batch`; gives the header too, which need not be parsed again."""
    if len(records) == 1 and compression is Compression.NONE:
        value, key, timestamp, headers, _ = records[0]
        return encode_one(value, key, headers, now_ms if timestamp < 0 else timestamp)
    timestamps = [record.timestamp for record in records]
    if min(timestamps) < 0:
        timestamps = [now_ms if timestamp < 0 else timestamp for timestamp in timestamps]
    base = min(timestamps)
    payload = _encode(
        [
            _StoredRecord(timestamp - base, record.key, record.value, record.headers or None)
            for timestamp, record in zip(timestamps, records, strict=True)
        ]
    )
    if compression is not Compression.NONE:
        payload = compress(compression, payload)
    return seal(unsealed(len(records), base, max(timestamps), compression), payload)


def encode_values(values: Sequence[bytes | None], timestamp: int) -> tuple[bytes, BatchHeader]:
    """A batch, not compressed, of records that have nothing but values, and its header.

    They all have `timestamp`, 0 or later. Cheaper than `encode_batch_with_header`, which needs an
    object for each record.
    """
    payload = _encode([(0, None, value, None) for value in values])
    return seal(unsealed(len(values), timestamp, timestamp, Compression.NONE), payload)


def encode_one(
    value: bytes | None, key: bytes | None, headers: tuple[Header, ...], timestamp: int
) -> tuple[bytes, BatchHeader]:
    """A batch of one record, not compressed, and its header; `timestamp` is 0 or later."""
    payload = _encode(((0, key, value, headers or None),))
    return seal_one(timestamp, payload)


def decode_batch(
    data: Buffer, header: BatchHeader | None = None, *, max_bytes: int
) -> list[Record]:
    """The records of the batch that `data` begins with, offsets and timestamps absolute.

    Args:
        data: the batch; what follows it is not looked at.
        header: its header, where the caller has parsed it already.
        max_bytes: bound on the payload, in bytes once decompressed.

    Raises:
        CorruptMessageError: cut off, a wrong checksum, or not the grammar above.
        MessageTooLargeError: the payload is larger than `max_bytes`.
        UnsupportedVersionError: another magic.
        UnsupportedCompressionTypeError: a codec that is not known.
    """
    header = header or header_at(data, 0)
    batch = memoryview(data)[: header.size]
    check_intact(batch, header)
    try:
        stored = _decode(read_payload(batch, header, max_bytes))
    except MALFORMED as error:
        raise malformed(error) from error
    if len(stored) != header.record_count:
        raise wrong_count(len(stored), header)
    new = tuple.__new__  # a third faster than calling Record, for the same tuple
    base = header.base_timestamp
    if header.attributes & TIMESTAMP_TYPE_BIT:
        return [
            new(Record, (record.value, record.key, base, record.headers or (), offset))
            for offset, record in enumerate(stored, header.base_offset)
        ]
    return [
        new(
            Record,
            (
                record.value,
                record.key,
                base + record.timestamp_delta,
                record.headers or (),
                offset,
            ),
        )
        for offset, record in enumerate(stored, header.base_offset)
    ]


def decode_batches(data: Buffer, *, max_bytes: int) -> Iterator[Record]:
    """The records of batches that lie back to back and fill `data`, one batch in memory at a time.

    Raises:
        LogError: as `decode_batch` does, when iteration comes to the batch.
    """
    view = memoryview(data)
    position = 0
    while position < len(view):
        header = header_at(view, position)
        yield from decode_batch(view[position:], header, max_bytes=max_bytes)
        position += header.size


def read_payload(batch: memoryview, header: BatchHeader, max_bytes: int) -> Buffer:
    """The payload of `batch`, exactly one, decompressed.

    Raises:
        CorruptMessageError, MessageTooLargeError: as `decompress` does.
        UnsupportedCompressionTypeError: a codec that is not known.
    """
    try:
        codec = Compression(header.compression)
    except ValueError as error:
        raise UnsupportedCompressionTypeError(
            f"The batch is compressed with codec {header.compression}, which is not known"
        ) from error
    return decompress(codec, batch[HEADER_SIZE:], max_bytes)


def malformed(error: Exception) -> CorruptMessageError:
    """What to raise for one of MALFORMED; msgspec says where: `$[record][field]`."""
    return CorruptMessageError(f"The batch's records are malformed: {error}")


def wrong_count(found: int, header: BatchHeader) -> CorruptMessageError:
    """What to raise for a payload that does not hold record_count records."""
    return CorruptMessageError(
        f"The batch holds {found} records, its header says {header.record_count}"
    )
