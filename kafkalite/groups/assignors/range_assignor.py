"""Kafka's range assignor: of each topic a block of neighbours, so that topics alike go together."""

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets
from kafkalite.model.ids import TopicPartition


class RangeAssignor:
    """Topic by topic; where a topic cannot be shared evenly, the first members get one more."""

    name = "range"

    def assign(self, task: AssignmentTask) -> Targets:
        """Share the partitions."""
        targets: Targets = {subscriber.id: set() for subscriber in task.subscribers}
        for topic, count in task.partition_counts.items():
            takers = [s.id for s in task.subscribers if topic in s.topics]
            share, more = divmod(count, len(takers))
            start = 0
            for position, taker in enumerate(takers):
                end = start + share + (position < more)
                targets[taker].update(TopicPartition(topic, n) for n in range(start, end))
                start = end
        return targets
