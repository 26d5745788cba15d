"""A group as it is described: members, what each has, and how far all of it is read."""

from collections.abc import Iterable, Mapping

from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.groups import description
from kafkalite.groups.state import Member
from kafkalite.model import cluster
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.wire.group_descriptions import (
    GroupCoordinatorPlace,
    GroupDescription,
    GroupMember,
    GroupOffset,
)
from kafkalite.wire.group_messages import TopicPartitions


def by_topic(partitions: Iterable[TopicPartition]) -> list[TopicPartitions]:
    """Partitions as messages name them, sorted."""
    numbers: dict[str, list[int]] = {}
    for topic, number in sorted(partitions):
        numbers.setdefault(topic, []).append(number)
    return [TopicPartitions(topic, found) for topic, found in numbers.items()]


def described(
    group: str,
    found: description.GroupDescription,
    coordinator: cluster.Broker,
    committed: Mapping[TopicPartition, CommittedOffset],
    readable: Mapping[TopicPartition, OffsetRange | LogError],
) -> GroupDescription:
    """The answer about a group; `readable` is what its partitions hold, as far as that is known."""
    owners = {partition: member for member in found.members for partition in member.held}
    return GroupDescription(
        group=group,
        state=found.phase,
        group_epoch=found.epoch,
        assignor=found.assignor,
        coordinator=GroupCoordinatorPlace(
            coordinator.id, coordinator.host, coordinator.port, coordinator.url
        ),
        members=[_member(each) for each in found.members],
        offsets=[
            _offset(each, committed.get(each), readable.get(each), owners.get(each))
            for each in sorted(owners.keys() | committed.keys())
        ],
    )


def _member(member: Member) -> GroupMember:
    return GroupMember(
        member_id=member.id,
        instance_id=member.instance_id,
        client_id=member.client_id,
        host=member.host,
        rack=member.rack,
        member_epoch=member.epoch,
        topics=list(member.topics),
        pattern=member.pattern,
        assignor=member.assignor,
        session_timeout_ms=member.session_timeout_ms,
        assignment=by_topic(member.assignment),
        revoking=by_topic(member.to_release),
        pending=by_topic(member.target - member.held),
    )


def _offset(
    partition: TopicPartition,
    committed: CommittedOffset | None,
    readable: OffsetRange | LogError | None,
    owner: Member | None,
) -> GroupOffset:
    known = readable if isinstance(readable, OffsetRange) else None
    lag = None
    if known is not None and committed is not None:
        lag = max(known.end - committed.offset, 0)
    return GroupOffset(
        topic=partition.topic,
        partition=partition.partition,
        committed_offset=None if committed is None else committed.offset,
        leader_epoch=None if committed is None else committed.leader_epoch,
        metadata=None if committed is None else committed.metadata,
        log_start_offset=None if known is None else known.start,
        high_watermark=None if known is None else known.end,
        lag=lag,
        member_id=None if owner is None else owner.id,
        client_id=None if owner is None else owner.client_id,
        host=None if owner is None else owner.host,
    )
