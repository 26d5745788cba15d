"""How the cluster is, in a few numbers, as one broker's view shows it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, TopicPartition


@dataclass(slots=True)
class BrokerLoad:
    """What one broker holds; it may be one that does not live."""

    leaders: int = 0
    replicas: int = 0
    in_sync: int = 0


@dataclass(slots=True)
class ClusterHealth:
    """Counts, and the partitions that something is wrong with, each in the order of names."""

    topics: int = 0
    partitions: int = 0
    moving: int = 0
    """Partitions whose reassignment is in progress."""
    brokers: dict[BrokerId, BrokerLoad] = field(default_factory=dict)
    """All that live, and all that partitions are assigned to."""
    offline: list[TopicPartition] = field(default_factory=list)
    """Without a leader that lives."""
    under_replicated: list[TopicPartition] = field(default_factory=list)
    """With fewer replicas in sync than they shall have."""
    under_min_isr: list[TopicPartition] = field(default_factory=list)
    """With fewer in sync than min.insync.replicas: acks=all is refused."""


class Cluster(Protocol):
    """What there is: a MetadataView, or what one held at a moment."""

    @property
    def brokers(self) -> Mapping[BrokerId, Broker]: ...

    @property
    def topics(self) -> Mapping[str, Topic]: ...

    @property
    def states(self) -> Mapping[TopicPartition, PartitionState]: ...


def assess(view: Cluster, min_isr: Callable[[Topic], int]) -> ClusterHealth:
    """Look at everything; `min_isr` is min.insync.replicas as it is in force for a topic."""
    health = ClusterHealth(brokers={broker: BrokerLoad() for broker in view.brokers})
    for name in sorted(view.topics):
        topic = view.topics[name]
        health.topics += 1
        health.moving += len(topic.moving)
        least = min_isr(topic)
        for number in sorted(topic.assignment):
            _count(health, view, topic, number, least)
    health.brokers = dict(sorted(health.brokers.items()))
    return health


def _count(health: ClusterHealth, view: Cluster, topic: Topic, number: int, min_isr: int) -> None:
    partition = TopicPartition(topic.name, number)
    state = view.states.get(partition)
    isr = () if state is None else state.isr
    replicas = topic.assignment[number]
    health.partitions += 1
    for replica in replicas:
        load = health.brokers.setdefault(replica, BrokerLoad())
        load.replicas += 1
        load.in_sync += replica in isr
    if state is None or state.leader not in view.brokers:
        health.offline.append(partition)
    else:
        health.brokers.setdefault(state.leader, BrokerLoad()).leaders += 1
    # Who is only on the way to become a replica is not missed yet.
    if len(isr) < len(replicas) - len(topic.adding.get(number, ())):
        health.under_replicated.append(partition)
    if len(isr) < min_isr:
        health.under_min_isr.append(partition)
