"""What brokers answer about consumer groups, as far as the commands read it."""

import msgspec

from kafkalite.wire.group_messages import TopicPartitions


class GroupSummary(msgspec.Struct, frozen=True):
    """A group as it is listed."""

    group: str
    state: str


class GroupList(msgspec.Struct, frozen=True):
    """All groups, sorted by name."""

    groups: list[GroupSummary]


class GroupCoordinator(msgspec.Struct, frozen=True):
    """The broker that coordinates a group."""

    id: int
    host: str
    port: int


class GroupMember(msgspec.Struct, frozen=True):
    """A member of a group and what it consumes."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: list[TopicPartitions]


class GroupOffset(msgspec.Struct, frozen=True):
    """How far a group is in a partition; None where that is not known."""

    topic: str
    partition: int
    committed_offset: int | None
    high_watermark: int | None
    lag: int | None
    member_id: str | None
    client_id: str | None
    host: str | None


class GroupDescription(msgspec.Struct, frozen=True):
    """A group, its members, and how far it is."""

    group: str
    state: str
    assignor: str
    coordinator: GroupCoordinator
    members: list[GroupMember]
    offsets: list[GroupOffset]


class ResetOffset(msgspec.Struct, frozen=True):
    """What a reset does to one partition."""

    topic: str
    partition: int
    offset: int
    warning: str


class OffsetResetResult(msgspec.Struct, frozen=True):
    """The new offsets of a group."""

    offsets: list[ResetOffset]
