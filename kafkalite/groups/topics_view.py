"""What a group has to know of the cluster's topics."""

from collections.abc import Iterable
from typing import Protocol

from kafkalite.model.ids import TopicPartition


class TopicsView(Protocol):
    """The topics as the broker knows them; complete before the first group asks."""

    def names(self) -> Iterable[str]:
        """Of all topics that exist and are not being deleted."""

    def partition_count(self, topic: str) -> int | None:
        """Partitions of a topic; None: it does not exist."""

    def racks(self, partition: TopicPartition) -> frozenset[str]:
        """The racks of the brokers that hold its replicas, where known."""
