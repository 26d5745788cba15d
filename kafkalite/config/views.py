"""Narrow values that components are given instead of the whole configuration."""

from dataclasses import dataclass
from enum import StrEnum

NO_LIMIT = -1
"""Of a retention: keep for ever."""

_MAX_LONG = 2**63 - 1
_HOUR_MS = 3_600_000


class FlushPolicy(StrEnum):
    """When the records of a log are made durable (`log.flush.policy`)."""

    COMMIT = "commit"
    """`acks=all` waits for the flush: a group commit runs behind the appends."""
    INTERVAL = "interval"
    """After `log.flush.interval.messages` records or `log.flush.interval.ms`."""
    OS = "os"
    """When the operating system writes its page cache back, as Kafka does."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The settings of one log; the defaults are Kafka's."""

    segment_bytes: int = 1 << 30
    """A segment is rolled before it would grow past this."""
    segment_ms: int = 168 * _HOUR_MS
    """A segment is rolled when its first record is this old."""
    segment_index_bytes: int = 10 << 20
    """The size at which an index is full; a full index rolls the segment."""
    index_interval_bytes: int = 4096
    """At most one index entry every so many bytes of batches."""
    retention_ms: int = 168 * _HOUR_MS
    """Segments whose newest record is older go; NO_LIMIT: none for their age."""
    retention_bytes: int = NO_LIMIT
    """The oldest segments go while the rest is at least this large; NO_LIMIT: none for size."""
    file_delete_delay_ms: int = 60_000
    """How long a deleted segment's files stay, as `.deleted`."""
    flush_messages: int = _MAX_LONG
    """Flush when so many records have come since the last one (policy `interval`)."""
    flush_ms: int = _MAX_LONG
    """Flush when the oldest unflushed record has waited this long (policy `interval`)."""
    max_producer_ids: int = 20_000
    """Idempotent producers that are remembered; of more, those heard of last."""


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """How a broker fetches from the leaders that it follows; the defaults are Kafka's."""

    partition_max_bytes: int = 1 << 20
    """Of one partition in one answer; a first batch that is larger comes all the same."""
    answer_max_bytes: int = 10 << 20
    """Of batches in one answer."""
    buffer_bytes: int = 64 << 20
    """Of batches in the answers of all leaders together."""
    wait_max_ms: int = 500
    """How long a fetch waits at the leader for records."""
    backoff_max_ms: int = 1_000
    """The longest pause before what failed is tried again."""
    timeout_ms: int = 30_000
    """How long an answer may take, beyond the wait."""
