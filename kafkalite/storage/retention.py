"""Which segments of a log may go; pure."""

from collections.abc import Iterable
from typing import NamedTuple

from kafkalite.config.views import NO_LIMIT, LogOptions
from kafkalite.model.record import NO_TIMESTAMP


class SegmentAge(NamedTuple):
    """What retention looks at of one segment."""

    end_offset: int
    size: int
    max_timestamp: int
    """NO_TIMESTAMP in a segment without records, or of which none can be read."""


def expired_segments(
    segments: Iterable[SegmentAge],
    options: LogOptions,
    *,
    total_bytes: int,
    now_ms: int,
    start_offset: int,
    high_watermark: int,
) -> int:
    """How many segments, from the oldest on, are no longer kept; the active one may be among them.

    Looks at no more of `segments` than it must; together they have `total_bytes`.

    A segment goes when it lies wholly below the log start offset, when its newest record is older
    than `retention_ms`, or when the rest is still at least `retention_bytes`; never above the high
    watermark, never an empty one, and never one behind a segment that stays. One of unknown age is
    as old as the one behind it.
    """
    surplus = total_bytes - options.retention_bytes
    count = 0
    for looked_at, segment in enumerate(segments, 1):
        if segment.end_offset > high_watermark or not segment.size:
            break
        is_known = segment.max_timestamp != NO_TIMESTAMP
        is_old = (
            is_known
            and options.retention_ms != NO_LIMIT
            and now_ms - segment.max_timestamp > options.retention_ms
        )
        is_surplus = options.retention_bytes != NO_LIMIT and segment.size <= surplus
        surplus -= segment.size
        if segment.end_offset <= start_offset or is_old or is_surplus:
            count = looked_at
        elif is_known:
            break
    return count
