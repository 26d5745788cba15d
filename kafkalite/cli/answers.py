"""What brokers answer to administrative requests, as far as the commands read it."""

import msgspec


class PartitionDescription(msgspec.Struct, frozen=True):
    """One partition of a topic; `leader` is -1 while it is offline."""

    partition: int
    leader: int
    replicas: list[int]
    isr: list[int]
    leader_epoch: int = -1


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


class Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457) with Kafka's error name."""

    error: str
    detail: str = ""
