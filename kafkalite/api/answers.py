"""What the control plane answers, as msgspec structs: they are what OpenAPI documents, too.

Structs and not pydantic models, because nothing is validated on the way out: declaring and encoding
them costs next to nothing. The control plane's requests are in `schemas.py`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from fastapi import Response


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


class PartitionDescription(msgspec.Struct, frozen=True):
    """Who holds a partition."""

    partition: int
    leader: int
    """-1 while there is none."""
    leader_epoch: int
    replicas: list[int]
    """Assigned brokers; the first is the preferred leader."""
    isr: list[int]
    """Those of them that are in sync."""


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


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the process lives, or may be sent requests."""

    status: str
    reasons: list[str] = []


ANSWERS: Final[tuple[type[msgspec.Struct], ...]] = (
    TopicList,
    TopicDescription,
    ConfigList,
    PartitionOffsets,
    FoundOffset,
    DeletedRecords,
    BrokerList,
    BrokerDescription,
    ClusterDescription,
    Health,
)
"""The roots that the OpenAPI document has schemas for."""


def answer(
    document: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response with `document`."""
    return Response(msgspec.json.encode(document), status, headers, "application/json")
