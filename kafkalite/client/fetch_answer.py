"""A FetchResponse as a client reads it: batches are parts of the answer, and copied nowhere."""

import msgspec

from kafkalite.model.ids import NO_LEADER
from kafkalite.model.offsets import NO_OFFSET


class FetchedPartition(msgspec.Struct, frozen=True, gc=False):
    """A FetchResult of `wire/messages.py`, as far as it concerns a client."""

    topic: str
    partition: int
    batches: memoryview
    """Whole batches; the whole answer lives as long as this."""
    error_code: int = 0
    error: str = ""
    message: str = ""
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    leader_id: int = NO_LEADER
    leader_url: str = ""


class FetchAnswer(msgspec.Struct, frozen=True, gc=False):
    """A FetchResponse; it was refused as a whole where `error_code` is not 0."""

    partitions: list[FetchedPartition]
    error_code: int = 0
    error: str = ""
    message: str = ""
