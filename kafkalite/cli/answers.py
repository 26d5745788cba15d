"""What brokers answer to administrative requests, as far as the commands read it."""

import msgspec


class PartitionDescription(msgspec.Struct, frozen=True):
    """One partition of a topic; `leader` is -1 while it is offline."""

    partition: int
    leader: int
    replicas: list[int]
    isr: list[int]
    leader_epoch: int = -1
    adding_replicas: list[int] = []
    removing_replicas: list[int] = []

    @property
    def is_moving(self) -> bool:
        """Whether its reassignment is in progress."""
        return bool(self.adding_replicas or self.removing_replicas)


class TopicDescription(msgspec.Struct, frozen=True):
    """A topic with its partitions, in their order; `config` holds its overrides only."""

    name: str
    topic_id: str
    partition_count: int
    replication_factor: int
    config: dict[str, str]
    partitions: list[PartitionDescription]


class TopicSummary(msgspec.Struct, frozen=True):
    """A topic as it is listed."""

    name: str
    topic_id: str
    partition_count: int
    replication_factor: int
    config: dict[str, str]


class TopicList(msgspec.Struct, frozen=True):
    """All topics, sorted by name."""

    topics: list[TopicSummary]


class BrokerDescription(msgspec.Struct, frozen=True):
    """One broker of the cluster and where its HTTP lives."""

    id: int
    url: str


class ClusterDescription(msgspec.Struct, frozen=True):
    """The brokers of the cluster."""

    cluster_id: str
    brokers: list[BrokerDescription]


class ConfigSynonym(msgspec.Struct, frozen=True):
    """One of the places that a setting's value can come from; the first one wins."""

    source: str
    name: str
    value: str | None


class ConfigDescription(msgspec.Struct, frozen=True):
    """One setting of a topic or broker."""

    name: str
    value: str | None
    source: str
    sensitive: bool = False
    synonyms: list[ConfigSynonym] = []


class ConfigList(msgspec.Struct, frozen=True):
    """Settings of one topic or broker."""

    config: list[ConfigDescription]


class FoundOffset(msgspec.Struct, frozen=True):
    """Where a partition stands at some time; -1 where there is no such offset."""

    offset: int
    timestamp: int = -1


class LowWatermark(msgspec.Struct, frozen=True):
    """The first offset left after older records were deleted."""

    low_watermark: int


class BrokerHealth(msgspec.Struct, frozen=True):
    """A broker's share; one without a URL does not live."""

    id: int
    url: str | None
    leaders: int
    replicas: int
    in_sync: int
    last_url: str | None = None
    """Where it was last."""


class PartitionsInTrouble(msgspec.Struct, frozen=True):
    """How many partitions something is wrong with, and the first of them."""

    count: int
    examples: list[str]


class ClusterHealth(msgspec.Struct, frozen=True):
    """The cluster in a few numbers; `controller` is -1 while there is none."""

    cluster_id: str
    controller: int
    brokers: list[BrokerHealth]
    topics: int
    partitions: int
    offline: PartitionsInTrouble
    under_replicated: PartitionsInTrouble
    under_min_isr: PartitionsInTrouble
    reassignments: int


class PartitionAssignment(msgspec.Struct, frozen=True):
    """The brokers of a partition, the preferred leader first."""

    topic: str
    partition: int
    replicas: list[int]


class AssignmentProposal(msgspec.Struct, frozen=True):
    """Where partitions are, and where they could be."""

    current: list[PartitionAssignment]
    proposed: list[PartitionAssignment]


class Reassignment(msgspec.Struct, frozen=True):
    """A partition on the move."""

    topic: str
    partition: int
    replicas: list[int]
    adding_replicas: list[int]
    removing_replicas: list[int]


class ReassignmentList(msgspec.Struct, frozen=True):
    """Partitions on the move, by name."""

    reassignments: list[Reassignment]


class PartitionOutcome(msgspec.Struct, frozen=True):
    """What became of a request about one partition; `error` is empty where it is done."""

    topic: str
    partition: int
    error: str
    message: str


class PartitionOutcomes(msgspec.Struct, frozen=True):
    """What became of each partition."""

    results: list[PartitionOutcome]


class ReplicaDescription(msgspec.Struct, frozen=True):
    """A replica in a log directory."""

    topic: str
    partition: int
    size: int
    offset_lag: int
    is_future: bool


class LogDirDescription(msgspec.Struct, frozen=True):
    """A log directory; sizes of its file system are -1 where they are not known."""

    path: str
    error: str | None
    total_bytes: int
    usable_bytes: int
    partitions: list[ReplicaDescription]


class LogDirList(msgspec.Struct, frozen=True):
    """The log directories of a broker."""

    broker: int
    log_dirs: list[LogDirDescription]


class Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457) with Kafka's error name."""

    error: str
    detail: str = ""
