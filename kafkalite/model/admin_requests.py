"""What tools of older Kafkas ask the controller for, by writing it into the store.

Each is one znode that anybody may write, by hand too, and that the controller removes when it is
carried out. An answer is given nowhere: who asked looks at what became of the cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafkalite.model.ids import BrokerId, TopicPartition


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One request, as it is stored at the moment."""

    version: int
    """Of the znode; what was read of another version may have been changed since."""
    revision: int
    """When it was written, on the store's one scale; no two requests have the same."""
    problem: str | None = None
    """Why nothing can be made of it, as a sentence for people; it asks for nothing then."""


@dataclass(frozen=True, slots=True)
class ReassignmentRequest(StoredRequest):
    """Partitions that are to move (`kafka-reassign-partitions.sh --zookeeper`).

    Lists those that have yet to arrive: each leaves the list when it has, or cannot be moved.
    """

    targets: Mapping[TopicPartition, tuple[BrokerId, ...]] = field(default_factory=dict)
    """Where each is to go, the preferred leader first; not checked."""


@dataclass(frozen=True, slots=True)
class ElectionRequest(StoredRequest):
    """Partitions whose preferred leaders are to lead (`kafka-preferred-replica-election.sh`)."""

    partitions: frozenset[TopicPartition] = frozenset()


@dataclass(frozen=True, slots=True)
class AdminRequests:
    """All that is asked for now."""

    reassignment: ReassignmentRequest | None = None
    election: ElectionRequest | None = None
    unidentified: frozenset[str] = frozenset()
    """Names of topics that a tool has just made which gives them no id: nobody sees them before
    they have one."""


NO_REQUESTS = AdminRequests()
