"""What the coordinator of consumer groups needs of the store, as a Protocol.

`coordination/group_store.py` implements it. Of each group one state is stored, under a version that
every write raises. Whoever begins to coordinate a group writes the state once as it is, which
makes every version that others know an old one (GRP-11), and every commit is one transaction with a
check of that version (GRP-12). So of two brokers that both believe to coordinate a group, the one
that loaded it first cannot write any more, whatever it believes. A group that is made anew has
versions that its namesake never had.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from kafkalite.broker.ports import StoreError
from kafkalite.groups.state import GroupState
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition

MAX_STATE_BYTES: Final = 900 * 1024
"""Of a group's stored state: ZooKeeper refuses packets of 1 MiB, and drops the connection."""


class GroupConflictError(StoreError):
    """The group's state is not at the version that was expected; nothing was written."""


class GroupTooLargeError(StoreError):
    """A group's state is larger than the store takes; nothing was written."""


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """Where a group goes on reading a partition."""

    offset: int
    """Of the next record to read."""
    leader_epoch: int = -1
    """Of the last record that was read; -1 where the client does not know it."""
    metadata: str = ""
    """The client's own words."""


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """A group's state as it is stored."""

    state: GroupState
    """Without members, and NEW_GROUP_VERSION, where there are only offsets."""
    coordinator: BrokerId | None = None
    """Who wrote it."""
    modified_ms: int = 0
    """When it was written, wall clock."""
    remainder: Mapping[str, object] = field(default_factory=dict)
    """What newer versions of this program keep beside the state; to be given back on writing."""


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """Offsets of one group, to be written if its state is at a certain version."""

    group: str
    state_version: int
    offsets: Mapping[TopicPartition, CommittedOffset]
    known: Mapping[TopicPartition, CommittedOffset | None] = field(default_factory=dict)
    """What is stored now, as far as the coordinator knows; None: nothing. Saves looking it up."""
    topic_ids: Mapping[str, TopicId] = field(default_factory=dict)
    """Of the topics: kept beside the first offset of each."""


@dataclass(frozen=True, slots=True)
class MirroredMember:
    """What other tools are shown of a member."""

    topics: Mapping[str, int]
    """Topic -> 1, as Kafka's first consumers wrote the streams of each."""
    is_pattern: bool = False


@dataclass(frozen=True, slots=True)
class GroupPicture:
    """What other tools are shown of a group, as `/consumers/G/ids` and `/consumers/G/owners`."""

    members: Mapping[str, MirroredMember] = field(default_factory=dict)
    owners: Mapping[TopicPartition, str] = field(default_factory=dict)


Look = Callable[[], GroupPicture | None]
"""Gives what is to be seen of a group; None: nothing any more."""


class GroupStore(Protocol):
    """The groups as ZooKeeper keeps them.

    Group ids are any text of `model.group_name`. Every method that is awaited may raise StoreError;
    StoreUnavailableError where nothing is known of what happened.
    """

    async def load(self, group: str) -> StoredGroup | None:
        """Read a group's state, as of now; None where there is neither state nor offsets."""

    async def load_many(self, groups: Sequence[str]) -> list[StoredGroup | None]:
        """Read the states of many groups in few round trips, perhaps a moment behind.

        None: no state, an unreadable one, or a group with nothing but offsets.
        """

    async def is_at(self, group: str, version: int) -> bool:
        """Whether a group's state is at this version now; nothing that is older counts as now."""

    async def save_state(
        self,
        group: str,
        state: GroupState,
        *,
        coordinator: BrokerId,
        remainder: Mapping[str, object],
    ) -> int:
        """Replace the state at version `state.version`; with NEW_GROUP_VERSION, create it.

        Gives the new version, also where an answer was lost and the state was found written.

        Raises:
            GroupConflictError: another writer came first.
            GroupTooLargeError: it has more than MAX_STATE_BYTES.
        """

    async def commit(self, commits: Sequence[GroupCommit]) -> list[StoreError | None]:
        """Write offsets of different groups, each if its state is at its version.

        Gives for each commit None, once all of its offsets are written; GroupConflictError, where
        the version is another one; any other StoreError, where some may have been written or not.
        A commit that fits into one transaction (some 50 partitions) is written as a whole or not at
        all, and no commit is kept from being written by another one's error.
        """

    async def fetch_offsets(
        self, group: str, partitions: Iterable[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """Read committed offsets, of `partitions` or of all; what has none is left out."""

    async def topics_with_offsets(
        self, groups: Sequence[str]
    ) -> list[Mapping[str, TopicId | None]]:
        """Topics of which each of `groups` has committed offsets, by name.

        With the id that each had when the first of them was committed, where that was known.
        """

    async def last_commit_ms(self, group: str) -> int:
        """When the newest of a group's offsets was committed, wall clock; 0 where it has none."""

    async def list_groups(self) -> list[str]:
        """Names of all groups that have a state or offsets, sorted."""

    async def delete_offsets(
        self, group: str, state_version: int, partitions: Iterable[TopicPartition]
    ) -> None:
        """Remove committed offsets; those that are not there are none to remove.

        Raises:
            GroupConflictError: the state is at another version; some may have been removed.
        """

    async def delete_group(self, group: str, state_version: int) -> None:
        """Remove a group with all it has; repeating it finishes what was begun.

        Raises:
            GroupConflictError: the state is at another version; it is still there.
        """

    def show(self, group: str, look: Look) -> None:
        """Have other tools see a group that we coordinate as it `look`s by then, soon.

        For their eyes only: nothing here reads it. It goes with the session.
        """

    # -- instances of consumers that live in the broker -------------------------------------------

    async def save_instance(self, group: str, name: str, payload: bytes) -> None:
        """Keep what a consumer instance is, in place of what was kept before."""

    async def load_instances(self, group: str) -> Mapping[str, bytes]:
        """All instances of a group that are kept, by name."""

    async def delete_instance(self, group: str, name: str) -> None:
        """Forget an instance; nothing where there is none."""
