"""What a log needs of the directory that it lives in."""

from collections.abc import Callable
from typing import Protocol

from kafkalite.model.ids import TopicPartition


class OffsetsOfLog(Protocol):
    """What the directory needs of a log."""

    topic_partition: TopicPartition
    start_offset: int
    durable_end_offset: int


class LogHome(Protocol):
    """Keeps the offsets of its logs in checkpoints, and is told when its disk fails."""

    def start_offset_moved(self) -> None:
        """Make the new start offset of a log durable. Raises OSError."""

    def write_though_full(self, write: Callable[[], object]) -> None:
        """Call `write`, of what leads to more space: on a full disk it may use the reserve.

        Raises:
            OSError: as `write` does.
        """

    def lower_checkpoints(self, log: OffsetsOfLog, offset: int) -> None:
        """See that no durable checkpoint names an offset above `offset`, and lower the log's
        durable end to it.

        Raises:
            OSError: the disk is full or failed.
        """

    def damage_found(self, topic_partition: TopicPartition) -> None:
        """More of a log than was known cannot be read."""

    def disk_failed(self, error: OSError) -> None:
        """The disk gave an error that does not pass by itself."""
