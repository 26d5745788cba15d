"""Which partition a record goes to."""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from itertools import count as count_up

Partitioner = Callable[[str, bytes | None, bytes | None, int], int]
"""A choice of one's own: `(topic, key, value, partition_count)`, serialized, to a partition.

Called in the thread that sends, in several at a time where several send.
"""


class RoundRobin:
    """Each record without a key to the next partition, as Kafka's RoundRobinPartitioner.

    Keys are not looked at either: that is what Kafka's does.
    """

    def __init__(self) -> None:
        self._turns: dict[str, Iterator[int]] = {}
        """By topic; no two threads get the same number."""

    def __call__(self, topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        turns = self._turns.get(topic)
        if turns is None:
            turns = self._turns.setdefault(topic, count_up())
        return next(turns) % count


class StickyChoice:
    """The partition for records without a key of one topic: Kafka's built-in one (KIP-794).

    One partition has all of them until about a batch has gone there; then comes another one, chosen
    at random: the more batches wait for a partition, the more seldom.
    """

    def __init__(
        self, *, batch_bytes: int, is_adaptive: bool, randrange: Callable[[int], int]
    ) -> None:
        """Assign only.

        Args:
            batch_bytes: how much goes to a partition before the next one has its turn.
            is_adaptive: whether to look at what waits.
            randrange: gives a number from 0 up to its argument, without that.
        """
        self._batch_bytes = batch_bytes
        self._is_adaptive = is_adaptive
        self._randrange = randrange
        self._partition: int | None = None
        self._bytes = 0

    def current(self, partition_count: int, loads: Callable[[], Sequence[tuple[int, int]]]) -> int:
        """Where the next record goes.

        Args:
            partition_count: of the topic.
            loads: gives partitions that have a leader, each with the batches that wait for it.
        """
        if self._partition is None or self._partition >= partition_count:
            self._partition = self._choose(partition_count, loads())
            self._bytes = 0
        return self._partition

    def batch_ended(self, partition: int, size: int) -> None:
        """A batch of `size` bytes for `partition` was closed."""
        if partition == self._partition:
            self._bytes += size
            if self._bytes >= self._batch_bytes:
                self._partition = None

    def _choose(self, partition_count: int, loads: Sequence[tuple[int, int]]) -> int:
        if not loads:
            return self._randrange(partition_count)
        sizes = [size for _, size in loads]
        if not self._is_adaptive or min(sizes) == max(sizes):
            return loads[self._randrange(len(loads))][0]
        return loads[weighted(sizes, self._randrange)][0]


def weighted(queue_sizes: Sequence[int], randrange: Callable[[int], int]) -> int:
    """An index into `queue_sizes`, with a weight of what the longest queue has more, plus one."""
    longest = max(queue_sizes)
    cumulated = list(accumulate(longest + 1 - size for size in queue_sizes))
    return bisect_right(cumulated, randrange(cumulated[-1]))


def sticky_choice(batch_bytes: int, *, is_adaptive: bool) -> StickyChoice:
    """A StickyChoice by the process's random numbers."""
    return StickyChoice(
        batch_bytes=batch_bytes, is_adaptive=is_adaptive, randrange=random.randrange
    )
