"""Counters and histograms of the data path.

Plain numbers, because a lock a record would be felt there; `api/metrics/exposition.py` shows them
to Prometheus. All are written on the event loop only.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_LATENCY_BUCKETS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip


class HistogramProbe:
    """Observations counted in fixed buckets, plus their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = _LATENCY_BUCKETS_S) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """One a bucket, not cumulative; the last is for what is above every bound."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class FlushProbe:
    """How long group commits take, and how many partitions share one."""

    __slots__ = ("partitions", "seconds")

    def __init__(self) -> None:
        self.seconds = HistogramProbe()
        self.partitions = 0

    def observe(self, seconds: float, partitions: int) -> None:
        self.seconds.observe(seconds)
        self.partitions += partitions


@dataclass(slots=True)
class ScrubProbe:
    """What was read to look for damage since the start."""

    bytes: int = 0
    segments: int = 0
    rounds: int = 0
    """In each of which everything was read once."""
    errors: int = 0
    """Segments that the disk did not give."""


@dataclass(slots=True)
class DataProbe:
    """What went through the data path since the start."""

    produce_requests: int = 0
    produce_records: int = 0
    produce_bytes: int = 0
    produce_errors: int = 0
    produce_duplicates: int = 0
    """Entries of requests whose batches had been stored before."""
    fetch_requests: int = 0
    fetch_bytes: int = 0
    fetch_errors: int = 0
    waiting_fetches: int = 0
    """Those in work that wait for records: this and `connections` go down, too."""
    connections: int = 0
    cold_reads: int = 0
    append_seconds: HistogramProbe = field(default_factory=HistogramProbe)
    """How long records waited until all in-sync replicas had them, with acks=all.

    Of those that one advance of the high watermark lets go, the one that waited longest is counted.
    """
    read_seconds: HistogramProbe = field(default_factory=HistogramProbe)
    """How long it took to read a piece of a log."""
    flush: FlushProbe = field(default_factory=FlushProbe)
    scrub: ScrubProbe = field(default_factory=ScrubProbe)

    def appended(self, records: int, size: int) -> None:
        """Count records that came into the log, `size` bytes of batches."""
        self.produce_records += records
        self.produce_bytes += size


@dataclass(slots=True)
class ReplicationProbe:
    """What went between this broker and its followers and leaders since the start."""

    follower_fetches: int = 0
    """Answered as a leader."""
    follower_bytes: int = 0
    """Of batches, given to followers."""
    sessions_begun: int = 0
    leader_fetches: int = 0
    """Answers that leaders gave to this broker."""
    leader_bytes: int = 0
    """Of batches, taken from leaders."""
    leader_errors: int = 0
    """Fetches without an answer, and partitions that an answer had an error for."""
    isr_shrinks: int = 0
    """Written by this broker as a leader, as are those that grow."""
    isr_expands: int = 0
