"""Implements GroupStore: groups in ZooKeeper, each below `/consumers/G`.

The state is one znode, changed by compare-and-set on its version; offsets are znodes of their own,
written only in transactions that check that version (`group_offsets.py`), and that the group is
still the one that it was (`group_life.py`). Where a connection
breaks, whether a write happened is looked up, never guessed, before anything is written again.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from kafkalite.broker.groups.ports import (
    MAX_STATE_BYTES,
    CommittedOffset,
    GroupCommit,
    GroupConflictError,
    GroupTooLargeError,
    Look,
    StoredGroup,
)
from kafkalite.broker.ports import StoreConflictError, StoreError
from kafkalite.coordination import group_codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    BadVersionError,
    ConnectionLostError,
    MalformedZnodeError,
    NodeExistsError,
    NoNodeError,
    TransactionFailedError,
)
from kafkalite.coordination.group_life import GroupVersion
from kafkalite.coordination.group_mirror import GroupMirror
from kafkalite.coordination.group_offsets import GroupOffsets
from kafkalite.coordination.operations import Create, Delete, Operation, SetData, Znode
from kafkalite.groups.state import NEW_GROUP_VERSION, GroupState
from kafkalite.model.clock import Clock
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition

_log = logging.getLogger(__name__)

_MAX_ATTEMPTS: Final = 5


class ZooKeeperGroupStore:
    """The groups in ZooKeeper. Owned by ZooKeeperCoordination; on the event loop.

    Has no state but what it shows to other tools. Life: `start`, `stop`.
    """

    def __init__(self, bridge: KazooBridge, clock: Clock) -> None:
        self._bridge = bridge
        self._clock = clock
        self._offsets = GroupOffsets(bridge)
        self._mirror = GroupMirror(bridge, clock)

    def start(self) -> None:
        self._mirror.start()

    async def stop(self) -> None:
        await self._mirror.stop()

    def session_lost(self) -> None:
        """What was ephemeral is gone."""
        self._mirror.forget()

    # -- states ---------------------------------------------------------------------------------

    async def load(self, group: str) -> StoredGroup | None:
        """See GroupStore."""
        await self._bridge.sync()
        path = paths.group_state(group)
        znode = await self._bridge.get(path)
        if znode is not None:
            return group_codec.decode_group(path, znode.data, znode.version)
        if await self._bridge.get(paths.group_offsets(group)) is None:
            return None
        return StoredGroup(GroupState())

    async def load_many(self, groups: Sequence[str]) -> list[StoredGroup | None]:
        """See GroupStore."""
        where = [paths.group_state(group) for group in groups]
        found: list[StoredGroup | None] = []
        for path, znode in zip(where, await self._bridge.get_many(where), strict=True):
            try:
                found.append(
                    None
                    if znode is None
                    else group_codec.decode_group(path, znode.data, znode.version)
                )
            except MalformedZnodeError as error:
                _log.error("%s; its group cannot be served until that is mended", error)
                found.append(None)
        return found

    async def is_at(self, group: str, version: int) -> bool:
        """See GroupStore."""
        await self._bridge.sync()
        wanted = GroupVersion.of(version)
        where = [check.path for check in wanted.checks(group)]
        *life, state = await self._bridge.get_many(where)
        return all(life) and state is not None and state.version == wanted.znode

    async def save_state(
        self,
        group: str,
        state: GroupState,
        *,
        coordinator: BrokerId,
        remainder: Mapping[str, object],
    ) -> int:
        """See GroupStore."""
        is_new = state.version == NEW_GROUP_VERSION
        before = GroupVersion.of(state.version)
        after = GroupVersion.new() if is_new else before._replace(znode=before.znode + 1)
        data = group_codec.encode_group(
            replace(state, version=after.joined), coordinator, self._clock.wall_ms(), remainder
        )
        if len(data) > MAX_STATE_BYTES:
            raise GroupTooLargeError(
                f"The state of group {group} has {len(data)} bytes, {MAX_STATE_BYTES} are possible"
            )
        path = paths.group_state(group)
        writes: list[Operation] = [*before.life_checks(group), SetData(path, data, before.znode)]
        above: list[Operation] = []
        if is_new:
            above = [Create(paths.group(group))]
            writes = [Create(path, data), *(Create(each.path) for each in after.life_checks(group))]
        failure: StoreError = StoreConflictError(f"Group {group} cannot be written")
        for _ in range(_MAX_ATTEMPTS):
            try:
                await self._bridge.commit([*above, *writes])
            except TransactionFailedError as error:
                if not isinstance(error.cause, NodeExistsError | NoNodeError | BadVersionError):
                    raise
                failure = error
            except ConnectionLostError as error:
                failure = error
                # Another server, or another session, may be behind what was written.
                await self._bridge.sync()
            else:
                return after.joined
            if await self._is_written(group, before, data):
                return after.joined  # the answer was lost, not the request
            if above and await self._bridge.get(paths.group(group)) is not None:
                above = []
        raise failure

    async def _is_written(self, group: str, before: GroupVersion, data: bytes) -> bool:
        """Whether what was at version `before` is `data` by now; False: it is as it was.

        Raises:
            GroupConflictError: it is something else.
        """
        stored = await self._bridge.get(paths.group_state(group))
        version = NEW_GROUP_VERSION if stored is None else stored.version
        if stored is not None and version == before.znode + 1 and stored.data == data:
            return True
        is_alive = all(await self._bridge.get_many([c.path for c in before.life_checks(group)]))
        if version != before.znode or not is_alive:
            raise GroupConflictError(
                f"The state of group {group} is not at version {before.znode} any more"
            )
        return False

    async def list_groups(self) -> list[str]:
        """See GroupStore."""
        names = await self._bridge.children(paths.CONSUMERS) or []
        groups = sorted(paths.unescape(name) for name in names)
        states = await self._bridge.get_many([paths.group_state(group) for group in groups])
        without = [group for group, state in zip(groups, states, strict=True) if state is None]
        offsets = await self._bridge.get_many([paths.group_offsets(group) for group in without])
        empty = {group for group, znode in zip(without, offsets, strict=True) if znode is None}
        return [group for group in groups if group not in empty]

    async def delete_group(self, group: str, state_version: int) -> None:
        """See GroupStore."""
        path = paths.group_state(group)
        version = GroupVersion.of(state_version)
        last = [Delete(check.path, check.version) for check in reversed(version.checks(group))]
        kept = {delete.path for delete in last}
        for _ in range(_MAX_ATTEMPTS):
            below = await self._below(paths.group(group))
            await self._offsets.remove_checked(
                group, state_version, [other for other in below if other not in kept]
            )
            try:
                await self._bridge.commit([*last, Delete(paths.group(group))])
            except TransactionFailedError as error:
                if error.index < len(last):
                    raise GroupConflictError(f"Group {group} was changed meanwhile") from error
                _log.debug("Deleting group %s: %s", group, error)  # something new is below it
            except ConnectionLostError as error:
                _log.debug("Deleting group %s: %s", group, error)
                await self._bridge.sync()
                if await self._bridge.get(path) is None:
                    return
            else:
                return
        raise StoreConflictError(f"Group {group} cannot be deleted: its znodes keep changing")

    async def _below(self, path: str) -> list[str]:
        """All znodes below one, children before their parents."""
        found: list[str] = []
        level = [path]
        while level:
            names = await self._bridge.children_many(level)
            level = [
                f"{above}/{name}"
                for above, some in zip(level, names, strict=True)
                for name in some or ()
            ]
            found += level
        return found[::-1]

    # -- offsets --------------------------------------------------------------------------------

    async def commit(self, commits: Sequence[GroupCommit]) -> list[StoreError | None]:
        """See GroupStore."""
        return await self._offsets.commit(commits)

    async def fetch_offsets(
        self, group: str, partitions: Iterable[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """See GroupStore."""
        return await self._offsets.fetch(group, partitions)

    async def topics_with_offsets(
        self, groups: Sequence[str]
    ) -> list[Mapping[str, TopicId | None]]:
        """See GroupStore."""
        below = await self._bridge.children_many([paths.group_offsets(group) for group in groups])
        topics = [sorted(paths.unescape(name) for name in names or ()) for names in below]
        znodes = iter(
            await self._bridge.get_many(
                [
                    paths.group_topic_offsets(group, topic)
                    for group, some in zip(groups, topics, strict=True)
                    for topic in some
                ]
            )
        )
        return [{topic: _topic_id(next(znodes)) for topic in some} for some in topics]

    async def last_commit_ms(self, group: str) -> int:
        """See GroupStore."""
        return await self._offsets.last_commit_ms(group)

    async def delete_offsets(
        self, group: str, state_version: int, partitions: Iterable[TopicPartition]
    ) -> None:
        """See GroupStore."""
        await self._offsets.delete(group, state_version, partitions)

    def show(self, group: str, look: Look) -> None:
        """See GroupStore."""
        self._mirror.show(group, look)

    # -- instances of consumers that live in the broker -----------------------------------------

    async def save_instance(self, group: str, name: str, payload: bytes) -> None:
        """See GroupStore."""
        path = paths.group_instance(group, name)
        for _ in range(_MAX_ATTEMPTS):
            try:
                await self._bridge.set(path, payload)
            except NoNodeError:
                await self._bridge.ensure(paths.group_instances(group))
                try:
                    await self._bridge.create(path, payload)
                except (NodeExistsError, NoNodeError, ConnectionLostError) as error:
                    _log.debug("Keeping an instance of group %s: %s", group, error)
                    continue
            except ConnectionLostError as error:
                _log.debug("Keeping an instance of group %s: %s", group, error)
                await self._bridge.sync()
                continue
            return
        raise StoreConflictError(f"Instance {name} of group {group} cannot be kept: try again")

    async def load_instances(self, group: str) -> Mapping[str, bytes]:
        """See GroupStore."""
        names = await self._bridge.children(paths.group_instances(group)) or []
        own = [paths.unescape(name) for name in names]
        znodes = await self._bridge.get_many([paths.group_instance(group, name) for name in own])
        return {name: znode.data for name, znode in zip(own, znodes, strict=True) if znode}

    async def delete_instance(self, group: str, name: str) -> None:
        """See GroupStore."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                await self._bridge.commit([Delete(paths.group_instance(group, name))])
            except TransactionFailedError as error:
                if isinstance(error.cause, NoNodeError):
                    return
                raise
            except ConnectionLostError as error:
                _log.debug("Forgetting an instance of group %s: %s", group, error)
                await self._bridge.sync()
            else:
                return
        raise StoreConflictError(f"Instance {name} of group {group} cannot be removed: try again")


def _topic_id(znode: Znode | None) -> TopicId | None:
    """Of the topic whose offsets are below; None where it was not known, or they are gone."""
    text = b"" if znode is None else znode.data
    return TopicId(text.decode("utf-8", "replace")) if text else None
