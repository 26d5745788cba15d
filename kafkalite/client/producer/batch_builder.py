"""Values to the bytes of a batch: one call of the encoder, and no object a record.

A record on the wire is an array of four, `[timestamp_delta, key, value, headers]`. To build these
arrays as objects costs three times what encoding them does. So the encoder gets one flat list in
which what stands between two values is a ready-made piece of the output, the same object each time:

    RAW(94 00 c0) value RAW(c0 94 00 c0) value ... RAW(c0)          records of a value only
    RAW(94 00) key value headers RAW(94 00) key value headers ...   others

`94` begins an array of four, `00` is the delta, `c0` is nil. The list's own length, which means
nothing, is overwritten with the number of records.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from kafkalite.model.compression import Compression
from kafkalite.wire.batch import HEADER_SIZE
from kafkalite.wire.compression import compress

ITEMS_A_RECORD: Final = 4
"""Of the flat list of records that have more than a value."""

Span = tuple[int, int]
"""(index, time in ms): records from `index` on have that time, until the next span begins."""

_COUNT_BYTES: Final = 5
_ARRAY_32: Final = b"\xdd"
_LAST: Final = msgspec.Raw(b"\xc0")
_encode = msgspec.msgpack.Encoder().encode
_encode_into = msgspec.msgpack.Encoder().encode_into


@lru_cache(1024)
def record_start(delta: int) -> msgspec.Raw:
    """How a record that is `delta` ms after the batch's time begins, up to its key."""
    return msgspec.Raw(b"\x94" + _encode(delta))


@lru_cache(1024)
def _before_value(delta: int) -> msgspec.Raw:
    """The end of one record and the begin of the next one, whose key is nil."""
    return msgspec.Raw(b"\xc0\x94" + _encode(delta) + b"\xc0")


_FIRST: Final = msgspec.Raw(b"\x94\x00\xc0")
_NEXT: Final = _before_value(0)


def encode_values(
    values: Sequence[bytes | None],
    spans: Sequence[Span],
    base_ms: int,
    size: int,
    spare: bytearray | None = None,
) -> bytearray:
    """A batch of records that are a value each; its header is to be written.

    Args:
        values: at least one.
        spans: when they were made; the first span begins at 0, no time is before `base_ms`.
        base_ms: the batch's base timestamp.
        size: about how large it will be, in bytes.
        spare: what to write over and give, longer than a header; all of it is spent.
    """
    count = len(values)
    items: list[object] = [_NEXT] * (2 * count + 1)
    items[1::2] = values
    if len(spans) == 1 and spans[0][1] == base_ms:
        items[0] = _FIRST
    else:
        for start, time_ms in spans:
            items[2 * start :: 2] = [_before_value(time_ms - base_ms)] * (count + 1 - start)
        items[0] = msgspec.Raw(bytes(_before_value(spans[0][1] - base_ms))[1:])
    items[-1] = _LAST
    return _encoded(items, count, size, spare)


def encode_records(
    items: list[object],
    spans: Sequence[Span],
    given_ms: dict[int, int] | None,
    base_ms: int,
    size: int,
) -> bytearray:
    """A batch of records of any kind; its header is to be written.

    Args:
        items: `record_start(0)`, key, value, headers of each record, all in one list; spent.
        spans: when the records were made.
        given_ms: the times of those, by index, that came with one.
        base_ms: the batch's base timestamp, no later than any of these.
        size: about how large it will be, in bytes.
    """
    count = len(items) // ITEMS_A_RECORD
    if given_ms or len(spans) > 1 or spans[0][1] != base_ms:
        for start, time_ms in spans:
            starts = [record_start(time_ms - base_ms)] * (count - start)
            items[ITEMS_A_RECORD * start :: ITEMS_A_RECORD] = starts
        for index, time_ms in (given_ms or {}).items():
            items[ITEMS_A_RECORD * index] = record_start(time_ms - base_ms)
    return _encoded(items, count, size)


def plain_to_items(values: Sequence[bytes | None]) -> list[object]:
    """The items of records that are a value each, for records of another kind to follow."""
    items: list[object] = [record_start(0), None, None, None] * len(values)
    items[2::ITEMS_A_RECORD] = values
    return items


def compressed(codec: Compression, batch: bytearray) -> bytearray:
    """`batch` with its payload compressed; the header is left blank as it was."""
    with memoryview(batch) as view:
        payload = compress(codec, view[HEADER_SIZE:])
    result = bytearray(HEADER_SIZE)
    result += payload
    return result


def _encoded(
    items: list[object], count: int, size: int, spare: bytearray | None = None
) -> bytearray:
    own = 1 if len(items) < 16 else 3 if len(items) < 1 << 16 else 5
    start = HEADER_SIZE + _COUNT_BYTES
    # A spare one grows where it is too short, and ends behind what is written.
    batch = spare if spare is not None else bytearray(max(size, start))
    _encode_into(items, batch, start - own)
    batch[HEADER_SIZE:start] = _ARRAY_32 + count.to_bytes(4, "big")
    return batch
