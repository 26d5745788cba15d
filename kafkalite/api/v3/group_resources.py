"""Consumer groups as resources: their consumers, what each has, and how far they are."""

from typing import Final

from kafkalite.api.v3.links import Document, Links
from kafkalite.model.ids import NO_LEADER
from kafkalite.wire.group_descriptions import (
    GroupDescription,
    GroupMember,
    GroupOffset,
    GroupSummary,
)

_STATES: Final = {
    "Empty": "EMPTY",
    "Assigning": "PREPARING_REBALANCE",
    "Reconciling": "COMPLETING_REBALANCE",
    "Stable": "STABLE",
    "Dead": "DEAD",
}


def group_of(links: Links, found: GroupSummary) -> Document:
    """A group."""
    where = ("consumer-groups", found.group)
    has_coordinator = found.coordinator_id != NO_LEADER
    return links.resource(
        "KafkaConsumerGroup",
        where,
        (("consumer-group", found.group),),
        {
            "consumer_group_id": found.group,
            "is_simple": not found.member_count,
            "partition_assignor": found.assignor,
            "state": _STATES.get(found.state, "UNKNOWN"),
            "type": "CONSUMER",
            "is_mixed_consumer_group": False,
            "coordinator": (
                links.related("brokers", found.coordinator_id) if has_coordinator else None
            ),
            "consumers": links.related(*where, "consumers"),
            "lag_summary": links.related(*where, "lag-summary"),
        },
    )


def summary_of(found: GroupDescription) -> GroupSummary:
    """What a list says of a group that was described."""
    return GroupSummary(
        found.group, found.state, found.assignor, len(found.members), found.coordinator.id
    )


def consumer_of(links: Links, group: str, member: GroupMember) -> Document:
    """A member of a group."""
    where = ("consumer-groups", group, "consumers", member.member_id)
    return links.resource(
        "KafkaConsumer",
        where,
        (("consumer-group", group), ("consumer", member.member_id)),
        {
            "consumer_group_id": group,
            "consumer_id": member.member_id,
            "instance_id": member.instance_id,
            "client_id": member.client_id,
            "assignments": links.related(*where, "assignments"),
        },
    )


def assignments_of(links: Links, group: str, member: GroupMember) -> list[Document]:
    """What a member may consume."""
    return [
        _assignment(links, group, member.member_id, entry.topic, number)
        for entry in member.assignment
        for number in entry.partitions
    ]


def _assignment(links: Links, group: str, consumer: str, topic: str, number: int) -> Document:
    of_group = ("consumer-groups", group)
    place = (topic, "partitions", number)
    return links.resource(
        "KafkaConsumerAssignment",
        (*of_group, "consumers", consumer, "assignments", *place),
        (
            ("consumer-group", group),
            ("consumer", consumer),
            ("assignment", topic),
            ("partition", number),
        ),
        {
            "consumer_group_id": group,
            "consumer_id": consumer,
            "topic_name": topic,
            "partition_id": number,
            "partition": links.related("topics", *place),
            "lag": links.related(*of_group, "lags", *place),
        },
    )


def lag_of(links: Links, found: GroupDescription, offset: GroupOffset) -> Document:
    """How far a group is in a partition; what is not known of it is null."""
    instances = {member.member_id: member.instance_id for member in found.members}
    return links.resource(
        "KafkaConsumerLag",
        ("consumer-groups", found.group, "lags", offset.topic, "partitions", offset.partition),
        (
            ("consumer-group", found.group),
            ("lag", offset.topic),
            ("partition", offset.partition),
        ),
        {
            "consumer_group_id": found.group,
            "topic_name": offset.topic,
            "partition_id": offset.partition,
            "current_offset": offset.committed_offset,
            "log_end_offset": offset.high_watermark,
            "lag": offset.lag,
            "consumer_id": offset.member_id or "",
            "instance_id": instances.get(offset.member_id or ""),
            "client_id": offset.client_id or "",
        },
    )


def lag_summary_of(links: Links, found: GroupDescription, most: GroupOffset) -> Document:
    """How far a group is altogether; `most` is where it lags most."""
    where = ("consumer-groups", found.group)
    lag = lag_of(links, found, most)
    consumer = [most.member_id] if most.member_id else []
    known = [offset.lag for offset in found.offsets if offset.lag is not None]
    return links.resource(
        "KafkaConsumerGroupLagSummary",
        (*where, "lag-summary"),
        (("consumer-group", found.group), "lag-summary"),
        {
            "consumer_group_id": found.group,
            "max_lag_consumer_id": lag["consumer_id"],
            "max_lag_instance_id": lag["instance_id"],
            "max_lag_client_id": lag["client_id"],
            "max_lag_topic_name": most.topic,
            "max_lag_partition_id": most.partition,
            "max_lag": max(known, default=0),
            "total_lag": sum(known),
            # Never null, which typed clients do not take: to all where no member has it.
            "max_lag_consumer": links.related(*where, "consumers", *consumer),
            "max_lag_partition": links.related("topics", most.topic, "partitions", most.partition),
        },
    )
