"""Offsets of a log. Every end is exclusive; every range is half-open."""

from typing import Final, NamedTuple

NO_OFFSET: Final = -1
"""Where an offset belongs and there is none."""


class OffsetRange(NamedTuple):
    """Offsets `start <= offset < end`."""

    start: int
    end: int

    def __contains__(self, offset: object) -> bool:
        return isinstance(offset, int) and self.start <= offset < self.end

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


class LogOffsets(NamedTuple):
    """Where a partition stands. Invariant: start <= high_watermark <= end."""

    start: int
    """Log start offset: the first readable one."""
    high_watermark: int
    """First offset not known to be on every in-sync replica; consumers read below it."""
    end: int
    """Log end offset: what the next record will get."""
