"""The record batch: the same bytes on the wire, on disk and between replicas.

    batch   = header payload
    header  = base_offset:i64 batch_length:i32 leader_epoch:i32 magic:i8 crc:u32
              attributes:i16 last_offset_delta:i32 base_timestamp:i64 max_timestamp:i64
              producer_id:i64 producer_epoch:i16 base_sequence:i32 record_count:i32
    payload = compressed?( msgpack array of record_count records )      ; see records.py

All integers are big-endian. `batch_length` counts what follows it. `crc` is the CRC-32C of all
bytes from `attributes` on, so a leader can stamp `base_offset` and `leader_epoch` without touching
it. The header is Kafka's magic 2 header field for field; the payload is ours, and so is the magic.
"""

import struct
from typing import Final, NamedTuple

import crc32c

from kafkalite.model.errors import CorruptMessageError, UnsupportedVersionError
from kafkalite.model.ids import NO_EPOCH

Buffer = bytes | bytearray | memoryview

MAGIC: Final = 0x4B  # 'K': no Kafka magic, so that a Kafka segment is refused and not misread
HEADER_SIZE: Final = 61
LENGTH_END: Final = 12
"""Bytes up to and including batch_length: a batch takes LENGTH_END + batch_length bytes."""
CRC_START: Final = 21
"""Where the bytes that the CRC covers begin (the attributes)."""
STAMP_SIZE: Final = 16
"""base_offset, batch_length, leader_epoch: the part that a leader writes anew."""

COMPRESSION_MASK: Final = 0b111
TIMESTAMP_TYPE_BIT: Final = 1 << 3
TRANSACTIONAL_BIT: Final = 1 << 4
CONTROL_BIT: Final = 1 << 5

NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1
NO_SEQUENCE: Final = -1

_HEADER = struct.Struct(">qiibIhiqqqhii")
_STAMP = struct.Struct(">qii")
_PREFIX = struct.Struct(">qiibI")  # from base_offset to crc
_BODY = struct.Struct(">hiqqqhii")  # from attributes to record_count
_FIRST_BODY_FIELD: Final = 5
assert _HEADER.size == HEADER_SIZE == _PREFIX.size + _BODY.size


class BatchHeader(NamedTuple):
    """The fields of a batch header, in their order on the wire."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return LENGTH_END + self.batch_length

    @property
    def next_offset(self) -> int:
        """Offset after the batch's last one."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def compression(self) -> int:
        """Compression id, as Kafka numbers them."""
        return self.attributes & COMPRESSION_MASK


def read_header(data: Buffer, position: int = 0) -> BatchHeader:
    """Unpack the header at `position`; raises struct.error when fewer than 61 bytes are left."""
    return BatchHeader._make(_HEADER.unpack_from(data, position))


def checksum(body: Buffer) -> int:
    """CRC-32C of `body`."""
    return crc32c.crc32c(body)


def stamp(base_offset: int, batch_length: int, leader_epoch: int) -> bytes:
    """The first STAMP_SIZE bytes of a batch, as its leader writes them."""
    return _STAMP.pack(base_offset, batch_length, leader_epoch)


def read_headers(data: Buffer) -> list[BatchHeader]:
    """The headers of batches that lie back to back and fill `data`; no batch is looked into.

    Raises:
        CorruptMessageError: a batch_length that no batch can have, or that leads past the end.
    """
    headers = []
    position = 0
    while position < len(data):
        header = header_at(data, position)
        headers.append(header)
        position += header.size
    return headers


def header_at(data: Buffer, position: int) -> BatchHeader:
    """The header of the batch at `position`, all of whose bytes are in `data`.

    Raises:
        CorruptMessageError: the batch is cut off, or its length is shorter than a header.
    """
    left = len(data) - position
    if left < HEADER_SIZE:
        raise CorruptMessageError(f"A batch is cut off: {left} bytes, fewer than a header takes")
    header = BatchHeader._make(_HEADER.unpack_from(data, position))
    if not HEADER_SIZE <= header.size <= left:
        raise CorruptMessageError(
            f"A batch says that it takes {header.size} bytes; it must be {HEADER_SIZE} to {left}"
        )
    return header


def check_intact(batch: memoryview, header: BatchHeader) -> None:
    """Check that `batch`, exactly one, is of our format and as it was written.

    Raises:
        UnsupportedVersionError: another magic.
        CorruptMessageError: the checksum does not fit.
    """
    if header.magic != MAGIC:
        raise UnsupportedVersionError(f"The batch has magic {header.magic}; it must be {MAGIC}")
    found = checksum(batch[CRC_START:])
    if found != header.crc:
        raise CorruptMessageError(
            f"The batch has checksum {found:#010x}, its header says {header.crc:#010x}"
        )


def unsealed(
    record_count: int, base_timestamp: int, max_timestamp: int, attributes: int = 0
) -> BatchHeader:
    """The header of a new batch of no producer id, for `seal` to complete."""
    stamp = (0, 0, NO_EPOCH, MAGIC, 0)
    producer = (NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE)
    times = (base_timestamp, max_timestamp)
    return BatchHeader(*stamp, attributes, record_count - 1, *times, *producer, record_count)


def seal(header: BatchHeader, payload: Buffer) -> tuple[bytes, BatchHeader]:
    """The whole batch of `header` and `payload`, and its header with batch_length and crc set."""
    fields = header[_FIRST_BODY_FIELD:]
    body = _BODY.pack(*fields) + payload
    batch_length = CRC_START - LENGTH_END + len(body)
    prefix = (header.base_offset, batch_length, header.leader_epoch, header.magic, checksum(body))
    return _PREFIX.pack(*prefix) + body, BatchHeader._make(prefix + fields)


def complete(
    batch: bytearray,
    attributes: int,
    record_count: int,
    times: tuple[int, int],
    producer: tuple[int, int, int],
) -> None:
    """Write the header of a batch whose payload is in place: what `seal` does, without a copy.

    Args:
        batch: HEADER_SIZE bytes that are overwritten, then the payload.
        attributes: as in the header.
        record_count: how many records the payload holds.
        times: base and max timestamp.
        producer: producer id, epoch and base sequence.
    """
    body = _BODY.pack(attributes, record_count - 1, *times, *producer, record_count)
    with memoryview(batch) as view:
        crc = crc32c.crc32c(view[HEADER_SIZE:], crc32c.crc32c(body))
    batch[:HEADER_SIZE] = _PREFIX.pack(0, len(batch) - LENGTH_END, NO_EPOCH, MAGIC, crc) + body


def seal_one(timestamp: int, payload: Buffer) -> tuple[bytes, BatchHeader]:
    """`seal` of a batch that holds one plain record: the same in half the time."""
    fields = (0, 0, timestamp, timestamp, NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE, 1)
    body = _BODY.pack(*fields) + payload
    prefix = (0, CRC_START - LENGTH_END + len(body), NO_EPOCH, MAGIC, crc32c.crc32c(body))
    return _PREFIX.pack(*prefix) + body, tuple.__new__(BatchHeader, prefix + fields)
