"""Where a consumer is in each of its partitions. No IO.

Two places go through a partition: `fetch_offset`, moved by whoever fetches as answers come, and
`position`, moved by whoever hands records out. What was fetched belongs to one `stint`; a seek
begins another one, and what comes of the one before is thrown away.

    committed <= given <= position <= fetch_offset      (of one stint)
"""

from collections.abc import Iterable, Iterator
from typing import Final

from kafkalite.client.consumer.failures import NotAssignedError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET

EARLIEST: Final = "earliest"
LATEST: Final = "latest"
GROUP: Final = "group"
"""Begin where the group has got to; without that, as auto.offset.reset says."""

Start = str | int
"""Where to begin: GROUP, EARLIEST, LATEST or an offset."""


class PartitionPosition:
    """One partition that is consumed. Owned by its `Positions`.

    Threads: `position` and `given` are written by the consumer's, all else by the loop's or, in
    calls like `seek`, with the consumer waiting for the loop. Each field is one object, so that
    reading it from elsewhere gives the one before or the one after.
    """

    __slots__ = (
        "error",
        "fetch_offset",
        "high_watermark",
        "is_new",
        "is_paused",
        "log_start_offset",
        "lost_offset",
        "position",
        "refusals",
        "retry_at_s",
        "start",
        "stint",
        "topic_partition",
    )

    def __init__(self, topic_partition: TopicPartition, start: Start, *, is_new: bool) -> None:
        self.topic_partition = topic_partition
        self.position = NO_OFFSET
        """Offset of the next record to hand out; NO_OFFSET until it is known."""
        self.fetch_offset = NO_OFFSET
        """Offset of the next record to ask for; never below `position`."""
        self.start: Start = start
        """Where to begin while `position` is NO_OFFSET."""
        self.lost_offset = NO_OFFSET
        """The position that turned out not to be in the log, until another one is found."""
        self.stint = 0
        self.is_paused = False
        self.is_new = is_new
        """It came to be while it was consumed: whatever it holds is news."""
        self.high_watermark = NO_OFFSET
        """As the last answer said; never below `fetch_offset` of an answer's time."""
        self.log_start_offset = NO_OFFSET
        self.refusals = 0
        """How often in a row it was refused."""
        self.retry_at_s = 0.0
        """Not asked for before, after an error."""
        self.error: Exception | None = None
        """What the next poll raises."""
        if isinstance(start, int):
            self.go_to(start)

    @property
    def is_known(self) -> bool:
        return self.position != NO_OFFSET

    def go_to(self, offset: int) -> None:
        """Go on at `offset`; what was fetched is thrown away."""
        assert offset >= 0
        self.stint += 1
        self.position = self.fetch_offset = offset
        self.lost_offset = NO_OFFSET
        self.error = None
        self.retry_at_s = 0.0

    def begin_at(self, start: Start) -> None:
        """Go on where `start` says, which is to be found out."""
        if isinstance(start, int):
            self.go_to(start)
            return
        self.stint += 1
        self.start = start
        self.position = self.fetch_offset = self.lost_offset = NO_OFFSET
        self.error = None

    def lose(self) -> None:
        """The log does not hold the position; whoever resets offsets finds another one."""
        lost = self.fetch_offset
        self.stint += 1
        self.position = self.fetch_offset = NO_OFFSET
        self.lost_offset = lost

    def advance(self, next_offset: int) -> None:
        """Records below `next_offset` have been handed out."""
        assert next_offset >= self.position
        self.position = next_offset

    def fetched_to(self, next_offset: int) -> None:
        """Records below `next_offset` have come."""
        assert next_offset >= self.fetch_offset
        self.fetch_offset = next_offset

    def refetch(self) -> None:
        """Throw away what has come and was not handed out."""
        self.stint += 1
        self.fetch_offset = self.position

    @property
    def lag(self) -> int | None:
        """Records between the position and the end, as the last answer told; None: unknown."""
        if self.high_watermark == NO_OFFSET or not self.is_known:
            return None
        return max(self.high_watermark - self.position, 0)


class Positions:
    """The partitions that are consumed at the moment, each with where it is."""

    def __init__(self) -> None:
        self._by_partition: dict[TopicPartition, PartitionPosition] = {}

    def __iter__(self) -> Iterator[PartitionPosition]:
        return iter(list(self._by_partition.values()))

    def __len__(self) -> int:
        return len(self._by_partition)

    def __contains__(self, topic_partition: object) -> bool:
        return topic_partition in self._by_partition

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """Which they are."""
        return frozenset(self._by_partition)

    def get(self, topic_partition: TopicPartition) -> PartitionPosition | None:
        """One of them, if it is one."""
        return self._by_partition.get(topic_partition)

    def of(self, topic_partition: TopicPartition) -> PartitionPosition:
        """One of them; raises NotAssignedError."""
        found = self._by_partition.get(topic_partition)
        if found is None:
            raise NotAssignedError(topic_partition)
        return found

    def add(self, topic_partition: TopicPartition, start: Start, *, is_new: bool) -> None:
        """Consume it from now on."""
        assert topic_partition not in self._by_partition
        self._by_partition[topic_partition] = PartitionPosition(
            topic_partition, start, is_new=is_new
        )

    def remove(self, partitions: Iterable[TopicPartition]) -> None:
        """Consume these no more: what comes of them is not theirs any longer."""
        for each in partitions:
            found = self._by_partition.pop(each, None)
            if found is not None:
                found.begin_at(GROUP)  # so that nobody asks for it, or takes what comes
