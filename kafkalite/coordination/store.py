"""Implements MetadataStore: what any broker may change, by compare-and-set.

Each change is one transaction that holds the change and the notice of it. Where the connection
breaks, whether it happened is looked up, never guessed, before anything is written again.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import Enum, auto
from typing import Final

from kafkalite.broker.ports import ConfigUpdate, StoreConflictError, TopicUpdate
from kafkalite.controller.events import StateChange
from kafkalite.coordination import codec, paths
from kafkalite.coordination.admin_request_codec import keep_entries, read_reassignment
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    BadVersionError,
    ConnectionLostError,
    NodeExistsError,
    NoNodeError,
    TransactionFailedError,
)
from kafkalite.coordination.notices import topic_notice
from kafkalite.coordination.operations import Create, Operation, SetData, Znode
from kafkalite.coordination.producer_id_blocks import claim_block
from kafkalite.coordination.same_topics import SameTopics
from kafkalite.coordination.state_writes import States, StateWrites
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    InvalidRequestError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition

_MAX_ATTEMPTS: Final = 10
MAX_PAYLOAD_BYTES: Final = 512 * 1024
"""Of what one transaction writes: ZooKeeper refuses packets of 1 MiB, and drops the connection."""


class _Outcome(Enum):
    DONE = auto()
    REFUSED = auto()
    """Something had changed meanwhile; nothing was written."""
    UNKNOWN = auto()
    """The connection broke before the answer came."""


class ZooKeeperStore:
    """The cluster's metadata in ZooKeeper. Has no state; on the event loop."""

    def __init__(
        self, bridge: KazooBridge, states: StateWrites, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        """Build; `states` writes partition states, `catch_up` brings the view up to now."""
        self._bridge = bridge
        self._states = states
        self._catch_up = catch_up

    async def catch_up(self) -> None:
        """See MetadataStore."""
        await self._catch_up()

    async def create_topic(self, topic: Topic) -> None:
        """See MetadataStore."""
        payload = codec.encode_topic(topic)
        config = codec.encode_config(topic.config)
        config_path = paths.topic_config(topic.name)
        for _ in range(_MAX_ATTEMPTS):
            leftover = await self._bridge.get(config_path)
            operations: list[Operation] = [
                Create(paths.topic(topic.name), payload),
                Create(paths.partitions(topic.name)),
                Create(config_path, config)
                if leftover is None
                else SetData(config_path, config, leftover.version),
                topic_notice(topic.name),
            ]
            if await self._commit(operations) is _Outcome.DONE:
                return
            stored = await self._bridge.get(paths.topic(topic.name))
            if stored is not None:
                found, _ = codec.decode_topic(paths.topic(topic.name), stored.data, topic.name, {})
                if found.topic_id == topic.topic_id:
                    return  # the answer was lost, not the request
                raise TopicAlreadyExistsError(f"Topic '{topic.name}' already exists.")
        raise _conflict(topic.name)

    async def update_topic(self, name: str, update: TopicUpdate) -> Topic:
        """See MetadataStore."""
        path = paths.topic(name)
        unconfirmed: Topic | None = None
        meant = await self._meant(name)
        for _ in range(_MAX_ATTEMPTS):
            await meant.look()
            before = await self._existing_topic(name)
            if meant.gone:
                raise _unknown(name)
            topic, members = codec.decode_topic(path, before.data, name, {})
            if topic == unconfirmed:
                return topic  # the answer to the last attempt was lost, not the request
            written = update(topic)
            replacing = SetData(path, codec.encode_topic(written, members), before.version)
            outcome = await self._commit((meant.unchanged, replacing, topic_notice(name)))
            if outcome is _Outcome.DONE:
                return written
            unconfirmed = written if outcome is _Outcome.UNKNOWN else None
        raise _conflict(name)

    async def write_isr(self, changes: Sequence[StateChange]) -> States:
        """See MetadataStore."""
        meant = {c.partition.topic: c.topic_id for c in changes if c.topic_id is not None}
        topics = SameTopics(self._bridge, meant)
        await topics.look()
        ours = [c for c in changes if c.partition.topic not in topics.gone | topics.unknown]
        outcome: States = {c.partition: None for c in changes if c.partition.topic in topics.gone}
        return outcome | await self._states.write(ours, topics.commit)

    async def update_topic_config(self, name: str, update: ConfigUpdate) -> Mapping[str, str]:
        """See MetadataStore."""
        return await self._update_config(f"topics/{name}", paths.topic_config(name), update, name)

    async def update_broker_config(self, entity: str, update: ConfigUpdate) -> Mapping[str, str]:
        """See MetadataStore."""
        return await self._update_config(f"brokers/{entity}", paths.broker_config(entity), update)

    async def claim_producer_ids(self, broker_id: int) -> range:
        """See MetadataStore."""
        return await claim_block(self._bridge, broker_id)

    async def request_topic_deletion(self, name: str) -> None:
        """See MetadataStore."""
        meant = await self._meant(name)
        for _ in range(_MAX_ATTEMPTS):
            await meant.look()
            if meant.gone:
                return  # as it shall be, and what there may be by now is another topic
            operations = (meant.unchanged, Create(paths.delete_topic(name)))
            if await self._commit(operations) is _Outcome.DONE:
                return
            if await self._bridge.get(paths.delete_topic(name)) is not None:
                return
        raise _conflict(name)

    async def withdraw_reassignments(self, partitions: Collection[TopicPartition]) -> None:
        """See MetadataStore."""
        path = paths.REASSIGN_PARTITIONS
        for _ in range(_MAX_ATTEMPTS):
            znode = await self._bridge.get(path)
            if znode is None:
                return
            asked = read_reassignment(znode).targets.keys()
            if asked.isdisjoint(partitions):
                return
            # Even with nothing left in it, the controller removes it, and nobody else.
            payload = keep_entries(znode.data, asked - set(partitions))
            if await self._commit((SetData(path, payload, znode.version),)) is _Outcome.DONE:
                return
        raise _conflict(path)

    async def _update_config(
        self, entity: str, path: str, update: ConfigUpdate, topic: str | None = None
    ) -> Mapping[str, str]:
        meant = None if topic is None else await self._meant(topic)
        unconfirmed: Mapping[str, str] | None = None
        for _ in range(_MAX_ATTEMPTS):
            if meant is not None:
                await meant.look()
                if meant.gone:
                    raise _unknown(topic or entity)
            before = await self._bridge.get(path)
            config, members = codec.decode_config(path, before.data) if before else ({}, {})
            if config == unconfirmed:
                return config  # the answer to the last attempt was lost, not the request
            written = update(config)
            payload = codec.encode_config(written, members)
            operations = [
                *(() if meant is None else (meant.unchanged,)),
                SetData(path, payload, before.version) if before else Create(path, payload),
                Create(paths.config_change(), codec.encode_config_change(entity), sequential=True),
            ]
            outcome = await self._commit(operations)
            if outcome is _Outcome.DONE:
                return written
            unconfirmed = written if outcome is _Outcome.UNKNOWN else None
        raise _conflict(entity)

    async def _existing_topic(self, name: str) -> Znode:
        znode = await self._bridge.get(paths.topic(name))
        if znode is None:
            raise _unknown(name)
        return znode

    async def _meant(self, name: str) -> SameTopics:
        """The topic that has the name now: one that gets it later is another one."""
        znode = await self._existing_topic(name)
        topic, _ = codec.decode_topic(paths.topic(name), znode.data, name, {})
        return SameTopics(self._bridge, {name: topic.topic_id})

    async def _commit(self, operations: Sequence[Operation]) -> _Outcome:
        """Commit; whatever comes of it but DONE, the caller looks again."""
        size = sum(len(op.data) for op in operations if isinstance(op, Create | SetData))
        if size > MAX_PAYLOAD_BYTES:
            raise InvalidRequestError(
                f"The request makes {size} bytes of metadata at once; "
                f"at most {MAX_PAYLOAD_BYTES} are allowed"
            )
        try:
            await self._bridge.commit(operations)
        except ConnectionLostError:
            return _Outcome.UNKNOWN
        except TransactionFailedError as error:
            if not isinstance(error.cause, NodeExistsError | NoNodeError | BadVersionError):
                raise
            return _Outcome.REFUSED
        return _Outcome.DONE


def _unknown(name: str) -> UnknownTopicOrPartitionError:
    return UnknownTopicOrPartitionError(f"Topic '{name}' does not exist")


def _conflict(what: str) -> Exception:
    return StoreConflictError(f"{what}: it keeps being changed by others")
