"""Where a record was stored."""

from typing import NamedTuple


class RecordMetadata(NamedTuple):
    """What a delivery gives once the record is stored."""

    topic: str
    partition: int
    offset: int
    """NO_OFFSET (-1) with `acks=0`, for which nobody says."""
    timestamp: int
    """Milliseconds since the Unix epoch: the broker's if the topic says so, else the record's."""
