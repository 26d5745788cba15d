"""Implements ControllerStore: election, and writes that only the elected controller can do.

Every transaction begins with a check of the version of `/controller_epoch`, which each election
raises: a controller that was replaced without noticing cannot write.
"""

import base64
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final

from kafkalite.broker.ports import (
    ControllerClaim,
    FencedControllerError,
    StoreConflictError,
    TopicUpdate,
)
from kafkalite.controller.events import StateChange
from kafkalite.coordination import codec, paths
from kafkalite.coordination.admin_request_codec import keep_entries
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    ConnectionLostError,
    MalformedZnodeError,
    NodeExistsError,
    TransactionFailedError,
    UnidentifiedTopicError,
)
from kafkalite.coordination.notices import oldest_notices, topic_notice
from kafkalite.coordination.operations import (
    Check,
    Create,
    Delete,
    Operation,
    SetData,
)
from kafkalite.coordination.same_topics import TOPIC_GOES, SameTopics
from kafkalite.coordination.state_writes import States, StateWrites
from kafkalite.model.admin_requests import ElectionRequest, ReassignmentRequest
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicId, TopicPartition
from kafkalite.model.reassignment import complete, is_complete

_log = logging.getLogger(__name__)

KEPT_NOTICES: Final = 2_000
"""The newest so many notices are never removed."""
PRUNE_ABOVE: Final = 3_000
"""How many notices there are before the old ones are removed."""
_TOPIC_IDS: Final = uuid.UUID("a3a4ef8b-6ed5-4b4d-8c0b-6a0a3d1f4f0e")
"""Names the space of ids that are made of a topic's name and of when it was created."""
_COMPLETED_A_TRANSACTION: Final = 500
_DELETES_A_TRANSACTION: Final = 100
_MAX_ATTEMPTS: Final = 5


class ZooKeeperControllerStore:
    """The controller's side of ZooKeeper. Has no state of its own; on the event loop."""

    def __init__(
        self,
        bridge: KazooBridge,
        clock: Clock,
        *,
        catch_up: Callable[[], Awaitable[None]],
        states: StateWrites,
        notice_counts: Callable[[], tuple[int, int]],
    ) -> None:
        """Build on what the ClusterReader knows.

        Args:
            bridge: the connection.
            clock: for the time of an election.
            catch_up: brings the view up to now.
            states: writes partition states.
            notice_counts: how many notices of states and of configurations there are.
        """
        self._bridge = bridge
        self._clock = clock
        self._catch_up = catch_up
        self._states = states
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

    async def depose(self, broker_id: BrokerId) -> None:
        """See ControllerStore."""
        for _ in range(_MAX_ATTEMPTS):
            # Read before the office is looked at: an election in between raises it.
            _, version = await self._read_epoch()
            znode = await self._bridge.get(paths.CONTROLLER)
            if znode is None or codec.decode_controller(paths.CONTROLLER, znode.data) != broker_id:
                return
            try:
                await self._bridge.commit(
                    (Check(paths.CONTROLLER_EPOCH, version), Delete(paths.CONTROLLER))
                )
            except (TransactionFailedError, ConnectionLostError) as error:
                _log.debug("Deposing broker %d: %s", broker_id, error)
        raise StoreConflictError(f"Broker {broker_id} cannot be deposed: the office keeps changing")

    # -- partition states -----------------------------------------------------------------------

    async def write_states(self, claim: ControllerClaim, changes: Sequence[StateChange]) -> States:
        """See ControllerStore."""
        return await self._states.write(changes, partial(self._commit, claim))

    # -- reassignments --------------------------------------------------------------------------

    async def complete_reassignment(
        self, claim: ControllerClaim, name: str, partitions: Collection[int]
    ) -> None:
        """See ControllerStore."""
        numbers = sorted(partitions)
        for start in range(0, len(numbers), _COMPLETED_A_TRANSACTION):
            await self._complete(claim, name, numbers[start : start + _COMPLETED_A_TRANSACTION])

    async def _complete(self, claim: ControllerClaim, name: str, numbers: Sequence[int]) -> None:
        path = paths.topic(name)
        for _ in range(_MAX_ATTEMPTS):
            znode = await self._bridge.get(path)
            if znode is None:
                return
            topic, members = codec.decode_topic(path, znode.data, name, {})
            states = await self._read_states(name, topic.moving.intersection(numbers))
            done = [n for n, state in states.items() if is_complete(topic, n, state)]
            if not done:
                return
            payload = codec.encode_topic(complete(topic, done), members)
            # That a state has become another one meanwhile must keep its partition as it is.
            operations: list[Operation] = [
                Check(paths.state(name, number), states[number].version) for number in done
            ]
            operations.append(SetData(path, payload, znode.version))
            operations.append(topic_notice(name))
            try:
                await self._commit(claim, operations)
            except (TransactionFailedError, ConnectionLostError) as error:
                _log.debug("Completing reassignments of %s: %s", name, error)
            else:
                return
        raise StoreConflictError(f"Reassignments of topic {name} cannot be completed: it changes")

    async def _read_states(self, name: str, numbers: Collection[int]) -> dict[int, PartitionState]:
        """States of those partitions that have a readable one."""
        ordered = sorted(numbers)
        znodes = await self._bridge.get_many([paths.state(name, number) for number in ordered])
        states = {}
        for number, znode in zip(ordered, znodes, strict=True):
            if znode is not None:
                try:
                    path = paths.state(name, number)
                    states[number], _ = codec.decode_state(path, znode.data, znode.version)
                except MalformedZnodeError as error:
                    _log.error("%s; its partition goes on moving until that is mended", error)
        return states

    # -- requests of older tools ----------------------------------------------------------------

    async def identify_topic(self, claim: ControllerClaim, name: str) -> None:
        """See ControllerStore."""
        path = paths.topic(name)
        znode = await self._bridge.get(path)
        if znode is None:
            return
        try:
            codec.decode_topic(path, znode.data, name, {})
        except UnidentifiedTopicError:
            made = uuid.uuid5(_TOPIC_IDS, f"{name} {znode.created}")
            topic_id = TopicId(base64.urlsafe_b64encode(made.bytes).decode().rstrip("="))
            payload = codec.identify_topic(path, znode.data, topic_id)
            operations: list[Operation] = [
                SetData(path, payload, znode.version),
                Create(paths.partitions(name)),
                topic_notice(name),
            ]
            try:
                await self._commit(claim, operations)
            except TransactionFailedError as error:
                _log.info("Giving topic %s an id: %s", name, error)

    async def begin_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        name: str,
        update: TopicUpdate,
    ) -> None:
        """See ControllerStore."""
        path = paths.topic(name)
        same_request = Check(paths.REASSIGN_PARTITIONS, request.version)
        same_topic: SameTopics | None = None
        for _ in range(_MAX_ATTEMPTS):
            znode = await self._bridge.get(path)
            if znode is None:
                return
            topic, members = codec.decode_topic(path, znode.data, name, {})
            if same_topic is None:
                same_topic = SameTopics(self._bridge, {name: topic.topic_id})
            await same_topic.look()
            written = update(topic)
            if same_topic.gone or written == topic:
                return
            payload = codec.encode_topic(written, members)
            operations: list[Operation] = [
                same_request,
                same_topic.unchanged,
                SetData(path, payload, znode.version),
                topic_notice(name),
            ]
            try:
                await self._commit(claim, operations)
            except TransactionFailedError as error:
                if error.index == 1:
                    return  # what is asked for now will be looked at anew
            except ConnectionLostError as error:
                _log.debug("Beginning reassignments of %s: %s", name, error)
            else:
                return
        raise StoreConflictError(f"Topic {name} cannot be reassigned: it keeps changing")

    async def keep_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        targets: Mapping[TopicPartition, tuple[BrokerId, ...]],
    ) -> bool:
        """See ControllerStore."""
        path = paths.REASSIGN_PARTITIONS
        if not targets:
            return await self._settle(claim, Delete(path, request.version))
        znode = await self._bridge.get(path)
        if znode is None or znode.version != request.version:
            return False
        payload = keep_entries(znode.data, targets.keys())
        return await self._settle(claim, SetData(path, payload, request.version))

    async def drop_election(self, claim: ControllerClaim, request: ElectionRequest) -> bool:
        """See ControllerStore."""
        operation = Delete(paths.PREFERRED_REPLICA_ELECTION, request.version)
        return await self._settle(claim, operation)

    async def _settle(self, claim: ControllerClaim, operation: Operation) -> bool:
        """Change a request where it is still the same; False: it is not."""
        try:
            await self._commit(claim, (operation,))
        except TransactionFailedError as error:
            _log.debug("A request is another one by now: %s", error)
            return False
        return True

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
            try:
                # Whoever creates the topic anew has no request beside it, and is not touched.
                await self._delete(claim, below, Check(request))
                # The topic and the request together: one without the other would be misread.
                operations: list[Operation] = [Delete(path) for path in there]
                operations += [TOPIC_GOES, topic_notice(name)]
                await self._commit(claim, operations)
            except (TransactionFailedError, ConnectionLostError) as error:
                _log.debug("Removing topic %s: %s", name, error)
            else:
                return  # what there is under the name from now on is another topic
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
