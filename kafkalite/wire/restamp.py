"""Batches made anew for a topic that wants its own compression or its own timestamps.

Both take one whole batch that was validated, and leave what it holds as it is.
"""

from typing import Final

from kafkalite.model.compression import Compression
from kafkalite.wire.batch import (
    COMPRESSION_MASK,
    HEADER_SIZE,
    TIMESTAMP_TYPE_BIT,
    Buffer,
    header_at,
    seal,
)
from kafkalite.wire.compression import compress
from kafkalite.wire.records import read_payload

_MAX_PAYLOAD: Final = 2**31 - 1 - HEADER_SIZE
"""What batch_length, an i32, leaves for a payload; the validator's bound was tighter."""


def recompress(batch: Buffer, codec: Compression) -> bytes:
    """The batch with its payload compressed by `codec`.

    Raises:
        LogError: the payload cannot be decompressed, or would not fit a batch.
    """
    header = header_at(batch, 0)
    records = read_payload(memoryview(batch), header, _MAX_PAYLOAD)
    attributes = header.attributes & ~COMPRESSION_MASK | codec
    return seal(header._replace(attributes=attributes), compress(codec, records))[0]


def with_log_append_time(batch: Buffer, now_ms: int) -> bytes:
    """The batch with `now_ms` as the time of all of its records, whatever their producer said.

    The deltas in the payload stay and no longer count (see records.py), so nothing is decompressed.
    """
    header = header_at(batch, 0)._replace(base_timestamp=now_ms, max_timestamp=now_ms)
    header = header._replace(attributes=header.attributes | TIMESTAMP_TYPE_BIT)
    return seal(header, memoryview(batch)[HEADER_SIZE:])[0]
