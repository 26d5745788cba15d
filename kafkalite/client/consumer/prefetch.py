"""What has been fetched and not been handed out: a queue between two threads, bounded by bytes.

An answer is one piece of memory that all of its parts point into. So its bytes are counted until
its last part is gone; a part that is parked, because its partition is paused, gets memory of its
own.
"""

import threading
from collections import deque
from collections.abc import Sequence

from kafkalite.client.consumer.positions import PartitionPosition
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.batch import BatchHeader


class _Memory:
    """An answer, and how many of its parts are still here."""

    __slots__ = ("parts", "size")

    def __init__(self, size: int, parts: int) -> None:
        self.size = size
        self.parts = parts


class FetchedPart:
    """Batches of one partition out of one answer, and how far they are handed out."""

    __slots__ = ("data", "headers", "index", "memory", "offset", "partition", "start", "stint")

    def __init__(
        self,
        partition: PartitionPosition,
        stint: int,
        headers: Sequence[BatchHeader],
        data: memoryview,
    ) -> None:
        """What was asked for in `stint`; `data` holds the batches, one or more, back to back."""
        self.partition = partition
        self.stint = stint
        self.headers = headers
        self.data = data
        self.index = 0
        """Of the next batch in `headers`, ..."""
        self.offset = 0
        """... where it begins in `data`, ..."""
        self.start = 0
        """... and how many of its records were handed out."""
        self.memory: _Memory | None = None

    @property
    def is_current(self) -> bool:
        """Whether the partition still wants it."""
        return self.stint == self.partition.stint

    @property
    def is_empty(self) -> bool:
        return self.index >= len(self.headers)


class Prefetch:
    """First come, first served. Any thread may call anything."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        """The bound; an answer may pass it by the one batch that is larger than was asked for."""
        self._lock = threading.Lock()
        self._parts: deque[FetchedPart] = deque()
        self._parked: dict[TopicPartition, deque[FetchedPart]] = {}
        self._bytes = 0

    @property
    def room(self) -> int:
        """Bytes that may still come; negative after an answer that was larger than asked."""
        return self.max_bytes - self._bytes

    @property
    def has_parts(self) -> bool:
        """Whether there may be something to hand out."""
        return bool(self._parts)

    def put(self, parts: Sequence[FetchedPart], size: int) -> bool:
        """Add the parts of an answer of `size` bytes, as far as they are still wanted.

        Their partitions are fetched from after them then. False: none was wanted.
        """
        with self._lock:
            wanted = [part for part in parts if part.is_current]
            if not wanted:
                return False
            memory = _Memory(size, len(wanted))
            self._bytes += size
            for part in wanted:
                part.memory = memory
                part.partition.fetched_to(part.headers[-1].next_offset)
            self._parts.extend(wanted)
            return True

    def refetch(self, partition: PartitionPosition) -> None:
        """Throw away what came of `partition` and was not handed out, and fetch it again."""
        with self._lock:
            partition.refetch()

    def head(self) -> FetchedPart | None:
        """The next part with something to hand out; it stays here until it is empty."""
        with self._lock:
            while self._parts:
                part = self._parts[0]
                if part.is_empty or not part.is_current:
                    self._parts.popleft()
                    self._release(part)
                elif part.partition.is_paused:
                    self._parts.popleft()
                    self._park(part)
                else:
                    return part
            return None

    def resume(self, topic_partition: TopicPartition) -> None:
        """What was parked of this partition is next."""
        with self._lock:
            parked = self._parked.pop(topic_partition, None)
            if parked:
                self._parts.extendleft(reversed(parked))

    def clean(self) -> None:
        """Free what nobody wants any more, wherever it is in the queue."""
        with self._lock:
            for part in self._parts:
                if not part.is_current:
                    self._release(part)
            self._parts = deque(part for part in self._parts if part.is_current)
            for each, parked in list(self._parked.items()):
                for part in parked:
                    if not part.is_current:
                        self._release(part)
                left = deque(part for part in parked if part.is_current)
                if left:
                    self._parked[each] = left
                else:
                    del self._parked[each]

    def drop_parked(self) -> bool:
        """Make room where only paused partitions fill it: they are fetched again, once resumed."""
        with self._lock:
            if not self._parked or self._parts:
                return False
            for parked in self._parked.values():
                for part in parked:
                    if part.is_current:
                        part.partition.refetch()
                    self._release(part)
            self._parked.clear()
            return True

    def _park(self, part: FetchedPart) -> None:
        memory = part.memory
        if memory is not None and memory.parts > 1:
            part.data = memoryview(bytes(part.data))
            self._release(part)
            part.memory = _Memory(len(part.data), 1)
            self._bytes += len(part.data)
        self._parked.setdefault(part.partition.topic_partition, deque()).append(part)

    def _release(self, part: FetchedPart) -> None:
        memory, part.memory = part.memory, None
        if memory is None:
            return
        memory.parts -= 1
        if not memory.parts:
            self._bytes -= memory.size
