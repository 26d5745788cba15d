"""What brokers answer to administrative requests, in JSON; groups have `group_descriptions.py`.

Structs of msgspec and not pydantic's models, because nothing is validated on the way out, and
clients must not have to import pydantic: declaring and encoding them costs next to nothing.
"""

from collections.abc import Mapping

import msgspec


class TopicSummary(msgspec.Struct, frozen=True):
    """A topic in a list."""

    name: str
    topic_id: str
    partition_count: int
    replication_factor: int
    config: Mapping[str, str]
    """Overrides only."""


class TopicList(msgspec.Struct, frozen=True):
    """All topics, by name."""

    topics: list[TopicSummary]


class PartitionDescription(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who holds a partition."""

    partition: int
    leader: int
    """-1 while there is none."""
    leader_epoch: int
    replicas: list[int]
    """Assigned brokers; the first is the preferred leader."""
    isr: list[int]
    """Those of them that are in sync."""
    adding_replicas: list[int] = []
    """While it moves: the replicas that it gains."""
    removing_replicas: list[int] = []
    """While it moves: the replicas that it loses."""


class TopicDescription(msgspec.Struct, frozen=True):
    """A topic and its partitions."""

    name: str
    topic_id: str
    partition_count: int
    replication_factor: int
    config: Mapping[str, str]
    """Overrides only."""
    partitions: list[PartitionDescription]


class ConfigSynonym(msgspec.Struct, frozen=True):
    """A place that sets the value, the strongest first."""

    source: str
    name: str
    value: str | None


class ConfigDescription(msgspec.Struct, frozen=True):
    """A setting, its value, and where that comes from."""

    name: str
    value: str | None
    source: str
    sensitive: bool
    synonyms: list[ConfigSynonym]
    doc: str


class ConfigList(msgspec.Struct, frozen=True):
    """Settings by name."""

    config: list[ConfigDescription]


class PartitionOffsets(msgspec.Struct, frozen=True):
    """Where a partition stands; every end is exclusive."""

    topic: str
    partition: int
    log_start_offset: int
    high_watermark: int
    """Consumers read below it."""
    log_end_offset: int
    leader_epoch: int


class FoundOffset(msgspec.Struct, frozen=True):
    """The answer to `?at=`; offset and timestamp are -1 where nothing fits."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    leader_epoch: int


class DeletedRecords(msgspec.Struct, frozen=True):
    """The first offset that is left."""

    topic: str
    partition: int
    low_watermark: int


class BrokerDescription(msgspec.Struct, frozen=True):
    """A live broker."""

    id: int
    host: str
    port: int
    url: str
    rack: str | None
    epoch: int
    """Grows with each registration."""
    controller: bool


class BrokerList(msgspec.Struct, frozen=True):
    """Live brokers by id."""

    brokers: list[BrokerDescription]


class ClusterDescription(msgspec.Struct, frozen=True):
    """The cluster as this broker sees it."""

    cluster_id: str
    controller: int
    """-1 while there is none."""
    broker_id: int
    """The one that answers."""
    brokers: list[BrokerDescription]
    version: str


class BrokerHealth(msgspec.Struct, frozen=True):
    """A broker's share, also of one that does not live but is missed."""

    id: int
    url: str | None
    """None: it does not live."""
    leaders: int
    replicas: int
    in_sync: int
    """Those of its replicas that are in sync."""
    last_url: str | None
    """Where it is, or was when the broker that answers last saw it; None: that never saw it."""


class PartitionsInTrouble(msgspec.Struct, frozen=True):
    """How many partitions something is wrong with, and the first of them."""

    count: int
    examples: list[str]
    """As `topic-partition`."""


class ClusterHealth(msgspec.Struct, frozen=True):
    """How the cluster is, in a few numbers."""

    cluster_id: str
    controller: int
    """-1 while there is none."""
    brokers: list[BrokerHealth]
    topics: int
    partitions: int
    offline: PartitionsInTrouble
    """Without a leader: neither read nor written."""
    under_replicated: PartitionsInTrouble
    """With fewer replicas in sync than they shall have."""
    under_min_isr: PartitionsInTrouble
    """With fewer in sync than min.insync.replicas: acks=all is refused."""
    reassignments: int
    """Partitions that are on the move."""


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
    """Where it goes, then what it leaves."""
    adding_replicas: list[int]
    removing_replicas: list[int]


class ReassignmentList(msgspec.Struct, frozen=True):
    """Partitions on the move, by name."""

    reassignments: list[Reassignment]


class PartitionOutcome(msgspec.Struct, frozen=True):
    """What became of a request about one partition."""

    topic: str
    partition: int
    error_code: int = 0
    """0: it is done."""
    error: str = ""
    message: str = ""


class PartitionOutcomes(msgspec.Struct, frozen=True):
    """What became of each partition."""

    results: list[PartitionOutcome]


class ReplicaDescription(msgspec.Struct, frozen=True):
    """A replica in a log directory."""

    topic: str
    partition: int
    size: int
    """Bytes, without indexes."""
    offset_lag: int
    """By how much its end is behind the high watermark that it knows of."""
    is_future: bool = False
    """Whether it is being moved there from another directory; never yet."""


class LogDirDescription(msgspec.Struct, frozen=True):
    """A log directory."""

    path: str
    error: str | None
    """Kafka's name of the error when it has failed."""
    message: str
    total_bytes: int
    """Of its file system; -1 where that is not known."""
    usable_bytes: int
    partitions: list[ReplicaDescription]


class LogDirList(msgspec.Struct, frozen=True):
    """The log directories of a broker, as log.dirs has them."""

    broker: int
    log_dirs: list[LogDirDescription]
