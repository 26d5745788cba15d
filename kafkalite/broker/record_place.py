"""What became of one record."""

from typing import NamedTuple

from kafkalite.model.errors import LogError


class ValuesPlace(NamedTuple):
    """Where records went that share a batch; that is known even where they may not be safe."""

    partition: int
    base_offset: int
    error: LogError | None = None


class RecordPlace(NamedTuple):
    """Where a record went, or why it did not; offset -1 when it is not in the log."""

    partition: int
    offset: int
    error: LogError | None = None
    leader_url: str = ""
    """Where the partition's leader is, if that is another broker and took or refused the record."""
