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
    """Partition -> assigned replicas; the first is the preferred leader."""
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def partition_count(self) -> int:
        return len(self.assignment)

    @property
    def replication_factor(self) -> int:
        return len(self.assignment[0]) if self.assignment else 0


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
