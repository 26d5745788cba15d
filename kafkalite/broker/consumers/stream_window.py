"""What a stream has sent and its client has not acknowledged: counted in records, bounded."""

from collections import deque
from collections.abc import Iterable

from kafkalite.model.ids import TopicPartition


class StreamWindow:
    """How many more records may be sent. Lives on the loop."""

    def __init__(self, max_records: int) -> None:
        """Nothing is sent yet."""
        self._max_records = max_records
        self._sent: dict[TopicPartition, deque[tuple[int, int]]] = {}
        """Of each partition, event by event: where it ends, and how many records it had."""
        self.records = 0
        """Sent and not acknowledged."""

    @property
    def left(self) -> int:
        return max(0, self._max_records - self.records)

    def sent(self, partition: TopicPartition, end: int, count: int) -> None:
        """So many records below `end` were sent."""
        self._sent.setdefault(partition, deque()).append((end, count))
        self.records += count

    def acknowledged(self, partition: TopicPartition, offset: int) -> None:
        """The client has dealt with all below `offset`."""
        events = self._sent.get(partition)
        while events and events[0][0] <= offset:
            self.records -= events.popleft()[1]
        if not events:
            self._sent.pop(partition, None)

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """These are others' by now: nothing of them will be acknowledged."""
        for partition in partitions:
            self.records -= sum(count for _, count in self._sent.pop(partition, ()))
