"""`topics --describe`: a line a topic and a line a partition, and the filters on them."""

from collections.abc import Collection, Iterable
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.model.errors import UnknownTopicOrPartitionError
from kafkalite.wire.admin_messages import PartitionDescription, TopicDescription

_UNAVAILABLE: Final = "unavailable-partitions"
_MIN_ISR_KEY: Final = "min.insync.replicas"

PARTITION_FILTERS: Final = (
    "under-replicated-partitions",
    _UNAVAILABLE,
    "under-min-isr-partitions",
    "at-min-isr-partitions",
)


def describe_topics(admin: Administration, names: Iterable[str], shown: str | None) -> None:
    """Print topics as kafka-topics does.

    `shown` is one of PARTITION_FILTERS (only such partitions, without the lines of the topics),
    `topics-with-overrides` (only such topics, without their partitions), or None for everything.
    """
    for name in names:
        try:
            topic = admin.describe_topic(name)
        except UnknownTopicOrPartitionError:
            continue  # deleted since it was listed
        if shown is None:
            print(_topic_line(topic))
            for partition in topic.partitions:
                print(_partition_line(name, partition))
        elif shown == "topics-with-overrides":
            if topic.config:
                print(_topic_line(topic))
        else:
            min_isr = _min_isr(admin, name) if "min-isr" in shown else 0
            live = _live(admin) if shown == _UNAVAILABLE else ()
            for partition in topic.partitions:
                if _is_shown(partition, shown, min_isr, live):
                    print(_partition_line(name, partition))


def _is_shown(
    partition: PartitionDescription, shown: str, min_isr: int, live: Collection[int]
) -> bool:
    in_sync = len(partition.isr)
    if shown == "under-replicated-partitions":
        # Who is only on the way to become a replica is not missed yet.
        return in_sync < len(partition.replicas) - len(partition.adding_replicas)
    if shown == _UNAVAILABLE:
        return partition.leader not in live
    if shown == "under-min-isr-partitions":
        return in_sync < min_isr
    return in_sync == min_isr


def _min_isr(admin: Administration, name: str) -> int:
    for entry in admin.describe_topic_config(name, include_all=True):
        if entry.name == _MIN_ISR_KEY and entry.value is not None:
            return int(entry.value)
    return 1


def _live(admin: Administration) -> set[int]:
    return {broker.id for broker in admin.describe_cluster().brokers}


def _topic_line(topic: TopicDescription) -> str:
    configs = ",".join(f"{key}={value}" for key, value in sorted(topic.config.items()))
    return (
        f"Topic: {topic.name}\tTopicId: {topic.topic_id}\tPartitionCount: {topic.partition_count}"
        f"\tReplicationFactor: {topic.replication_factor}\tConfigs: {configs}"
    )


def _partition_line(topic: str, partition: PartitionDescription) -> str:
    leader = "none" if partition.leader < 0 else str(partition.leader)
    moving = ""
    if partition.adding_replicas or partition.removing_replicas:
        moving = (
            f"\tAdding Replicas: {_ids(partition.adding_replicas)}"
            f"\tRemoving Replicas: {_ids(partition.removing_replicas)}"
        )
    return (
        f"\tTopic: {topic}\tPartition: {partition.partition}\tLeader: {leader}"
        f"\tReplicas: {_ids(partition.replicas)}\tIsr: {_ids(partition.isr)}{moving}"
    )


def _ids(brokers: list[int]) -> str:
    return ",".join(map(str, brokers))
