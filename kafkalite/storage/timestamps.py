"""Looking records up by their timestamps."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from kafkalite.model.errors import LogError
from kafkalite.model.record import Record
from kafkalite.storage.scan import Batch
from kafkalite.storage.segment import Segment
from kafkalite.wire.records import decode_batch

_MAX_DECOMPRESSED_BYTES: Final = 1 << 30
"""What came in was checked against a tighter bound, which may have changed since."""


class TimestampOffset(NamedTuple):
    """A record's timestamp, in milliseconds since the epoch, and its offset."""

    timestamp: int
    offset: int


def first_at_or_above(
    segments: Iterable[Segment], timestamp: int, start_offset: int
) -> TimestampOffset | None:
    """The earliest record from `start_offset` on with at least `timestamp`. Raises OSError."""
    for segment in segments:
        if segment.end_offset <= start_offset:
            continue
        segment.load_timestamps()
        if segment.max_timestamp < timestamp:
            continue
        for batch in segment.batches_reaching(timestamp):
            for record in _records(segment, batch):
                if record.timestamp >= timestamp and record.offset >= start_offset:
                    return TimestampOffset(record.timestamp, record.offset)
    return None


def largest(segments: Iterable[Segment], start_offset: int) -> TimestampOffset | None:
    """The earliest of the records with the largest timestamp. Raises OSError."""
    held = [segment for segment in segments if segment.size and segment.end_offset > start_offset]
    for segment in held:
        segment.load_timestamps()
    # Where the start offset or damage hides a segment's largest, the next one is looked for.
    best: TimestampOffset | None = None
    for segment in sorted(held, key=lambda each: -each.max_timestamp):
        if best is not None and segment.max_timestamp < best.timestamp:
            break
        found = _largest_of(segment, start_offset)
        if found is not None and (
            best is None or (found.timestamp, -found.offset) > (best.timestamp, -best.offset)
        ):
            best = found
    return best


def _largest_of(segment: Segment, start_offset: int) -> TimestampOffset | None:
    if segment.base_offset >= start_offset or segment.max_timestamp_offset >= start_offset:
        found = first_at_or_above([segment], segment.max_timestamp, start_offset)
        if found is not None:
            return found
    best: TimestampOffset | None = None
    for batch in segment.batches_reaching(0):
        if best is not None and batch.header.max_timestamp <= best.timestamp:
            continue
        for record in _records(segment, batch):
            if record.offset >= start_offset and (
                best is None or record.timestamp > best.timestamp
            ):
                best = TimestampOffset(record.timestamp, record.offset)
    return best


def _records(segment: Segment, batch: Batch) -> Iterator[Record]:
    """The records of a batch; none where it is damaged."""
    try:
        yield from decode_batch(segment.read(batch), max_bytes=_MAX_DECOMPRESSED_BYTES)
    except LogError:
        return
