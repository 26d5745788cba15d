"""What one poll gives: batches of any number of partitions."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.model.ids import TopicPartition


class Records:
    """Records in the order of each partition; false when there are none.

    Iterating gives records. Nothing is decoded before somebody looks at it: `batches` and `len`
    cost the same however large the records are.
    """

    __slots__ = ("batches",)

    def __init__(self, batches: Sequence[FetchedBatch]) -> None:
        self.batches = batches
        """What there is, batch by batch; several in a row may be of one partition."""

    def partitions(self) -> list[TopicPartition]:
        """The partitions that gave something."""
        return list(dict.fromkeys(batch.topic_partition for batch in self.batches))

    def of(self, topic_partition: TopicPartition) -> list[ConsumerRecord]:
        """The records of one partition."""
        found = (each for each in self.batches if each.topic_partition == topic_partition)
        return list(chain.from_iterable(found))

    def values(self) -> list[Any]:
        """All values, the cheapest way to them."""
        if len(self.batches) == 1:
            return self.batches[0].values()
        return list(chain.from_iterable(batch.values() for batch in self.batches))

    def __iter__(self) -> Iterator[ConsumerRecord]:
        return chain.from_iterable(self.batches)

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __bool__(self) -> bool:
        return bool(self.batches)

    def __repr__(self) -> str:
        return f"Records({len(self)} records of {len(self.partitions())} partitions)"
