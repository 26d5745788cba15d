"""The cluster's topics as groups look at them."""

from collections.abc import Iterable, Mapping

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.model.ids import TopicId, TopicPartition


class GroupTopics:
    """Implements the groups' TopicsView on the MetadataView. A topic that is going is gone."""

    def __init__(self, view: MetadataView) -> None:
        self._view = view

    def names(self) -> Iterable[str]:
        """See TopicsView."""
        deletions = self._view.deletions
        return [name for name in self._view.topics if name not in deletions]

    def partition_count(self, topic: str) -> int | None:
        """See TopicsView."""
        known = self._view.topics.get(topic)
        if known is None or topic in self._view.deletions:
            return None
        return known.partition_count

    def racks(self, partition: TopicPartition) -> frozenset[str]:
        """See TopicsView."""
        known = self._view.topics.get(partition.topic)
        if known is None:
            return frozenset()
        brokers = self._view.brokers
        return frozenset(
            rack
            for replica in known.assignment.get(partition.partition, ())
            if replica in brokers and (rack := brokers[replica].rack) is not None
        )

    def topic_id(self, topic: str) -> TopicId | None:
        """The id of the topic of that name; None where there is none."""
        known = self._view.topics.get(topic)
        return None if known is None else known.topic_id

    def made_anew(self, topics: Mapping[str, TopicId | None]) -> frozenset[str]:
        """Those names that other topics have by now than the given ones."""
        return frozenset(
            name
            for name, topic_id in topics.items()
            if topic_id is not None and self.topic_id(name) not in {None, topic_id}
        )

    def has(self, partition: TopicPartition) -> bool:
        """Whether the partition exists."""
        known = self._view.topics.get(partition.topic)
        return (
            known is not None
            and partition.partition in known.assignment
            and partition.topic not in self._view.deletions
        )
