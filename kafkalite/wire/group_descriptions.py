"""What brokers answer about consumer groups, in JSON; see `admin_messages.py`."""

import msgspec

from kafkalite.wire.group_messages import TopicPartitions


class GroupSummary(msgspec.Struct, frozen=True):
    """A group in a list."""

    group: str
    state: str
    """Empty, Assigning, Reconciling, Stable, Dead; or Unknown while its coordinator cannot be
    asked."""
    assignor: str
    """Empty: it has no members."""
    member_count: int
    coordinator_id: int
    """-1 while there is none."""


class GroupList(msgspec.Struct, frozen=True):
    """All groups, by name."""

    groups: list[GroupSummary]


class GroupCoordinatorPlace(msgspec.Struct, frozen=True):
    """The broker that coordinates a group."""

    id: int
    host: str
    port: int
    url: str


class GroupMember(msgspec.Struct, frozen=True):
    """A member of a group."""

    member_id: str
    instance_id: str | None
    """Of a static member."""
    client_id: str
    host: str
    rack: str | None
    member_epoch: int
    topics: list[str]
    """That it subscribes to."""
    pattern: str | None
    assignor: str
    """The one that it would have."""
    session_timeout_ms: int
    assignment: list[TopicPartitions]
    """What it may consume."""
    revoking: list[TopicPartitions]
    """What it may still be consuming, but shall let go."""
    pending: list[TopicPartitions]
    """What it will get once others have let go."""


class GroupOffset(msgspec.Struct, frozen=True):
    """How far a group is in a partition, and who consumes it."""

    topic: str
    partition: int
    committed_offset: int | None
    """Of the next record to read; null where nothing was committed."""
    leader_epoch: int | None
    metadata: str | None
    log_start_offset: int | None
    """null where the partition's leader cannot be asked."""
    high_watermark: int | None
    lag: int | None
    """Records that are not dealt with yet; null where one of the offsets is not known."""
    member_id: str | None
    """Whose it is, if anybody's."""
    client_id: str | None
    host: str | None


class GroupDescription(msgspec.Struct, frozen=True):
    """A group, its members, and how far it is."""

    group: str
    state: str
    group_epoch: int
    assignor: str
    coordinator: GroupCoordinatorPlace
    members: list[GroupMember]
    offsets: list[GroupOffset]
    """Of all partitions that are assigned to somebody, or have a committed offset."""


class ResetOffset(msgspec.Struct, frozen=True):
    """What a reset does to one partition."""

    topic: str
    partition: int
    before: int | None
    """The committed offset until then."""
    offset: int
    warning: str
    """Why it is another offset than was asked for; mostly empty."""


class OffsetResetResult(msgspec.Struct, frozen=True):
    """New offsets of a group: committed, or what would be where `dry_run` is true."""

    group: str
    dry_run: bool
    offsets: list[ResetOffset]
