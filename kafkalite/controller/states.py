"""Every phase that the controller knows, and what may follow what.

All transitions are in these two tables; an illegal one is a bug and raises.

    partition   NON_EXISTENT -> NEW -> ONLINE <-> OFFLINE
                any -> NON_EXISTENT when its topic goes; ONLINE and OFFLINE -> NEW when somebody
                removed the state behind the controller's back
    topic       GONE -> PRESENT -> WAITING (a replica's broker is dead) -> DELETING -> GONE
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from kafkalite.model.cluster import PartitionState


class IllegalTransitionError(Exception):
    """The controller's machine went where its table does not allow it: a bug of ours."""


class PartitionPhase(Enum):
    NON_EXISTENT = auto()
    """Not assigned to anybody."""
    NEW = auto()
    """Assigned; has no state yet."""
    ONLINE = auto()
    """Has a leader."""
    OFFLINE = auto()
    """Its state says that it has no leader."""


class TopicPhase(Enum):
    GONE = auto()
    PRESENT = auto()
    WAITING = auto()
    """To be deleted, when the brokers of all its replicas are alive."""
    DELETING = auto()
    """Its removal is under way: nothing is elected or created any more."""


PARTITION_PREDECESSORS: Final[Mapping[PartitionPhase, frozenset[PartitionPhase]]] = {
    PartitionPhase.NEW: frozenset(
        {PartitionPhase.NON_EXISTENT, PartitionPhase.ONLINE, PartitionPhase.OFFLINE}
    ),
    PartitionPhase.ONLINE: frozenset(
        {PartitionPhase.NEW, PartitionPhase.ONLINE, PartitionPhase.OFFLINE}
    ),
    PartitionPhase.OFFLINE: frozenset(
        {PartitionPhase.NEW, PartitionPhase.ONLINE, PartitionPhase.OFFLINE}
    ),
    PartitionPhase.NON_EXISTENT: frozenset(
        {PartitionPhase.NEW, PartitionPhase.ONLINE, PartitionPhase.OFFLINE}
    ),
}
TOPIC_PREDECESSORS: Final[Mapping[TopicPhase, frozenset[TopicPhase]]] = {
    TopicPhase.PRESENT: frozenset({TopicPhase.GONE, TopicPhase.WAITING}),
    TopicPhase.WAITING: frozenset({TopicPhase.PRESENT, TopicPhase.DELETING}),
    TopicPhase.DELETING: frozenset({TopicPhase.WAITING}),
    TopicPhase.GONE: frozenset({TopicPhase.PRESENT, TopicPhase.WAITING, TopicPhase.DELETING}),
}


def check_partition_transition(name: object, before: PartitionPhase, after: PartitionPhase) -> None:
    """Raise IllegalTransitionError unless `after` may follow `before`."""
    if before not in PARTITION_PREDECESSORS[after]:
        raise IllegalTransitionError(f"partition {name}: {before.name} -> {after.name}")


def check_topic_transition(name: str, before: TopicPhase, after: TopicPhase) -> None:
    """Raise IllegalTransitionError unless `after` may follow `before`."""
    if before not in TOPIC_PREDECESSORS[after]:
        raise IllegalTransitionError(f"topic {name}: {before.name} -> {after.name}")


def phase_of(state: PartitionState | None) -> PartitionPhase:
    """The phase of an assigned partition with this state."""
    if state is None:
        return PartitionPhase.NEW
    return PartitionPhase.OFFLINE if state.is_offline else PartitionPhase.ONLINE
