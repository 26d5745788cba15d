"""The cluster as ZooKeeper describes it: immutable values, no behaviour beyond look-ups."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch, TopicId


@dataclass(frozen=True, slots=True)
class Broker:
    """One registered broker."""

    id: BrokerId
    host: str
    port: int
    rack: str | None = None
    epoch: int = -1
    """czxid of the registration: a restarted broker is a new incarnation."""
    timestamp_ms: int = 0
    """When it registered, wall clock."""

    @property
    def url(self) -> str:
        """Where its HTTP API lives."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's assignment and its own configuration (overrides only)."""

    name: str
    topic_id: TopicId
    assignment: Mapping[int, tuple[BrokerId, ...]]
    """Partition -> assigned replicas; the first is the preferred leader.

    While a partition moves: those that it moves to, then those that it leaves.
    """
    config: Mapping[str, str] = field(default_factory=dict)
    adding: Mapping[int, tuple[BrokerId, ...]] = field(default_factory=dict)
    """Partition that moves -> those of its replicas that it did not have before."""
    removing: Mapping[int, tuple[BrokerId, ...]] = field(default_factory=dict)
    """Partition that moves -> those of its replicas that it will not have afterwards."""

    @property
    def partition_count(self) -> int:
        return len(self.assignment)

    @property
    def replication_factor(self) -> int:
        """Replicas of the first partition, without those that are only being added."""
        if not self.assignment:
            return 0
        return len(self.assignment[0]) - len(self.adding.get(0, ()))

    @property
    def moving(self) -> frozenset[int]:
        """The partitions whose reassignment is in progress."""
        return frozenset(self.adding.keys() | self.removing.keys())

    def target(self, number: int) -> tuple[BrokerId, ...]:
        """The replicas that a partition has once its reassignment, if there is one, is done."""
        leaving = self.removing.get(number, ())
        return tuple(replica for replica in self.assignment[number] if replica not in leaving)


@dataclass(frozen=True, slots=True)
class PartitionState:
    """Who leads a partition.

    The truth lives in the state znode; every change is a compare-and-set on its version.
    """

    leader: BrokerId
    """Leader's id, or NO_LEADER while the partition is offline."""
    leader_epoch: LeaderEpoch
    """Raised at each leader change; stamped in batches; older ones are refused."""
    isr: tuple[BrokerId, ...]
    controller_epoch: ControllerEpoch
    version: int = 0
    """Version of the state znode that these values were read from or written as."""

    @property
    def is_offline(self) -> bool:
        return self.leader == NO_LEADER
