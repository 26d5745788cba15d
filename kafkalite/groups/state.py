"""What is stored of a group: its members, what each may consume and is to consume.

GRP-1  No partition is held by two members.
GRP-2  Every state in which something has changed has a higher epoch than the one before.
GRP-3  A member's epoch is the group's epoch at which its assignment changed last, or at which it
       (re)joined: answers with the same member epoch name the same partitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from kafkalite.model.ids import TopicPartition

JOIN_EPOCH: Final = 0
"""A heartbeat's epoch: "I own nothing, and want to be a member"."""
LEAVE_EPOCH: Final = -1
"""A heartbeat's epoch: "I am going"."""
AWAY_EPOCH: Final = -2
"""A heartbeat's epoch: "I am going, and my instance will be back"; such a member's, meanwhile."""
NEW_GROUP_VERSION: Final = -1
"""Version of a group that is not stored."""

Partitions = frozenset[TopicPartition]
NO_PARTITIONS: Final[Partitions] = frozenset()


class GroupPhase(StrEnum):
    """What a group is doing, in the words of Kafka's tools."""

    EMPTY = "Empty"
    """It has no members."""
    ASSIGNING = "Assigning"
    """Who is to consume what is yet to be decided, or to be stored."""
    RECONCILING = "Reconciling"
    """Somebody does not consume exactly what it is to."""
    STABLE = "Stable"
    DEAD = "Dead"
    """There is no such group."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member, as stored."""

    id: str
    epoch: int
    """See GRP-3; AWAY_EPOCH while a static member is away."""
    joined_epoch: int = JOIN_EPOCH
    """The group's at which it (re)joined last: an older one is of a former life of its."""
    instance_id: str | None = None
    """Of a static member: names its place, whatever its id."""
    client_id: str = ""
    host: str = ""
    rack: str | None = None
    topics: tuple[str, ...] = ()
    """That it subscribes to by name, in order; they may not exist."""
    pattern: str | None = None
    """RE2; it subscribes to every topic whose whole name matches, besides `topics`."""
    assignor: str = ""
    """That it would have the group use."""
    session_timeout_ms: int = 45_000
    """A member that is not heard of for as long is dead."""
    rebalance_timeout_ms: int = 300_000
    """A member that was told to let go of partitions, and lets go of none for as long, is out."""
    held: Partitions = NO_PARTITIONS
    """It may still be consuming these. Disjoint from the others' (GRP-1)."""
    target: Partitions = NO_PARTITIONS
    """It shall consume these, once nobody else holds them. Disjoint from the others'."""

    @property
    def assignment(self) -> Partitions:
        """What it is told that it may consume."""
        return self.held & self.target

    @property
    def to_release(self) -> Partitions:
        """What it has to let go of."""
        return self.held - self.target

    @property
    def is_settled(self) -> bool:
        """Whether it holds exactly what it is to."""
        return self.held == self.target

    @property
    def is_away(self) -> bool:
        """Whether it is a static member that said it will be back."""
        return self.epoch == AWAY_EPOCH


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group, as one znode holds it."""

    epoch: int = 0
    """See GRP-2; no member's is higher."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """By id."""
    topics: Mapping[str, int] = field(default_factory=dict)
    """Subscribed topics that existed, and their partitions, when the targets were decided."""
    version: int = NEW_GROUP_VERSION
    """Of the znode that this was read from or written as; NEW_GROUP_VERSION: there is none."""
