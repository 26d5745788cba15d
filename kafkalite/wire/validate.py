"""Checks batches that come from outside, without building records. Nothing else guards the log.

What passes here is intact, is what the grammars of batch.py and records.py say to the last byte,
has a header that tells the truth about its records, and can be read again within the same bounds.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from kafkalite.model.errors import (
    CorruptMessageError,
    InvalidRecordError,
    InvalidRequestError,
    InvalidTimestampError,
    LogError,
    MessageTooLargeError,
)
from kafkalite.wire.batch import (
    COMPRESSION_MASK,
    CONTROL_BIT,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    Buffer,
    check_intact,
    header_at,
)
from kafkalite.wire.records import (
    MALFORMED,
    MAX_HEADERS,
    MAX_RECORDS,
    malformed,
    read_payload,
    wrong_count,
)

_KNOWN_BITS: Final = COMPRESSION_MASK | TIMESTAMP_TYPE_BIT | TRANSACTIONAL_BIT | CONTROL_BIT
_NO_PRODUCER: Final = (NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE)

_Delta = Annotated[int, msgspec.Meta(ge=0)]


class _PlainRecord(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """A record without headers, as most are."""

    timestamp_delta: _Delta
    key: bytes | None
    value: bytes | None
    headers: None


class _LargeRecord(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """As `_PlainRecord`, for the key and value to be looked at where they are, not copied."""

    timestamp_delta: _Delta
    key: memoryview | None
    value: memoryview | None
    headers: None


class _AnyRecord(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    """Any record; its headers stay bytes at first, for three of them can decode to a hundred."""

    timestamp_delta: _Delta
    key: bytes | None
    value: bytes | None
    headers: msgspec.Raw


class _Header(msgspec.Struct, array_like=True, gc=False, forbid_unknown_fields=True):
    name: str
    value: bytes | None


_at_most_records = msgspec.Meta(max_length=MAX_RECORDS)
_decode_plain = msgspec.msgpack.Decoder(Annotated[list[_PlainRecord], _at_most_records]).decode
_decode_any = msgspec.msgpack.Decoder(Annotated[list[_AnyRecord], _at_most_records]).decode
_decode_headers = msgspec.msgpack.Decoder(
    Annotated[list[_Header], msgspec.Meta(max_length=MAX_HEADERS)] | None
).decode
_LARGE_RECORD_BYTES: Final = 768
"""From here on a view costs less than a copy."""
_MOST_VIEWED: Final = 8192
"""Records at a time: a header that counts too few must not have a view made of each tiny one."""
_decode_large = msgspec.msgpack.Decoder(
    Annotated[list[_LargeRecord], msgspec.Meta(max_length=_MOST_VIEWED)]
).decode


def validate_batches(
    data: Buffer, *, max_batch_bytes: int, max_decompressed_bytes: int
) -> list[BatchHeader]:
    """Check one or more whole batches that fill `data`; gives their headers.

    Base offsets and leader epochs are the leader's to stamp and may be anything.

    Args:
        data: what a client sent.
        max_batch_bytes: bound on one batch, as it comes.
        max_decompressed_bytes: bound on one payload, decompressed.

    Raises:
        CorruptMessageError: lengths, checksum, compression, structure or counts do not fit.
        UnsupportedVersionError: another magic.
        UnsupportedCompressionTypeError: a codec that is not known.
        MessageTooLargeError: a bound is passed.
        InvalidRecordError: no batch at all, too many records in one, a timestamp that lies.
        InvalidTimestampError: log append time, which is the broker's to set.
        InvalidRequestError: control or transactional batches, which are not supported; a producer
            id without epoch or sequence.
    """
    if not data:
        raise InvalidRecordError("There is no batch")
    view = memoryview(data)
    headers: list[BatchHeader] = []
    position = 0
    while position < len(view):
        try:
            header = header_at(view, position)
            if header.size > max_batch_bytes:
                raise MessageTooLargeError(
                    f"It takes {header.size} bytes, max.message.bytes allows {max_batch_bytes}"
                )
            batch = view[position : position + header.size]
            check_intact(batch, header)
            _check_header(header)
            _check_records(read_payload(batch, header, max_decompressed_bytes), header)
        except LogError as error:
            raise type(error)(
                f"Batch {len(headers)}, at byte {position}: {error.detail}"
            ) from error
        headers.append(header)
        position += header.size
    return headers


def check_replicated(data: Buffer, offset: int) -> list[BatchHeader]:
    """Check the batches that a leader sent to a follower; gives the headers of the sound ones.

    That is up to the first that is not, which is asked for again, and so is told to the leader. The
    leader has looked into them before it took them, so that nothing is decompressed here: what
    was altered on its disk, or on the way, does not fit its checksum.

    Args:
        data: whole batches back to back; none is well.
        offset: what the first one holds; each of the others begins where the one before ends.

    Raises:
        CorruptMessageError: lengths, checksums, counts or offsets of the first batch do not fit.
        UnsupportedVersionError: it has another magic.
    """
    view = memoryview(data)
    headers: list[BatchHeader] = []
    position = 0
    try:
        while position < len(view):
            header = header_at(view, position)
            check_intact(view[position : position + header.size], header)
            _check_place(header, offset, is_first=not headers)
            headers.append(header)
            offset = header.next_offset
            position += header.size
    except LogError:
        if not headers:
            raise
    return headers


def _check_place(header: BatchHeader, offset: int, *, is_first: bool) -> None:
    """Check that a stored batch holds `offset`, as its first one unless it `is_first`."""
    base_offset, next_offset = header.base_offset, header.next_offset
    if not 1 <= header.record_count <= header.last_offset_delta + 1:
        raise CorruptMessageError(
            f"{header.record_count} records do not fit last_offset_delta {header.last_offset_delta}"
        )
    if not 0 <= base_offset <= offset < next_offset or (base_offset != offset and not is_first):
        raise CorruptMessageError(
            f"It holds offsets {base_offset} to {next_offset - 1} where {offset} is due"
        )
    if header.leader_epoch < 0:
        raise CorruptMessageError(f"It is of leader epoch {header.leader_epoch}, which is none")


def _check_header(header: BatchHeader) -> None:
    """Check the fields that need no look at the records."""
    attributes = header.attributes
    if attributes & ~_KNOWN_BITS:
        raise InvalidRequestError(f"Attributes {attributes:#x} have bits that are not known")
    if attributes & CONTROL_BIT:
        raise InvalidRequestError("Control batches are not taken from clients")
    if attributes & TRANSACTIONAL_BIT:
        raise InvalidRequestError("Transactional batches are not supported yet")
    if attributes & TIMESTAMP_TYPE_BIT:
        raise InvalidTimestampError("A producer must not set the timestamp type to log append time")
    producer = header.producer_id, header.producer_epoch, header.base_sequence
    if producer != _NO_PRODUCER and min(producer) < 0:
        raise InvalidRequestError(
            f"Producer id {header.producer_id}, epoch {header.producer_epoch} and sequence "
            f"{header.base_sequence} must all be -1, or none of them negative"
        )
    if header.record_count != header.last_offset_delta + 1 or header.record_count < 1:
        raise CorruptMessageError(
            f"{header.record_count} records do not fit last_offset_delta {header.last_offset_delta}"
        )
    if header.record_count > MAX_RECORDS:
        raise InvalidRecordError(f"{header.record_count} records; at most {MAX_RECORDS} are taken")
    if not 0 <= header.base_timestamp <= header.max_timestamp:
        raise InvalidRecordError(
            f"Timestamps {header.base_timestamp} to {header.max_timestamp} are no range from 0 on"
        )


def _check_records(payload: Buffer, header: BatchHeader) -> None:
    """Check the structure of every record, and what the header says about them all."""
    try:
        found, last_delta = _survey(payload, header.record_count)
    except MALFORMED as error:
        raise malformed(error) from error
    if found != header.record_count:
        raise wrong_count(found, header)
    if last_delta != header.max_timestamp - header.base_timestamp:
        raise InvalidRecordError(
            f"The newest record is of {header.base_timestamp + last_delta}, "
            f"max_timestamp says {header.max_timestamp}"
        )


def _survey(payload: Buffer, expected: int) -> tuple[int, int]:
    """How many records `payload` holds, and the greatest timestamp_delta; raises MALFORMED.

    It is quickest where there are `expected` records.
    """
    is_large = expected <= _MOST_VIEWED and len(payload) >= expected * _LARGE_RECORD_BYTES
    try:
        plain = (_decode_large if is_large else _decode_plain)(payload)
    except MALFORMED:
        # Some record has headers, or is malformed: the longer way tells which.
        records = _decode_any(payload)
        for record in records:
            _decode_headers(record.headers)
        return len(records), _newest(records)
    return len(plain), _newest(plain)


def _newest(records: Sequence[_PlainRecord | _LargeRecord | _AnyRecord]) -> int:
    """The greatest timestamp_delta; a loop, as it costs half of `max` with a key."""
    newest = 0
    for record in records:
        delta = record.timestamp_delta
        if delta > newest:  # noqa: PLR1730 - max() costs a call for each
            newest = delta
    return newest
