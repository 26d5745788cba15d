"""The cluster, its brokers and its topics as resources."""

from kafkalite.api.v3.links import Document, Links
from kafkalite.config.broker_config import DEFAULT, ConfigEntry
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId
from kafkalite.model.internal_topics import INTERNAL_TOPICS
from kafkalite.model.offsets import OffsetRange


def cluster_of(links: Links, controller: BrokerId | None) -> Document:
    """The cluster."""
    return links.resource(
        "KafkaCluster",
        (),
        (),
        {
            "controller": None if controller is None else links.related("brokers", controller),
            "acls": links.related("acls"),
            "brokers": links.related("brokers"),
            "broker_configs": links.related("broker-configs"),
            "consumer_groups": links.related("consumer-groups"),
            "topics": links.related("topics"),
            "partition_reassignments": links.related(
                "topics", "-", "partitions", "-", "reassignment"
            ),
        },
    )


def broker_of(links: Links, broker: Broker) -> Document:
    """A live broker."""
    where = ("brokers", broker.id)
    return links.resource(
        "KafkaBroker",
        where,
        (("broker", broker.id),),
        {
            "broker_id": broker.id,
            "host": broker.host,
            "port": broker.port,
            "rack": broker.rack,
            "configs": links.related(*where, "configs"),
            "partition_replicas": links.related(*where, "partition-replicas"),
        },
    )


def topic_of(links: Links, topic: Topic) -> Document:
    """A topic."""
    where = ("topics", topic.name)
    return links.resource(
        "KafkaTopic",
        where,
        (("topic", topic.name),),
        {
            "topic_name": topic.name,
            "is_internal": topic.name in INTERNAL_TOPICS,
            "replication_factor": topic.replication_factor,
            "partitions_count": topic.partition_count,
            "partitions": links.related(*where, "partitions"),
            "configs": links.related(*where, "configs"),
            "partition_reassignments": links.related(*where, "partitions", "-", "reassignment"),
            "authorized_operations": [],
        },
    )


def partition_of(links: Links, topic: Topic, number: int, state: PartitionState | None) -> Document:
    """A partition."""
    where = ("topics", topic.name, "partitions", number)
    has_leader = state is not None and not state.is_offline
    return links.resource(
        "KafkaPartition",
        where,
        (("topic", topic.name), ("partition", number)),
        {
            "topic_name": topic.name,
            "partition_id": number,
            "leader": (
                links.related(*where, "replicas", state.leader) if state and has_leader else None
            ),
            "replicas": links.related(*where, "replicas"),
            "reassignment": links.related(*where, "reassignment"),
        },
    )


def partition_with_offsets_of(partition: Document, readable: OffsetRange) -> Document:
    """A partition, and where it begins and ends for consumers."""
    metadata = {**partition["metadata"], "self": f"{partition['metadata']['self']}/offset"}
    return {
        **partition,
        "kind": "KafkaPartitionWithOffsets",
        "metadata": metadata,
        "earliest_offset": readable.start,
        "latest_offset": readable.end,
    }


def replica_of(
    links: Links, topic: Topic, number: int, broker: BrokerId, state: PartitionState | None
) -> Document:
    """A replica of a partition."""
    return links.resource(
        "KafkaReplica",
        ("topics", topic.name, "partitions", number, "replicas", broker),
        (("topic", topic.name), ("partition", number), ("replica", broker)),
        {
            "topic_name": topic.name,
            "partition_id": number,
            "broker_id": broker,
            "is_leader": state is not None and state.leader == broker,
            "is_in_sync": state is not None and broker in state.isr,
            "broker": links.related("brokers", broker),
        },
    )


def config_of(links: Links, topic: Topic, entry: ConfigEntry) -> Document:
    """A setting of a topic."""
    return links.resource(
        "KafkaTopicConfig",
        ("topics", topic.name, "configs", entry.name),
        (("topic", topic.name), ("config", entry.name)),
        {
            "topic_name": topic.name,
            "name": entry.name,
            "value": entry.value,
            "is_default": entry.source == DEFAULT,
            "is_read_only": False,
            "is_sensitive": False,
            "source": entry.source,
            "synonyms": [
                {"name": each.name, "value": each.value, "source": each.source}
                for each in entry.synonyms
            ],
        },
    )
