"""Which of the moves that are asked for can begin, are under way, are done, or are refused. Pure.

A list of moves stays until all have arrived, so that whoever rules finds in it what is left to do
(CTL-2). What it says of a partition is what is wanted: whoever wants something else takes the
partition from the list before anything else is written.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    InvalidReplicaAssignmentError,
    LogError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition

Targets = Mapping[TopicPartition, tuple[BrokerId, ...]]
"""Partition -> the replicas that it is to have, the preferred leader first."""


@dataclass(slots=True)
class ReassignmentPlan:
    """What has to be done about each partition of a list."""

    begin: dict[str, dict[int, tuple[BrokerId, ...]]] = field(default_factory=dict)
    """Topic -> partition -> target: has to be written still."""
    under_way: set[TopicPartition] = field(default_factory=set)
    """Is written, and has not arrived."""
    done: set[TopicPartition] = field(default_factory=set)
    refused: dict[TopicPartition, LogError] = field(default_factory=dict)

    def remaining(self, targets: Targets) -> Targets:
        """What stays in the list: what is yet to begin or to arrive."""
        return {
            name: target
            for name, target in targets.items()
            if name not in self.done and name not in self.refused
        }


def plan_reassignments(
    targets: Targets,
    topics: Mapping[str, Topic],
    deletions: Collection[str],
    live: Collection[BrokerId],
) -> ReassignmentPlan:
    """Sort the moves that are wanted, by the cluster as it is.

    Args:
        targets: where partitions are to go; of any form.
        topics: all there are.
        deletions: topics that are to be deleted.
        live: brokers that are there.
    """
    plan = ReassignmentPlan()
    for name, target in sorted(targets.items()):
        topic = topics.get(name.topic)
        try:
            if topic is None or name.partition not in topic.assignment:
                raise UnknownTopicOrPartitionError("The partition does not exist.")
            if topic.target(name.partition) == target:
                moving = name.partition in topic.moving
                (plan.under_way if moving else plan.done).add(name)
                continue
            check_target(topic, name.partition, target, deletions, live)
        except LogError as error:
            plan.refused[name] = error
        else:
            plan.begin.setdefault(name.topic, {})[name.partition] = target
    return plan


def check_target(
    topic: Topic,
    number: int,
    target: Sequence[BrokerId],
    deletions: Collection[str],
    live: Collection[BrokerId],
) -> None:
    """Refuse to move an existing partition where it cannot go; the texts are Kafka's.

    Raises:
        UnknownTopicOrPartitionError: its topic is being deleted.
        InvalidReplicaAssignmentError: nobody is named, or somebody twice, or a broker that does
            not live and has no replica.
    """
    if topic.name in deletions:
        raise UnknownTopicOrPartitionError("The topic is being deleted.")
    if not target:
        raise InvalidReplicaAssignmentError(
            "Empty replica list specified in partition reassignment."
        )
    if len(set(target)) < len(target):
        raise InvalidReplicaAssignmentError(
            f"Duplicate replica ids in partition reassignment replica list: {_listed(target)}"
        )
    dead = set(target).difference(live)
    if not dead <= set(topic.assignment[number]):
        raise InvalidReplicaAssignmentError(
            f"Replica assignment has brokers that are not alive. Replica list: "
            f"{_listed(target)}, live broker list: {_listed(sorted(live))}"
        )


def _listed(brokers: Sequence[BrokerId]) -> str:
    return ",".join(map(str, brokers))
