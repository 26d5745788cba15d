"""The groups in memory: GroupStore without ZooKeeper.

One FakeGroups is the store; each coordinator has a FakeGroupStore of its own. What it does wrong is
said beforehand: be unavailable, keep writers waiting, lose the answer of what was written.
tests/contract/test_group_store.py holds the fake to what ZooKeeper does.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kafkalite.broker.groups.ports import (
    CommittedOffset,
    GroupCommit,
    GroupConflictError,
    GroupPicture,
    Look,
    StoredGroup,
)
from kafkalite.broker.ports import StoreError, StoreUnavailableError
from kafkalite.groups.state import NEW_GROUP_VERSION, GroupState
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition


@dataclass
class FakeGroup:
    """What ZooKeeper would hold of one group."""

    stored: StoredGroup | None = None
    offsets: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)
    committed_ms: dict[TopicPartition, int] = field(default_factory=dict)
    topic_ids: dict[str, TopicId] = field(default_factory=dict)
    instances: dict[str, bytes] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return NEW_GROUP_VERSION if self.stored is None else self.stored.state.version


class FakeGroups:
    """What ZooKeeper would hold."""

    def __init__(self) -> None:
        self.groups: dict[str, FakeGroup] = {}
        self.wall_ms = 0
        self.lives = 0
        """Groups that were created: no two of them share a version."""
        self.history: list[tuple[str, GroupState]] = []
        """Every state that was written, in order."""
        self.commits: list[GroupCommit] = []
        """Every commit that was carried out, in order."""

    def member(self) -> "FakeGroupStore":
        return FakeGroupStore(self)

    def group(self, name: str) -> FakeGroup:
        return self.groups.setdefault(name, FakeGroup())


class FakeGroupStore:
    """One coordinator's side: implements GroupStore."""

    def __init__(self, groups: FakeGroups) -> None:
        self.groups = groups
        self.is_available = True
        self.loses_answers = 0
        """Of so many writes the outcome is not told, although they happen."""
        self.gate = asyncio.Event()
        """While it is cleared, writes wait before they happen."""
        self.gate.set()
        self.shown: dict[str, Look] = {}
        self.waiting_writes = 0
        self.rounds: list[int] = []
        """How many commits came together, each time."""

    async def _write(self) -> None:
        self.waiting_writes += 1
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.waiting_writes -= 1
        self._check_available()

    def _check_available(self) -> None:
        if not self.is_available:
            raise StoreUnavailableError("the fake store is told to be unavailable")

    def _lose_answer(self) -> None:
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailableError("the fake store is told to lose an answer")

    def _check(self, group: str, version: int) -> FakeGroup:
        found = self.groups.groups.get(group)
        at = NEW_GROUP_VERSION if found is None else found.version
        if found is None or at != version:
            raise GroupConflictError(f"{group} is at version {at}, not {version}")
        return found

    # -- states ---------------------------------------------------------------------------------

    async def load(self, group: str) -> StoredGroup | None:
        await asyncio.sleep(0)
        self._check_available()
        found = self.groups.groups.get(group)
        if found is None or (found.stored is None and not found.offsets):
            return None
        return found.stored or StoredGroup(GroupState())

    async def load_many(self, groups: Sequence[str]) -> list[StoredGroup | None]:
        self._check_available()
        found = [self.groups.groups.get(group) for group in groups]
        return [None if each is None else each.stored for each in found]

    async def is_at(self, group: str, version: int) -> bool:
        await asyncio.sleep(0)
        self._check_available()
        found = self.groups.groups.get(group)
        return found is not None and found.version == version

    async def save_state(
        self,
        group: str,
        state: GroupState,
        *,
        coordinator: BrokerId,
        remainder: Mapping[str, object],
    ) -> int:
        await self._write()
        if state.version == NEW_GROUP_VERSION:
            self.groups.group(group)
        found = self._check(group, state.version)
        version = state.version + 1
        if state.version == NEW_GROUP_VERSION:
            version = self.groups.lives << 32
            self.groups.lives += 1
        stored = replace(state, version=version)
        found.stored = StoredGroup(stored, coordinator, self.groups.wall_ms, remainder)
        self.groups.history.append((group, stored))
        self._lose_answer()
        return stored.version

    async def list_groups(self) -> list[str]:
        self._check_available()
        groups = self.groups.groups
        return sorted(name for name, each in groups.items() if each.stored or each.offsets)

    async def delete_group(self, group: str, state_version: int) -> None:
        await self._write()
        self._check(group, state_version)
        del self.groups.groups[group]

    # -- offsets --------------------------------------------------------------------------------

    async def commit(self, commits: Sequence[GroupCommit]) -> list[StoreError | None]:
        self.rounds.append(len(commits))
        try:
            await self._write()
        except StoreError as error:
            return [error] * len(commits)
        outcomes: list[StoreError | None] = []
        for commit in commits:
            try:
                found = self._check(commit.group, commit.state_version)
                for topic in {partition.topic for partition in commit.offsets}:
                    if all(partition.topic != topic for partition in found.offsets):
                        found.topic_ids.pop(topic, None)
                        found.topic_ids |= {
                            name: each for name, each in commit.topic_ids.items() if name == topic
                        }
                for partition, offset in commit.offsets.items():
                    found.offsets[partition] = offset
                    found.committed_ms[partition] = self.groups.wall_ms
                self.groups.commits.append(commit)
                self._lose_answer()
                outcomes.append(None)
            except StoreError as error:
                outcomes.append(error)
        return outcomes

    async def fetch_offsets(
        self, group: str, partitions: Iterable[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, CommittedOffset]:
        await asyncio.sleep(0)
        self._check_available()
        found = self.groups.groups.get(group, FakeGroup()).offsets
        wanted = found if partitions is None else list(partitions)
        return {name: found[name] for name in wanted if name in found}

    async def topics_with_offsets(
        self, groups: Sequence[str]
    ) -> list[Mapping[str, TopicId | None]]:
        await asyncio.sleep(0)
        self._check_available()
        found = [self.groups.groups.get(group, FakeGroup()) for group in groups]
        return [
            {name: each.topic_ids.get(name) for name in sorted({p.topic for p in each.offsets})}
            for each in found
        ]

    async def last_commit_ms(self, group: str) -> int:
        self._check_available()
        found = self.groups.groups.get(group, FakeGroup())
        return max(found.committed_ms.values(), default=0)

    async def delete_offsets(
        self, group: str, state_version: int, partitions: Iterable[TopicPartition]
    ) -> None:
        await self._write()
        found = self._check(group, state_version)
        for partition in partitions:
            found.offsets.pop(partition, None)
            found.committed_ms.pop(partition, None)

    # -- the rest -------------------------------------------------------------------------------

    def show(self, group: str, look: Look) -> None:
        self.shown[group] = look

    def picture(self, group: str) -> GroupPicture | None:
        """What other tools see of a group by now."""
        return self.shown[group]() if group in self.shown else None

    async def save_instance(self, group: str, name: str, payload: bytes) -> None:
        self._check_available()
        self.groups.group(group).instances[name] = payload

    async def load_instances(self, group: str) -> Mapping[str, bytes]:
        self._check_available()
        return dict(self.groups.groups.get(group, FakeGroup()).instances)

    async def delete_instance(self, group: str, name: str) -> None:
        self._check_available()
        self.groups.group(group).instances.pop(name, None)
