"""Bodies of the group protocol: `/v1/groups/G/heartbeat` and `/v1/groups/G/offsets`.

As JSON or as msgpack maps, whichever the client likes. A request that is refused as a whole is
answered with a problem document; what concerns one partition is in its result, where `error_code`
0 means that all is well.

One heartbeat does everything that a member has to say: `member_epoch` JOINING joins, LEAVING
leaves, LEAVING_FOR_A_WHILE leaves the place of a static member free for its session timeout, and
the epoch of the last answer keeps the membership alive. What it does not say (None) stays as it
was.

Field names that nobody knows are refused: a misspelt one would be taken for one left out.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kafkalite.model.ids import NO_EPOCH
from kafkalite.wire.messages import MAX_WAIT_MS

JOINING: Final = 0
LEAVING: Final = -1
LEAVING_FOR_A_WHILE: Final = -2

NO_MEMBER: Final = ""
"""The member id of somebody who commits offsets of a group without members."""
NO_MEMBER_EPOCH: Final = -1
"""The member epoch that goes with it."""

MAX_NAMES: Final = 10_000
"""Topics in one request."""
MAX_PARTITIONS: Final = 100_000
"""Partitions of one topic in one request."""
MAX_COMMITS: Final = 10_000
"""Offsets in one request; more are committed with another one."""
MAX_METADATA_BYTES: Final = 4096
"""Of the metadata of one committed offset, as UTF-8."""

_Text = Annotated[str, Meta(max_length=256)]
_Topic = Annotated[str, Meta(min_length=1, max_length=249)]
_Pattern = Annotated[str, Meta(max_length=1024)]
_Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Epoch = Annotated[int, Meta(ge=-2, le=2**63 - 1)]
_Timeout = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class TopicPartitions(msgspec.Struct, frozen=True):
    """Partitions of one topic."""

    topic: _Topic
    partitions: Annotated[list[_Number], Meta(max_length=MAX_PARTITIONS)]


class HeartbeatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a member says of itself; who joins says all of it, later only what changed."""

    member_id: _Text = ""
    """Its own choice when it joins, or the coordinator's where it is empty."""
    member_epoch: _Epoch = JOINING
    """0 joins, -1 leaves, -2 leaves for a while (static members), else that of the last answer."""
    instance_id: _Text | None = None
    """A static member's name for ever: who joins with it takes the place of who had it."""
    client_id: _Text = ""
    rack: _Text | None = None
    topics: Annotated[list[_Topic], Meta(max_length=MAX_NAMES)] | None = None
    """Names of topics to consume."""
    pattern: _Pattern | None = None
    """A regular expression (RE2): of topics whose whole name matches, too. Empty: none any more."""
    assignor: _Text | None = None
    """`range`, `roundrobin`, `sticky`, or one that the brokers were given."""
    session_timeout_ms: _Timeout | None = None
    """After so long without a heartbeat it is out."""
    rebalance_timeout_ms: _Timeout | None = None
    """How long it may take to let partitions go once it was told so."""
    owned: Annotated[list[TopicPartitions], Meta(max_length=MAX_NAMES)] | None = None
    """What it consumes now. Leaving out what is not in the assignment any more is what lets others
    have it: so only after its offsets are committed."""
    max_wait_ms: Annotated[int, Meta(ge=0, le=MAX_WAIT_MS)] = 0
    """How long to wait for news; 0 answers at once."""


class HeartbeatResponse(msgspec.Struct, frozen=True):
    """What a member is, and what it has."""

    member_id: str
    member_epoch: int
    """To be sent with the next heartbeat, and with every commit."""
    heartbeat_interval_ms: int
    """When to send the next one at the latest, counted from this answer."""
    group_epoch: int
    """Grows with every change of members, subscriptions or partitions."""
    state: str
    """Of the group: Empty, Assigning, Reconciling, Stable or Dead."""
    assignment: list[TopicPartitions]
    """All that it may consume. Whatever else it owns it shall let go, and say so."""
    coordinator_id: int
    coordinator_url: str
    """Where heartbeats and commits need not be sent on; any other broker takes them too."""


class OffsetToCommit(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Where one partition shall be read on."""

    topic: _Topic
    partition: _Number
    offset: _Offset
    """Of the next record to read: one more than that of the last one that was dealt with."""
    leader_epoch: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = NO_EPOCH
    """Of the last record that was dealt with; -1 where it is not known."""
    metadata: str = ""
    """Anything that the consumer wants to find again, up to 4096 bytes."""


class OffsetCommitRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commits offsets: of a member, or without one of a group that has no members."""

    offsets: Annotated[list[OffsetToCommit], Meta(max_length=MAX_COMMITS)]
    member_id: _Text = NO_MEMBER
    member_epoch: _Epoch = NO_MEMBER_EPOCH


class OffsetCommitResult(msgspec.Struct, frozen=True, gc=False):
    """What became of the offset of one partition; one result for each entry, in order."""

    topic: str
    partition: int
    error_code: int = 0
    error: str = ""
    message: str = ""


class OffsetCommitResponse(msgspec.Struct, frozen=True):
    """Answers an OffsetCommitRequest."""

    results: list[OffsetCommitResult]


class CommittedPartition(msgspec.Struct, frozen=True, gc=False):
    """The committed offset of one partition."""

    topic: str
    partition: int
    offset: int
    """Of the next record to read."""
    leader_epoch: int = NO_EPOCH
    metadata: str = ""


class OffsetFetchResponse(msgspec.Struct, frozen=True):
    """Committed offsets, by topic and partition; a partition without one is left out."""

    group: str
    offsets: list[CommittedPartition]


class StreamAck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Acknowledges an event of a stream, and with it all that came before."""

    id: str
    """Of the event, as the stream sent it."""
