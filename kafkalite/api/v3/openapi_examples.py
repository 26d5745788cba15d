"""One of each resource, made as those that are answered, for the OpenAPI document."""

from typing import Final

from kafkalite.api.v3.group_resources import (
    assignments_of,
    consumer_of,
    group_of,
    lag_of,
    lag_summary_of,
    summary_of,
)
from kafkalite.api.v3.links import Document, Links
from kafkalite.api.v3.resources import (
    broker_of,
    cluster_of,
    config_of,
    partition_of,
    partition_with_offsets_of,
    replica_of,
    topic_of,
)
from kafkalite.config.broker_config import DEFAULT, ConfigEntry, ConfigSynonym
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId
from kafkalite.model.offsets import OffsetRange
from kafkalite.wire.group_descriptions import (
    GroupCoordinatorPlace,
    GroupDescription,
    GroupMember,
    GroupOffset,
)
from kafkalite.wire.group_messages import TopicPartitions

CLUSTER_ID: Final = "dGVzdC1jbHVzdGVyLTAwMQ"

_LINKS: Final = Links("http://localhost:9092/v3", CLUSTER_ID)
_BROKER: Final = BrokerId(0)
_TOPIC: Final = Topic("flights", TopicId("BQUGVf7uRRigq8XGvHFxKA"), {0: (_BROKER,)})
_STATE: Final = PartitionState(_BROKER, LeaderEpoch(0), (_BROKER,), ControllerEpoch(1))
_CONFIG: Final = ConfigEntry(
    "retention.ms",
    "86400000",
    "DYNAMIC_TOPIC_CONFIG",
    (
        ConfigSynonym("DYNAMIC_TOPIC_CONFIG", "retention.ms", "86400000"),
        ConfigSynonym(DEFAULT, "log.retention.hours", "168"),
    ),
    "",
)
_MEMBER: Final = GroupMember(
    "m-1", None, "board", "127.0.0.1", None, 1, ["flights"], None, "uniform", 45_000,
    [TopicPartitions("flights", [0])], [], [],
)  # fmt: skip
_OFFSET: Final = GroupOffset(
    "flights", 0, 1, 0, "", 0, 101, 100, _MEMBER.member_id, _MEMBER.client_id, _MEMBER.host
)
_GROUP: Final = GroupDescription(
    "boards",
    "Stable",
    1,
    "uniform",
    GroupCoordinatorPlace(0, "localhost", 9092, "http://localhost:9092"),
    [_MEMBER],
    [_OFFSET],
)
_PARTITION: Final = partition_of(_LINKS, _TOPIC, 0, _STATE)

RESOURCES: Final[dict[str, Document]] = {
    each["kind"]: each
    for each in (
        cluster_of(_LINKS, _BROKER),
        broker_of(_LINKS, Broker(_BROKER, "localhost", 9092)),
        topic_of(_LINKS, _TOPIC),
        _PARTITION,
        partition_with_offsets_of(_PARTITION, OffsetRange(0, 101)),
        replica_of(_LINKS, _TOPIC, 0, _BROKER, _STATE),
        config_of(_LINKS, _TOPIC, _CONFIG),
        group_of(_LINKS, summary_of(_GROUP)),
        consumer_of(_LINKS, _GROUP.group, _MEMBER),
        *assignments_of(_LINKS, _GROUP.group, _MEMBER),
        lag_of(_LINKS, _GROUP, _OFFSET),
        lag_summary_of(_LINKS, _GROUP, _OFFSET),
    )
}
"""By kind."""
