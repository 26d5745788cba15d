"""Committed offsets in ZooKeeper: many in a transaction, several transactions under way at once.

Each transaction begins with a check of the state of every group that it holds offsets of (GRP-12).
What came of one whose answer was lost is never guessed: under the same check the same is written
again, and where the check fails then, what is stored says whether it had been written before.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kafkalite.broker.groups.ports import CommittedOffset, GroupCommit, GroupConflictError
from kafkalite.broker.ports import StoreError, StoreUnavailableError
from kafkalite.coordination import group_codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    ConnectionLostError,
    CoordinationError,
    MalformedZnodeError,
    TransactionFailedError,
)
from kafkalite.coordination.group_life import GroupVersion
from kafkalite.coordination.operations import Check, Create, Delete, Operation, SetData, Znode
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)

OFFSETS_A_TRANSACTION: Final = 50
_BYTES_A_TRANSACTION: Final = 256 * 1024
_TRANSACTIONS_AT_ONCE: Final = 8
"""Enough to keep ZooKeeper busy; more would only make its other clients wait."""
_MAX_ATTEMPTS: Final = 6

_UNREADABLE: Final = CommittedOffset(0, leader_epoch=-2)
"""Stands for an offset with something beside it that has to be replaced, whatever it is."""

Known = Mapping[TopicPartition, CommittedOffset | None]


@dataclass(slots=True)
class _Piece:
    """Offsets of one commit that are written in one transaction."""

    index: int
    """Of the commit that it is a part of."""
    commit: GroupCommit
    offsets: Mapping[TopicPartition, CommittedOffset]
    known: Known
    """What is stored, of all of them: decides which operation writes each."""
    operations: list[Operation] = field(init=False)

    def __post_init__(self) -> None:
        self.plan(self.known)

    def plan(self, known: Known) -> None:
        """Decide how to write what is not `known` to be stored."""
        self.known = known
        group = self.commit.group
        self.operations = []
        for partition, offset in self.offsets.items():
            self.operations += _operations(group, partition, offset, known[partition])

    @property
    def checks(self) -> list[Check]:
        return GroupVersion.of(self.commit.state_version).checks(self.commit.group)

    @property
    def size(self) -> int:
        """Bytes of data and paths that it puts into a transaction, about."""
        return sum(
            len(operation.path)
            + (0 if isinstance(operation, Delete | Check) else len(operation.data))
            for operation in self.operations
        )


class GroupOffsets:
    """Reads, writes and removes committed offsets. Has no state; on the event loop."""

    def __init__(self, bridge: KazooBridge) -> None:
        self._bridge = bridge

    # -- writing --------------------------------------------------------------------------------

    async def commit(self, commits: Sequence[GroupCommit]) -> list[StoreError | None]:
        """See GroupStore."""
        outcomes: list[StoreError | None] = [None] * len(commits)
        try:
            pieces = await self._pieces(commits, outcomes)
        except StoreError as error:
            return [error] * len(commits)
        slots = asyncio.Semaphore(_TRANSACTIONS_AT_ONCE)

        async def write(some: list[_Piece]) -> None:
            async with slots:
                await self._write(some, outcomes)

        await asyncio.gather(*(write(some) for some in _packed(pieces)))
        return outcomes

    async def _pieces(
        self, commits: Sequence[GroupCommit], outcomes: list[StoreError | None]
    ) -> list[_Piece]:
        """Cut commits into what one transaction takes; what has no place yet is given one."""
        unknown = [
            (commit.group, partition)
            for commit in commits
            for partition in commit.offsets
            if partition not in commit.known
        ]
        found = await self._know(unknown) if unknown else {}
        pieces: list[_Piece] = []
        for index, commit in enumerate(commits):
            known = {
                partition: commit.known[partition]
                if partition in commit.known
                else found[commit.group, partition]
                for partition in commit.offsets
            }
            if any(_has_no_place(offset, known[name]) for name, offset in commit.offsets.items()):
                outcomes[index] = await self._make_places(commit)
            if outcomes[index] is None:
                pieces += _cut(index, commit, known)
        return pieces

    async def _make_places(self, commit: GroupCommit) -> StoreError | None:
        """Create the znodes that offsets are put below, where missing; gives why it cannot."""
        group = commit.group
        topics = sorted({partition.topic for partition in commit.offsets})
        with_metadata = sorted(
            {
                name.topic
                for name, offset in commit.offsets.items()
                if group_codec.has_metadata(offset)
            }
        )
        ids = commit.topic_ids
        wanted = [Create(paths.group_offsets(group))]
        wanted += [
            Create(paths.group_topic_offsets(group, topic), ids.get(topic, "").encode())
            for topic in topics
        ]
        if with_metadata:
            wanted.append(Create(paths.group_metadata(group)))
            wanted += [Create(paths.group_topic_metadata(group, topic)) for topic in with_metadata]
        checks = GroupVersion.of(commit.state_version).checks(group)
        failure: StoreError = GroupConflictError(f"The places of offsets of {group} keep changing")
        for _ in range(_MAX_ATTEMPTS):
            try:
                there = await self._bridge.get_many([each.path for each in wanted])
                missing = [each for each, znode in zip(wanted, there, strict=True) if not znode]
                if not missing:
                    return None
                some = missing[:OFFSETS_A_TRANSACTION]
                await self._bridge.commit([*checks, *some])
            except TransactionFailedError as error:
                if error.index < len(checks):
                    return _conflict(commit)
                failure = error
            except CoordinationError as error:
                failure = error
                if not isinstance(error, ConnectionLostError):
                    break
        return failure

    async def _write(self, pieces: list[_Piece], outcomes: list[StoreError | None]) -> None:
        """Write pieces in one transaction; where one is in the way, the others again without it."""
        failure: StoreError = StoreUnavailableError("Offsets could not be written")
        for _ in range(_MAX_ATTEMPTS):
            if not pieces:
                return
            checks = [(number, each) for number, p in enumerate(pieces) for each in p.checks]
            operations: list[Operation] = [check for _, check in checks]
            for piece in pieces:
                operations += piece.operations
            try:
                try:
                    await self._bridge.commit(operations)
                except TransactionFailedError as error:
                    _log.debug("Committing offsets: %s", error)
                    failure = error
                    if error.index < len(checks):
                        refused = pieces.pop(checks[error.index][0])
                        outcome = await self._outcome_of_refused(refused)
                        outcomes[refused.index] = outcomes[refused.index] or outcome
                        continue
                except ConnectionLostError as error:
                    _log.debug("Committing offsets: %s", error)
                    failure = error
                    # Another server, or another session, may be behind what was written.
                    await self._bridge.sync()
                else:
                    return
                await self._look_again(pieces)
            except StoreError as error:
                failure = error
                break
        for piece in pieces:
            outcomes[piece.index] = outcomes[piece.index] or failure

    async def _look_again(self, pieces: Iterable[_Piece]) -> None:
        """After a failed write: plan anew, by what is stored."""
        for piece in pieces:
            group = piece.commit.group
            found = await self._know([(group, partition) for partition in piece.offsets])
            piece.plan({partition: found[group, partition] for partition in piece.offsets})
            if any(_has_no_place(offset, piece.known[p]) for p, offset in piece.offsets.items()):
                await self._make_places(piece.commit)

    async def _outcome_of_refused(self, piece: _Piece) -> StoreError | None:
        """Why a piece was not written; None where it was, by an attempt without an answer."""
        group = piece.commit.group
        found = await self._look_up([(group, partition) for partition in piece.offsets])
        if all(found[group, partition] == offset for partition, offset in piece.offsets.items()):
            return None
        return _conflict(piece.commit)

    # -- reading --------------------------------------------------------------------------------

    async def fetch(
        self, group: str, partitions: Iterable[TopicPartition] | None
    ) -> dict[TopicPartition, CommittedOffset]:
        """See GroupStore."""
        # What another coordinator wrote was answered before this server may have heard of it.
        await self._bridge.sync()
        wanted = await self._list(group) if partitions is None else list(partitions)
        found = await self._look_up([(group, partition) for partition in wanted])
        return {partition: offset for (_, partition), offset in found.items() if offset is not None}

    async def last_commit_ms(self, group: str) -> int:
        """When the newest of a group's offsets was written; 0 where there is none."""
        where = [paths.group_offset(group, *partition) for partition in await self._list(group)]
        znodes = await self._bridge.get_many(where)
        return max((znode.modified_ms for znode in znodes if znode is not None), default=0)

    async def _list(self, group: str) -> list[TopicPartition]:
        """Partitions that have an offset."""
        topics = await self._bridge.children(paths.group_offsets(group)) or []
        names = [paths.unescape(topic) for topic in topics]
        numbers = await self._bridge.children_many(
            [paths.group_topic_offsets(group, name) for name in names]
        )
        return sorted(
            TopicPartition(name, int(number))
            for name, some in zip(names, numbers, strict=True)
            for number in some or ()
            if number.isdecimal()
        )

    async def _know(
        self, wanted: Sequence[tuple[str, TopicPartition]]
    ) -> dict[tuple[str, TopicPartition], CommittedOffset | None]:
        """What has to be known to write over what is stored of each group's partitions.

        That is which have an offset, whatever it is, and what is beside it: the names of a topic's
        partitions tell most of that at once.
        """
        topics = sorted({(group, partition.topic) for group, partition in wanted})
        where = [paths.group_topic_offsets(*topic) for topic in topics]
        where += [paths.group_topic_metadata(*topic) for topic in topics]
        numbers = await self._bridge.children_many(where)
        count = len(topics)
        names = [set(each or ()) for each in numbers]
        offsets = dict(zip(topics, names[:count], strict=True))
        beside = dict(zip(topics, names[count:], strict=True))
        known: dict[tuple[str, TopicPartition], CommittedOffset | None] = {}
        unknown = []
        for group, partition in wanted:
            topic, number = (group, partition.topic), str(partition.partition)
            if number not in offsets[topic]:
                known[group, partition] = None
            elif number not in beside[topic]:
                known[group, partition] = CommittedOffset(0)
            else:
                unknown.append((group, partition))
        found = await self._look_up(unknown)
        return known | {key: offset or _UNREADABLE for key, offset in found.items()}

    async def _look_up(
        self, wanted: Sequence[tuple[str, TopicPartition]]
    ) -> dict[tuple[str, TopicPartition], CommittedOffset | None]:
        """What is stored of each group's partitions; unreadable offsets count as none."""
        offsets = await self._bridge.get_many(
            [paths.group_offset(group, *partition) for group, partition in wanted]
        )
        there = [key for key, znode in zip(wanted, offsets, strict=True) if znode is not None]
        metadata = await self._bridge.get_many(
            [paths.group_offset_metadata(group, *partition) for group, partition in there]
        )
        beside = dict(zip(there, metadata, strict=True))
        return {
            key: None if znode is None else _read(key, znode, beside[key])
            for key, znode in zip(wanted, offsets, strict=True)
        }

    # -- removing -------------------------------------------------------------------------------

    async def delete(
        self, group: str, state_version: int, partitions: Iterable[TopicPartition]
    ) -> None:
        """See GroupStore."""
        wanted = sorted(set(partitions))
        doomed = [paths.group_offset(group, *partition) for partition in wanted]
        doomed += [paths.group_offset_metadata(group, *partition) for partition in wanted]
        await self.remove_checked(group, state_version, doomed)
        for topic in sorted({partition.topic for partition in wanted}):
            for above in (paths.group_topic_offsets, paths.group_topic_metadata):
                path = above(group, topic)
                if await self._bridge.children(path) == []:
                    await self.remove_checked(group, state_version, [path])

    async def remove_checked(self, group: str, state_version: int, doomed: Sequence[str]) -> None:
        """Remove those znodes that are there, in order, while the group's state is at a version.

        Raises:
            GroupConflictError: it is at another one; some may have been removed.
            StoreError: it cannot be done, or was not answered.
        """
        checks = GroupVersion.of(state_version).checks(group)
        for start in range(0, len(doomed), OFFSETS_A_TRANSACTION):
            some = doomed[start : start + OFFSETS_A_TRANSACTION]
            failure: CoordinationError | None = None
            for _ in range(_MAX_ATTEMPTS):
                znodes = await self._bridge.get_many(some)
                there = [path for path, znode in zip(some, znodes, strict=True) if znode]
                if not there:
                    break
                try:
                    await self._bridge.commit([*checks, *(Delete(path) for path in there)])
                    break
                except TransactionFailedError as error:
                    if error.index < len(checks):
                        raise GroupConflictError(f"Group {group} was changed meanwhile") from error
                    failure = error
                except ConnectionLostError as error:
                    failure = error
                    await self._bridge.sync()
            else:
                raise failure or CoordinationError(f"Offsets of {group} cannot be removed")


def _operations(
    group: str,
    partition: TopicPartition,
    offset: CommittedOffset,
    known: CommittedOffset | None,
) -> list[Operation]:
    """What replaces the `known` offset of one partition by `offset`."""
    where = paths.group_offset(group, *partition)
    data = group_codec.encode_offset(offset)
    if known is None:
        operations: list[Operation] = [Create(where, data)]
    else:
        operations = [SetData(where, data, -1)]
    had = known is not None and group_codec.has_metadata(known)
    if group_codec.has_metadata(offset):
        beside = paths.group_offset_metadata(group, *partition)
        data = group_codec.encode_offset_metadata(offset)
        if not had:
            operations.append(Create(beside, data))
        elif known is not None and group_codec.encode_offset_metadata(known) != data:
            operations.append(SetData(beside, data, -1))
    elif had:
        operations.append(Delete(paths.group_offset_metadata(group, *partition)))
    return operations


def _has_no_place(offset: CommittedOffset, known: CommittedOffset | None) -> bool:
    """Whether writing `offset` creates a znode."""
    if known is None:
        return True
    return group_codec.has_metadata(offset) and not group_codec.has_metadata(known)


def _read(
    key: tuple[str, TopicPartition], offset: Znode, metadata: Znode | None
) -> CommittedOffset | None:
    group, partition = key
    path = paths.group_offset(group, *partition)
    try:
        return group_codec.decode_offset(
            path, offset.data, None if metadata is None else metadata.data
        )
    except MalformedZnodeError as error:
        _log.error("%s; the group has no offset there until that is mended", error)
        return None


def _cut(index: int, commit: GroupCommit, known: Known) -> Iterable[_Piece]:
    partitions = list(commit.offsets)
    for start in range(0, len(partitions), OFFSETS_A_TRANSACTION):
        some = partitions[start : start + OFFSETS_A_TRANSACTION]
        yield _Piece(
            index,
            commit,
            {partition: commit.offsets[partition] for partition in some},
            {partition: known[partition] for partition in some},
        )


def _packed(pieces: Iterable[_Piece]) -> Iterable[list[_Piece]]:
    """Put pieces together until a transaction is full."""
    some: list[_Piece] = []
    count = size = 0
    for piece in pieces:
        more = piece.size
        if some and (
            count + len(piece.offsets) > OFFSETS_A_TRANSACTION or size + more > _BYTES_A_TRANSACTION
        ):
            yield some
            some, count, size = [], 0, 0
        some.append(piece)
        count += len(piece.offsets)
        size += more
    if some:
        yield some


def _conflict(commit: GroupCommit) -> GroupConflictError:
    return GroupConflictError(
        f"The state of group {commit.group} is not what it was when its offsets were judged"
    )
