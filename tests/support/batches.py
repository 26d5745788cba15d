"""Forges batches: intact to the checksum, and wrong in whatever way a test needs."""

from collections.abc import Sequence
from typing import Any

import msgspec

from kafkalite.wire.batch import BatchHeader, seal, unsealed
from kafkalite.wire.validate import validate_batches

MAX_BYTES = 1 << 20
TIME = 1_700_000_000_000

_encoder = msgspec.msgpack.Encoder()


def forge(
    records: Sequence[Any] = ([0, b"key", b"value", None],),
    *,
    payload: bytes | None = None,
    **fields: int,
) -> bytes:
    """A batch whose header fits `records` but for `fields`; `payload` stands in for the records."""
    batch, _ = seal(
        unsealed(len(records), TIME, TIME)._replace(**fields),
        _encoder.encode(records) if payload is None else payload,
    )
    return batch


def validate(data: bytes | bytearray | memoryview, max_bytes: int = MAX_BYTES) -> list[BatchHeader]:
    """`validate_batches` with the same bound for a batch and for what it holds."""
    return validate_batches(data, max_batch_bytes=max_bytes, max_decompressed_bytes=max_bytes)
