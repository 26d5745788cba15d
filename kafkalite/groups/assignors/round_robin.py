"""Kafka's round-robin assignor: all partitions of all topics, dealt out in turn."""

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets


class RoundRobinAssignor:
    """A member that does not subscribe to a partition's topic is passed over."""

    name = "roundrobin"

    def assign(self, task: AssignmentTask) -> Targets:
        """Share the partitions."""
        targets: Targets = {subscriber.id: set() for subscriber in task.subscribers}
        members = task.subscribers
        turn = 0
        for partition in task.partitions():
            while partition.topic not in members[turn].topics:
                turn = (turn + 1) % len(members)
            targets[members[turn].id].add(partition)
            turn = (turn + 1) % len(members)
        return targets
