"""What was handed out and what of it is committed, partition by partition. No IO.

A commit names the offset to go on from. It is never beyond what was handed out, and of a partition
that was taken away nothing more is committed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from kafkalite.client.consumer.positions import Positions
from kafkalite.model.ids import NO_EPOCH, TopicPartition


class OffsetAndMetadata(NamedTuple):
    """What is committed of one partition."""

    offset: int
    """Of the next record to read: one more than that of the last one that was dealt with."""
    metadata: str = ""
    """Anything that the consumer wants to find again, up to 4096 bytes of UTF-8."""
    leader_epoch: int = NO_EPOCH
    """Of the last record that was dealt with; -1 where it is not known."""


Offsets = Mapping[TopicPartition, OffsetAndMetadata]


class CommitLedger:
    """The last known commit of each partition, so that nothing is committed again for nothing."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._committed: dict[TopicPartition, int] = {}

    def due(self, partitions: Collection[TopicPartition] | None = None) -> Offsets:
        """What to commit of `partitions` (None: of all): positions that moved since."""
        return {
            each.topic_partition: OffsetAndMetadata(each.position)
            for each in self._positions
            if each.is_known
            and self._committed.get(each.topic_partition) != each.position
            and (partitions is None or each.topic_partition in partitions)
        }

    def knows(self, topic_partition: TopicPartition) -> bool:
        """Whether anything is known to be committed of a partition."""
        return topic_partition in self._committed

    def note(self, committed: Offsets) -> None:
        """These were committed, or found to be."""
        for each, found in committed.items():
            if each in self._positions:
                self._committed[each] = found.offset

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """They are somebody else's, or were made again: nothing is known of their commits."""
        for each in partitions:
            self._committed.pop(each, None)
