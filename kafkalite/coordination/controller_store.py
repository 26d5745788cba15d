"""Implements ControllerStore: election, and writes that only the elected controller can do.

Every transaction begins with a check of the version of `/controller_epoch`, which each election
raises: a controller that was replaced without noticing cannot write.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final

from kafkalite.broker.ports import ControllerClaim, FencedControllerError, StoreConflictError
from kafkalite.controller.events import NEW_STATE_VERSION, StateChange
from kafkalite.coordination import codec, paths
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    ConnectionLostError,
    MalformedZnodeError,
    NodeExistsError,
    TransactionFailedError,
)
from kafkalite.coordination.notices import oldest_notices
from kafkalite.coordination.operations import (
    Check,
    Create,
    Delete,
    Operation,
    SetData,
)
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicPartition

_log = logging.getLogger(__name__)

KEPT_NOTICES: Final = 2_000
"""The newest so many notices are never removed."""
PRUNE_ABOVE: Final = 3_000
"""How many notices there are before the old ones are removed."""
_STATES_A_TRANSACTION: Final = 40
_DELETES_A_TRANSACTION: Final = 100
_MAX_ATTEMPTS: Final = 5

States = dict[TopicPartition, PartitionState | None]


class ZooKeeperControllerStore:
    """The controller's side of ZooKeeper. Has no state of its own; on the event loop."""

    def __init__(
        self,
        bridge: KazooBridge,
        clock: Clock,
        *,
        catch_up: Callable[[], Awaitable[None]],
        unknown_members: Callable[[TopicPartition], codec.Members],
        notice_counts: Callable[[], tuple[int, int]],
    ) -> None:
        """Build on what the ClusterReader knows.

        Args:
            bridge: the connection.
            clock: for the time of an election.
            catch_up: brings the view up to now.
            unknown_members: what a state holds that has to be kept.
            notice_counts: how many notices of states and of configurations there are.
        """
        self._bridge = bridge
        self._clock = clock
        self._catch_up = catch_up
        self._unknown_members = unknown_members
        self._notice_counts = notice_counts

    # -- election -------------------------------------------------------------------------------

    async def claim(self, broker_id: BrokerId) -> ControllerClaim | None:
        """See ControllerStore."""
        for _ in range(_MAX_ATTEMPTS):
            holder = await self._bridge.get(paths.CONTROLLER)
            if holder is not None:
                return await self._own_claim(broker_id, holder.owner)
            epoch, version = await self._read_epoch()
            operations: list[Operation] = [
                SetData(paths.CONTROLLER_EPOCH, codec.encode_controller_epoch(epoch + 1), version),
                Create(
                    paths.CONTROLLER,
                    codec.encode_controller(broker_id, self._clock.wall_ms()),
                    ephemeral=True,
                ),
            ]
            try:
                await self._bridge.commit(operations)
            except (TransactionFailedError, ConnectionLostError) as error:
                # Lost the race, or does not know: the next look tells.
                _log.debug("Election: %s", error)
        return None

    async def _own_claim(self, broker_id: BrokerId, owner: int) -> ControllerClaim | None:
        """The claim that goes with the controller's znode, if it is this session's."""
        session = self._bridge.session
        if session is None or session.session_id != owner:
            return None
        epoch, version = await self._read_epoch()
        return ControllerClaim(broker_id, epoch, version)

    async def _read_epoch(self) -> tuple[ControllerEpoch, int]:
        znode = await self._bridge.get(paths.CONTROLLER_EPOCH)
        while znode is None:
            try:
                await self._bridge.create(paths.CONTROLLER_EPOCH, codec.encode_controller_epoch(0))
            except (NodeExistsError, ConnectionLostError) as error:
                _log.debug("Making the controller epoch: %s", error)
            znode = await self._bridge.get(paths.CONTROLLER_EPOCH)
        return codec.decode_controller_epoch(paths.CONTROLLER_EPOCH, znode.data), znode.version

    async def catch_up(self) -> None:
        """See ControllerStore."""
        await self._catch_up()

    # -- partition states -----------------------------------------------------------------------

    async def write_states(self, claim: ControllerClaim, changes: Sequence[StateChange]) -> States:
        """See ControllerStore."""
        outcome: States = {}
        rest = iter(changes)
        while batch := list(islice(rest, _STATES_A_TRANSACTION)):
            outcome |= await self._write_batch(claim, batch)
        return outcome

    async def _write_batch(self, claim: ControllerClaim, changes: list[StateChange]) -> States:
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
                await self._commit(claim, operations)
            except (TransactionFailedError, ConnectionLostError) as error:
                _log.debug("Writing %d states: %s", len(changes), error)
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

    # -- removals -------------------------------------------------------------------------------

    async def remove_topic(self, claim: ControllerClaim, name: str) -> None:
        """See ControllerStore."""
        request = paths.delete_topic(name)
        tops = (paths.partitions(name), paths.topic(name), paths.topic_config(name), request)
        for _ in range(_MAX_ATTEMPTS):
            below = await self._list_partitions(name)
            znodes = await self._bridge.get_many(tops)
            there = [path for path, znode in zip(tops, znodes, strict=True) if znode is not None]
            if paths.topic(name) not in there:
                return  # the last transaction took the request with it
            if request not in there:
                raise StoreConflictError(f"Nobody asks to delete topic {name} any more")
            notice = codec.encode_change_notice([name])
            try:
                # Whoever creates the topic anew has no request beside it, and is not touched.
                await self._delete(claim, below, Check(request))
                # The topic and the request together: one without the other would be misread.
                operations: list[Operation] = [Delete(path) for path in there]
                operations.append(Create(paths.state_change(), notice, sequential=True))
                await self._commit(claim, operations)
            except (TransactionFailedError, ConnectionLostError) as error:
                _log.debug("Removing topic %s: %s", name, error)
        if await self._bridge.get(paths.topic(name)) is not None:
            raise StoreConflictError(f"Topic {name} cannot be removed: its znodes keep changing")

    async def _list_partitions(self, name: str) -> list[str]:
        """All znodes below the topic's partitions, children before their parents."""
        numbers = await self._bridge.children(paths.partitions(name)) or []
        found = [f"{paths.partitions(name)}/{number}" for number in numbers]
        below: list[str] = []
        for path, children in zip(found, await self._bridge.children_many(found), strict=True):
            below += [f"{path}/{child}" for child in children or ()]
            below.append(path)
        return below

    async def drop_deletion(self, claim: ControllerClaim, name: str) -> None:
        """See ControllerStore."""
        for _ in range(_MAX_ATTEMPTS):
            if await self._bridge.get(paths.delete_topic(name)) is None:
                return
            try:
                await self._delete(claim, [paths.delete_topic(name)])
            except (TransactionFailedError, ConnectionLostError) as error:
                _log.debug("Dropping the deletion of %s: %s", name, error)
        raise StoreConflictError(f"The request to delete topic {name} cannot be removed")

    async def prune_notices(self, claim: ControllerClaim) -> None:
        """See ControllerStore."""
        parents = (paths.STATE_CHANGES, paths.CONFIG_CHANGES)
        for parent, count in zip(parents, self._notice_counts(), strict=True):
            if count > PRUNE_ABOVE:
                try:
                    old = await oldest_notices(self._bridge, parent, KEPT_NOTICES)
                    await self._delete(claim, old)
                except TransactionFailedError as error:
                    _log.info("Removing old notices: %s", error)

    async def _delete(
        self, claim: ControllerClaim, doomed: Sequence[str], *conditions: Operation
    ) -> None:
        for start in range(0, len(doomed), _DELETES_A_TRANSACTION):
            some = doomed[start : start + _DELETES_A_TRANSACTION]
            await self._commit(claim, [*conditions, *(Delete(path) for path in some)])

    async def _commit(self, claim: ControllerClaim, operations: Sequence[Operation]) -> None:
        check = Check(paths.CONTROLLER_EPOCH, claim.epoch_version)
        try:
            await self._bridge.commit((check, *operations))
        except TransactionFailedError as error:
            if error.index == 0:
                raise FencedControllerError(
                    f"Broker {claim.broker_id} is no longer the controller (epoch {claim.epoch})"
                ) from error
            raise


def _parents(change: StateChange) -> list[Operation]:
    """What is usually missing above a state: nothing, or for a new one the partition's znode."""
    if change.expected_version == NEW_STATE_VERSION:
        return [Create(paths.partition(*change.partition))]
    return []


def _written(change: StateChange) -> PartitionState:
    state = change.state
    return PartitionState(
        state.leader,
        state.leader_epoch,
        state.isr,
        state.controller_epoch,
        change.expected_version + 1,
    )
