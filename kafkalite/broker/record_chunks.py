"""Which records of one request share a batch."""

from collections.abc import Iterator, Sequence
from typing import Final

from kafkalite.model.record import Header
from kafkalite.wire.batch import HEADER_SIZE
from kafkalite.wire.record_bodies import IncomingRecord

_RECORD_OVERHEAD_BYTES: Final = 64
"""More than a record takes beside its key, value and headers."""


def share_a_batch(values: Sequence[bytes | None], target_bytes: int) -> bool:
    """Whether records that have nothing but values fit one batch."""
    size = sum([len(value) for value in values if value])
    return size + len(values) * _RECORD_OVERHEAD_BYTES + HEADER_SIZE <= target_bytes


def chunks(
    incoming: Sequence[IncomingRecord], indexes: list[int], target_bytes: int
) -> Iterator[list[int]]:
    """Indexes in parts that fit a batch each; a record that is too large is a part of its own."""
    if len(indexes) == 1:
        yield indexes
        return
    target = target_bytes - HEADER_SIZE
    chunk: list[int] = []
    size = 0
    for index in indexes:
        value, key, _, headers, _ = incoming[index].record
        record_size = _RECORD_OVERHEAD_BYTES
        if value:
            record_size += len(value)
        if key:
            record_size += len(key)
        if headers:
            record_size += _headers_size(headers)
        if chunk and size + record_size > target:
            yield chunk
            chunk, size = [], 0
        chunk.append(index)
        size += record_size
    yield chunk


def _headers_size(headers: Sequence[Header]) -> int:
    return sum(len(name) * 4 + len(data or b"") + _RECORD_OVERHEAD_BYTES for name, data in headers)
