"""What the controller's machine is told, and what it wants done.

Events and effects are frozen values. An effect is carried out by the driver, which posts what came
of it back as an event; the machine never assumes that an effect succeeded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicId, TopicPartition

NEW_STATE_VERSION = -1
"""`StateChange.expected_version` of a partition that has no state yet."""


# -- events --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Elected:
    """This broker became the controller; everything it then read of the cluster."""

    epoch: ControllerEpoch
    brokers: Mapping[BrokerId, int]
    """Registered broker -> broker epoch: the revision of its registration."""
    topics: Mapping[str, Topic]
    states: Mapping[TopicPartition, PartitionState]
    state_revisions: Mapping[TopicPartition, int]
    """When each state was written, on the same scale as the broker epochs."""
    deletions: frozenset[str] = frozenset()
    """Topics that somebody asked to delete."""


@dataclass(frozen=True, slots=True)
class BrokersChanged:
    """The registered brokers are now these: broker -> broker epoch."""

    brokers: Mapping[BrokerId, int]


@dataclass(frozen=True, slots=True)
class BrokerUnreachable:
    """A registered broker refuses connections: from now on it counts as dead."""

    broker: BrokerId
    epoch: int


@dataclass(frozen=True, slots=True)
class BrokerReachable:
    """A broker that was unreachable accepts connections again: it counts as live."""

    broker: BrokerId
    epoch: int


@dataclass(frozen=True, slots=True)
class BrokerLeaving:
    """A broker is about to stop, and wants its leaderships to be taken from it."""

    broker: BrokerId
    epoch: int


@dataclass(frozen=True, slots=True)
class ReplicaDamaged:
    """A replica found that a part of its log cannot be read, or cannot use its disk any more."""

    partition: TopicPartition
    broker: BrokerId
    leader_epoch: int
    """In which it leads, or is in sync."""


@dataclass(frozen=True, slots=True)
class PreferredLeadersWanted:
    """The preferred leaders of these partitions are to lead, where they are in sync."""

    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class UncleanLeadersWanted:
    """These partitions are to have a leader, even if none of those in sync is alive."""

    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """The operator changed a setting."""

    policy: ControllerPolicy


@dataclass(frozen=True, slots=True)
class TopicsChanged:
    """These topics were created, changed, or (None) are gone."""

    topics: Mapping[str, Topic | None]


@dataclass(frozen=True, slots=True)
class DeletionsChanged:
    """The topics that are asked to be deleted are now these."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class StatesObserved:
    """These states were read: somebody wrote them, perhaps this controller. None: it is gone."""

    states: Mapping[TopicPartition, PartitionState | None]
    revisions: Mapping[TopicPartition, int]
    """When each state was written, on the same scale as the broker epochs."""


@dataclass(frozen=True, slots=True)
class StatesWritten:
    """What a WriteStates effect came to: the state that is now true of each of its partitions.

    The planned one, or where another writer came first the one it wrote; None: there is none.
    """

    states: Mapping[TopicPartition, PartitionState | None]


@dataclass(frozen=True, slots=True)
class StatesFailed:
    """A WriteStates effect could not be carried out for a reason that retrying may cure."""

    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class TopicRemoved:
    """A RemoveTopic effect is done: nothing of the topic is left, as TopicsChanged will show."""

    name: str


@dataclass(frozen=True, slots=True)
class RemovalFailed:
    """A RemoveTopic or DropDeletion effect could not be carried out."""

    name: str


@dataclass(frozen=True, slots=True)
class CompletionFailed:
    """A CompleteReassignment effect could not be carried out.

    That it was is seen by the topic, or by a state which shows why it must not be.
    """

    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; see `ControllerMachine.next_tick_ms`."""


Event = (
    Elected
    | BrokersChanged
    | BrokerUnreachable
    | BrokerReachable
    | BrokerLeaving
    | ReplicaDamaged
    | PreferredLeadersWanted
    | UncleanLeadersWanted
    | PolicyChanged
    | TopicsChanged
    | DeletionsChanged
    | StatesObserved
    | StatesWritten
    | StatesFailed
    | TopicRemoved
    | RemovalFailed
    | CompletionFailed
    | Tick
)


# -- effects -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StateChange:
    """One partition's next state, to be written where its version is still the expected one."""

    partition: TopicPartition
    state: PartitionState
    expected_version: int
    """The version that `state` replaces, or NEW_STATE_VERSION."""
    topic_id: TopicId | None = None
    """Which topic of that name; None: whoever writes it would know if there was another one."""


@dataclass(frozen=True, slots=True)
class WriteStates:
    """Write these states; answer with StatesWritten (or StatesFailed) for every partition."""

    changes: tuple[StateChange, ...]


@dataclass(frozen=True, slots=True)
class RemoveTopic:
    """Remove all that the store holds of a topic; answer with TopicRemoved or RemovalFailed."""

    name: str


@dataclass(frozen=True, slots=True)
class DropDeletion:
    """Forget the request to delete a topic, if it is still as it was.

    Answer with RemovalFailed: one that is there a moment later is another one.
    """

    name: str
    reason: str
    """A sentence for the log."""


@dataclass(frozen=True, slots=True)
class CompleteReassignment:
    """Make the targets of these partitions their only replicas, where states still allow it."""

    name: str
    partitions: frozenset[int]


Effect = WriteStates | RemoveTopic | DropDeletion | CompleteReassignment


@dataclass(frozen=True, slots=True)
class Ready:
    """What to do now, in this order."""

    effects: tuple[Effect, ...] = field(default=())
