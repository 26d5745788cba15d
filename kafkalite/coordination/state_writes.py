"""Writes partition states: many in a transaction, several transactions under way at once.

Each state is a compare-and-set on its znode's version, and each transaction holds the notice of
what it changes. What came of a write is never guessed: after a refusal, or an answer that was lost,
the states are read, and what may still be written is written again under the same condition.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from kafkalite.broker.ports import FencedControllerError
from kafkalite.controller.events import NEW_STATE_VERSION, StateChange
from kafkalite.coordination import codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    ConnectionLostError,
    MalformedZnodeError,
    TransactionFailedError,
)
from kafkalite.coordination.operations import Create, Operation, SetData
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)

_STATES_A_TRANSACTION: Final = 50
_TRANSACTIONS_AT_ONCE: Final = 8
"""Enough to keep ZooKeeper busy; more would only make its other clients wait."""
_MAX_ATTEMPTS: Final = 5

States = dict[TopicPartition, PartitionState | None]
Commit = Callable[[Sequence[Operation]], Awaitable[object]]
"""Does all of a transaction or raises; may put conditions of its own in front."""


class StateWrites:
    """What controllers and leaders write states with. Has no state; on the event loop."""

    def __init__(
        self, bridge: KazooBridge, unknown_members: Callable[[TopicPartition], codec.Members]
    ) -> None:
        """Build; `unknown_members` gives what a state holds that has to be kept."""
        self._bridge = bridge
        self._unknown_members = unknown_members

    async def write(self, changes: Sequence[StateChange], commit: Commit) -> States:
        """Write the states of different partitions; gives what is true afterwards of each.

        The new state, or where another writer came first the one it wrote, or None where there is
        none. A partition whose stored state cannot be read, or keeps changing, is left out.

        Raises:
            StoreError: one of the transactions could not be done and its outcome not be found out,
                or `commit` raised it; each state may have been written or not.
        """
        slots = asyncio.Semaphore(_TRANSACTIONS_AT_ONCE)
        starts = range(0, len(changes), _STATES_A_TRANSACTION)

        async def write_some(some: Sequence[StateChange]) -> States:
            async with slots:
                return await self._write_batch(some, commit)

        outcomes = await asyncio.gather(
            *(write_some(changes[start : start + _STATES_A_TRANSACTION]) for start in starts),
            return_exceptions=True,
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            # That the office is lost matters more than what else may have happened.
            raise min(failures, key=lambda error: not isinstance(error, FencedControllerError))
        written: States = {}
        for outcome in outcomes:
            if not isinstance(outcome, BaseException):
                written |= outcome
        return written

    async def _write_batch(self, changes: Sequence[StateChange], commit: Commit) -> States:
        """Write states in one transaction; where one is in the way, the others again without it."""
        outcome: States = {}
        with_parents: dict[TopicPartition, list[Operation]] = {}
        for _ in range(_MAX_ATTEMPTS):
            if not changes:
                return outcome
            operations: list[Operation] = []
            for change in changes:
                operations += with_parents.get(change.partition, _parents(change))
                operations.append(self._write(change))
            notice = codec.encode_change_notice(states=map(self._notice, changes))
            operations.append(Create(paths.state_change(), notice, sequential=True))
            try:
                await commit(operations)
            except TransactionFailedError as error:
                _log.debug("Writing %d states: %s", len(changes), error)
            except ConnectionLostError as error:
                _log.debug("Writing %d states: %s", len(changes), error)
                # Another server, or another session, may be behind what was written.
                await self._bridge.sync()
            else:
                return outcome | {change.partition: _written(change) for change in changes}
            changes = await self._look_again(changes, outcome)
            with_parents = await self._missing_parents(changes)
        return outcome

    async def _look_again(
        self, changes: Sequence[StateChange], outcome: States
    ) -> list[StateChange]:
        """After a failed write: notes in `outcome` what is decided, gives what may be written."""
        znodes = await self._bridge.get_many([paths.state(*change.partition) for change in changes])
        possible = []
        for change, znode in zip(changes, znodes, strict=True):
            now: PartitionState | None = None
            if znode is not None:
                path = paths.state(*change.partition)
                try:
                    now, _ = codec.decode_state(path, znode.data, znode.version)
                except MalformedZnodeError as error:
                    _log.error("%s; it stays as it is until that is mended", error)
                    continue
            version = NEW_STATE_VERSION if now is None else now.version
            if version == change.expected_version:
                possible.append(change)
            else:
                # By somebody else, or by us when only the answer was lost.
                outcome[change.partition] = now
        return possible

    async def _missing_parents(
        self, changes: Sequence[StateChange]
    ) -> dict[TopicPartition, list[Operation]]:
        """What has to be created above new states, where it is not as it usually is."""
        new = [c.partition for c in changes if c.expected_version == NEW_STATE_VERSION]
        topics = sorted({partition.topic for partition in new})
        above = await self._bridge.get_many([paths.partitions(topic) for topic in topics])
        own = await self._bridge.get_many([paths.partition(*partition) for partition in new])
        missing_above = {topic for topic, znode in zip(topics, above, strict=True) if not znode}
        parents: dict[TopicPartition, list[Operation]] = {}
        for partition, znode in zip(new, own, strict=True):
            parents[partition] = []
            if partition.topic in missing_above:
                missing_above.discard(partition.topic)
                parents[partition].append(Create(paths.partitions(partition.topic)))
            if znode is None:
                parents[partition].append(Create(paths.partition(*partition)))
        return parents

    def _write(self, change: StateChange) -> Operation:
        path = paths.state(*change.partition)
        data = codec.encode_state(change.state, self._unknown_members(change.partition))
        if change.expected_version == NEW_STATE_VERSION:
            return Create(path, data)
        return SetData(path, data, change.expected_version)

    def _notice(self, change: StateChange) -> codec.StateNotice:
        unknown = self._unknown_members(change.partition)
        return codec.StateNotice(change.partition, _written(change), unknown)


def _parents(change: StateChange) -> list[Operation]:
    """What is usually missing above a state: nothing, or for a new one the partition's znode."""
    if change.expected_version == NEW_STATE_VERSION:
        return [Create(paths.partition(*change.partition))]
    return []


def _written(change: StateChange) -> PartitionState:
    return replace(change.state, version=change.expected_version + 1)
