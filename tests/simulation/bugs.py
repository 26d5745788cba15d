"""Known mistakes of replicated logs, planted in the product to see whether the checkers bite.

Each replaces something of the product's own code, from here, for as long as a simulation runs. The
product knows nothing of it.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.replication import leading
from kafkalite.broker.replication.following import Following
from kafkalite.broker.replication.replica_session import Cursor
from kafkalite.controller import machine
from kafkalite.controller.election import Situation, next_state
from kafkalite.coordination import paths
from kafkalite.coordination.operations import ANY_VERSION, Check, Operation, SetData
from kafkalite.coordination.same_topics import SameTopics
from kafkalite.coordination.state_writes import StateWrites
from kafkalite.coordination.store import ZooKeeperStore
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import ControllerEpoch
from kafkalite.model.offsets import LogOffsets
from kafkalite.replication import high_watermark
from kafkalite.replication.leader_replica import LeaderReplica
from kafkalite.replication.progress import Progress
from kafkalite.storage import log, retention
from kafkalite.wire.batch import BatchHeader
from kafkalite.wire.messages import FetchResult
from tests.simulation.idempotent_bugs import IDEMPOTENT_BUGS

Replacements = Sequence[tuple[Any, str, Any]]

BUGS: Final[dict[str, Callable[[], Replacements]]] = dict(IDEMPOTENT_BUGS)


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """Within it the product makes the named mistake."""
    with contextlib.ExitStack() as stack:
        for owner, attribute, replacement in BUGS[name]():
            stack.enter_context(patch.object(owner, attribute, replacement))
        yield


def _bug(plant: Callable[[], Replacements]) -> Callable[[], Replacements]:
    BUGS[plant.__name__] = plant
    return plant


@_bug
def truncate_to_high_watermark() -> Replacements:
    """Who begins to follow drops all above its own high watermark, as before KIP-101."""
    apply = Partition.apply

    def dropping(self: Partition, state: PartitionState, replicas: Any = ()) -> None:
        before = self.leader_epoch
        apply(self, state, replicas)
        if not self.is_leader and self.leader_epoch != before:
            self.log.truncate_to(self.offsets.high_watermark)

    return ((Partition, "apply", dropping),)


@_bug
def skip_leader_epoch_check() -> Replacements:
    """Leaders answer, and followers believe, whatever epoch the other side is in."""
    read_replica, take = Partition.read_replica, Partition.take

    def answering(
        self: Partition, follower: Any, broker_epoch: int, position: Any, size: int
    ) -> Any:
        position = position._replace(leader_epoch=self.leader_epoch)
        return read_replica(self, follower, broker_epoch, position, size)

    def believing(self: Partition, result: FetchResult, headers: Sequence[BatchHeader]) -> None:
        fields = {name: getattr(result, name) for name in FetchResult.__struct_fields__}
        take(self, FetchResult(**(fields | {"leader_epoch": self.leader_epoch})), headers)

    return ((Partition, "read_replica", answering), (Partition, "take", believing))


@_bug
def acknowledge_before_followers_fsync() -> Replacements:
    """A follower says that it has what it has only written."""
    return (
        (Following, "_safe_end", property(lambda self: self.sound_end)),
        (Following, "flushing", lambda _: None),
    )


@_bug
def acknowledge_before_own_fsync() -> Replacements:
    """The leader counts what it has only written."""
    advance = LeaderReplica.advance
    partition_advance = Partition._advance

    def advancing(self: Partition) -> None:
        end = self.log.end_offset
        with patch.object(LeaderReplica, "advance", lambda replica, _: advance(replica, end)):
            partition_advance(self)

    return ((Partition, "_advance", advancing),)


@_bug
def shrink_without_compare_and_set() -> Replacements:
    """The leader writes the in-sync replicas over whatever is stored."""
    write, write_isr = StateWrites._write, ZooKeeperStore.write_isr
    is_leader: ContextVar[bool] = ContextVar("is_leader", default=False)

    async def as_leader(self: ZooKeeperStore, changes: Any) -> Any:
        is_leader.set(True)
        try:
            return await write_isr(self, changes)
        finally:
            is_leader.set(False)

    def overwriting(self: StateWrites, change: Any) -> Operation:
        operation = write(self, change)
        if isinstance(operation, SetData) and is_leader.get():
            return SetData(operation.path, operation.data, ANY_VERSION)
        return operation

    return ((StateWrites, "_write", overwriting), (ZooKeeperStore, "write_isr", as_leader))


@_bug
def believe_own_shrink_at_once() -> Replacements:
    """A pending removal counts before it is stored."""

    def awaiting(self: LeaderReplica) -> None:
        isr = self._pending.state.isr if self._pending else self._state.isr
        self.maximal_isr = frozenset(isr)
        self._awaited = tuple(
            progress for follower, progress in self._progress.items() if follower in isr
        )

    return ((LeaderReplica, "_await", awaiting),)


@_bug
def join_before_epoch_start() -> Replacements:
    """A replica joins at the leader's high watermark, which may be behind what was promised."""

    def has_enough(self: LeaderReplica, progress: Progress) -> bool:
        return progress.end_offset >= self.high_watermark

    return ((LeaderReplica, "_has_enough", has_enough),)


@_bug
def join_anywhere() -> Replacements:
    """A replica joins as soon as it fetches."""
    return ((LeaderReplica, "_has_enough", lambda *_: True),)


@_bug
def keep_diverging_tail() -> Replacements:
    """A leader does not look whether a follower's log is a beginning of its own."""
    return ((leading, "divergence", lambda *_: None),)


@_bug
def elect_unclean() -> Replacements:
    """Whoever lives may lead, in sync or not."""

    def electing(
        state: PartitionState, situation: Situation, epoch: ControllerEpoch
    ) -> PartitionState | None:
        return next_state(state, replace(situation, allows_unclean=True), epoch)

    return ((machine, "next_state", electing),)


@_bug
def reuse_leader_epoch() -> Replacements:
    """A new leader goes on in the epoch of the one before it."""

    def electing(
        state: PartitionState, situation: Situation, epoch: ControllerEpoch
    ) -> PartitionState | None:
        found = next_state(state, situation, epoch)
        return found and replace(found, leader_epoch=state.leader_epoch)

    return ((machine, "next_state", electing),)


@_bug
def commit_alone() -> Replacements:
    """The high watermark is the leader's own end."""

    def advance(current: int, leader_end: int, _followers: Collection[int] = ()) -> int:
        return max(current, leader_end)

    return ((high_watermark, "advance", advance),)


@_bug
def lead_for_former_life() -> Replacements:
    """A broker that starts again goes on leading in the epochs in which it died."""
    return ((PartitionTable, "_may_lead_by", lambda self, *_: self._may_lead),)


@_bug
def show_what_is_not_committed() -> Replacements:
    """Readers are given everything, and told that it is committed."""

    def offsets(self: Partition) -> Any:
        return LogOffsets(self.log.start_offset, self.log.end_offset, self.log.end_offset)

    def read(self: Partition, offset: int, max_bytes: int, *, epoch: int = -1) -> Any:
        self.check_leads()
        return self.log.read(offset, max_bytes, self.log.end_offset)

    return ((Partition, "offsets", property(offsets)), (Partition, "read", read))


@_bug
def write_over_topics_made_anew() -> Replacements:
    """Who writes goes by names and versions, which begin anew with a topic."""

    async def commit(self: SameTopics, operations: Sequence[Operation]) -> None:
        await self._bridge.commit(operations)

    async def look(_: SameTopics) -> None:
        return None

    unchecked = property(lambda _: Check(paths.TOPICS))
    return (
        (SameTopics, "commit", commit),
        (SameTopics, "look", look),
        (SameTopics, "unchanged", unchecked),
    )


@_bug
def follow_by_name() -> Replacements:
    """Leaders do not look whether a follower's log is of the same topic."""
    return ((Cursor, "check_topic", lambda *_: None),)


@_bug
def retain_half() -> Replacements:
    """Retention by size takes twice as much as it may."""
    expired = retention.expired_segments

    def twice(segments: Any, options: Any, **known: Any) -> int:
        halved = replace(options, retention_bytes=options.retention_bytes // 2)
        return expired(segments, halved, **known)

    return ((log, "expired_segments", twice),)


@_bug
def begin_with_everything_committed() -> Replacements:
    """A new leader takes all that it holds for committed."""
    lead = Partition._lead

    def leading_at_once(self: Partition, state: PartitionState) -> None:
        if self._leading is None:
            self._high_watermark = self.log.end_offset
        lead(self, state)

    return ((Partition, "_lead", leading_at_once),)
