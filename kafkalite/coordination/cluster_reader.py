"""Keeps the MetadataView at what ZooKeeper says."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import Final

from kafkalite.broker.metadata_view import (
    ClusterPicture,
    ClusterUpdate,
    MetadataView,
    StateAt,
    TopicAt,
)
from kafkalite.coordination import codec, paths
from kafkalite.coordination.admin_request_codec import read_election, read_reassignment
from kafkalite.coordination.bridge import KazooBridge
from kafkalite.coordination.errors import (
    ConnectionLostError,
    CoordinationError,
    MalformedZnodeError,
    UnidentifiedTopicError,
)
from kafkalite.coordination.notices import NoticeReader
from kafkalite.coordination.operations import Znode
from kafkalite.model.admin_requests import NO_REQUESTS, AdminRequests
from kafkalite.model.cluster import Broker, Topic
from kafkalite.model.ids import BrokerId, TopicPartition

_log = logging.getLogger(__name__)

REREAD_INTERVAL_S: Final = 300.0
"""Everything is read again this often, whatever the notices said."""
_RETRY_AFTER_S: Final = 1.0


class Source(Enum):
    """Parts of ZooKeeper that have a watch each, and everything."""

    CONTROLLER = auto()
    BROKERS = auto()
    TOPICS = auto()
    DELETIONS = auto()
    ADMIN_REQUESTS = auto()
    STATE_CHANGES = auto()
    CONFIG_CHANGES = auto()
    EVERYTHING = auto()


_WATCHED: Final = frozenset(Source) - {Source.EVERYTHING}


class _SessionChangedError(Exception):
    """What was read may be older than what the view has: read it again."""


class ClusterReader:
    """The one writer of the MetadataView.

    Owns a task that reads again what a watch, a notice or the clock says is out of date: one thing
    after the other, so what it applies is in order. Owned by ZooKeeperCoordination. Watches are on
    eight znodes, none on a partition. Life: `load`, `start`, `stop`.
    """

    def __init__(self, bridge: KazooBridge, view: MetadataView, cluster_id: str) -> None:
        self._bridge = bridge
        self._view = view
        self._cluster_id = cluster_id
        self._stale: set[Source] = set()
        self._is_stale = asyncio.Event()
        self._everything_changed = False
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._watches: Mapping[Source, Callable[[], None]] = {
            source: partial(self.mark, source) for source in Source
        }
        self._state_changes = NoticeReader(
            bridge, paths.STATE_CHANGES, self._watches[Source.STATE_CHANGES]
        )
        self._config_changes = NoticeReader(
            bridge, paths.CONFIG_CHANGES, self._watches[Source.CONFIG_CHANGES]
        )
        self._unknown_members: dict[TopicPartition, codec.Members] = {}
        self._admin_requests = NO_REQUESTS
        self._unidentified: set[str] = set()
        self._generation = -1

    @property
    def notice_counts(self) -> tuple[int, int]:
        """How many notices of states and of configurations there are."""
        return self._state_changes.count, self._config_changes.count

    def unknown_members(self, partition: TopicPartition) -> codec.Members:
        """Members of a partition's state that only newer programs know, to be kept."""
        return self._unknown_members.get(partition, codec.NO_MEMBERS)

    async def load(self) -> None:
        """Read everything for the first time.

        Raises:
            CoordinationError: no connection, or a topic's payload is malformed; it names the path.
        """
        while True:
            await self._bridge.sync()
            self._generation = self._bridge.generation
            try:
                await self._read_everything()
            except _SessionChangedError:
                continue  # the session was lost meanwhile, and there is another
            return

    def start(self) -> None:
        """Follow what changes from now on."""
        self._task = asyncio.create_task(self._follow(), name="cluster-reader")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None
        for done in self._waiting:
            if not done.done():
                done.set_exception(ConnectionLostError("The broker is stopping"))

    def mark(self, source: Source) -> None:
        """Say that a part has changed."""
        self._stale.add(source)
        self._is_stale.set()

    def mark_watched(self) -> None:
        """Say that the watches are gone, because the connection was: look at all of them again."""
        self._stale |= _WATCHED
        self._is_stale.set()

    async def catch_up(self) -> None:
        """Wait until the view has all that was written, with a notice of it, before this call.

        Raises:
            CoordinationError: it could not be read.
        """
        self.mark_watched()
        await self._wait_for_pass()

    async def reload(self, *, everything_changed: bool = False) -> None:
        """Read everything, no older than now, and wait until the view has it.

        Args:
            everything_changed: have the view tell its subscribers about all there is.

        Raises:
            CoordinationError: it could not be read.
        """
        self._everything_changed |= everything_changed
        self.mark(Source.EVERYTHING)
        await self._wait_for_pass()

    async def _wait_for_pass(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        await done

    # -- the task -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        next_reread = loop.time() + REREAD_INTERVAL_S
        while True:
            try:
                async with asyncio.timeout_at(next_reread):
                    await self._is_stale.wait()
            except TimeoutError:
                self.mark(Source.EVERYTHING)
            stale, self._stale = self._stale, set()
            self._is_stale.clear()
            if Source.EVERYTHING in stale:
                next_reread = loop.time() + REREAD_INTERVAL_S
            await self._refresh(stale)

    async def _refresh(self, stale: set[Source]) -> None:
        """Read what is stale; what cannot be read stays stale and is tried again."""
        waiting, self._waiting = self._waiting, []
        try:
            await self._read(stale, catching_up=bool(waiting))
        except asyncio.CancelledError:
            self._waiting += waiting
            raise
        except _SessionChangedError:
            self._waiting += waiting
            self._stale |= stale
            self._is_stale.set()
        except CoordinationError as error:
            _log.warning("Reading the cluster's metadata: %s", error)
            await self._retry_later(stale, waiting, error)
        except Exception as error:  # noqa: BLE001 - a bug here must not leave the broker blind
            _log.exception("Reading the cluster's metadata failed")
            await self._retry_later(stale, waiting, CoordinationError(repr(error)))
        else:
            if Source.EVERYTHING in self._stale:
                self._waiting += waiting  # notices were missed: the next pass reads everything
            else:
                for done in waiting:
                    if not done.done():
                        done.set_result(None)

    async def _read(self, stale: set[Source], *, catching_up: bool) -> None:
        if catching_up or self._bridge.generation != self._generation:
            await self._begin_anew()
        if Source.EVERYTHING in stale:
            await self._read_everything()
        else:
            await self._read_some(stale)

    async def _begin_anew(self) -> None:
        """Make sure that what is read next is not older than what the view has.

        Within a session ZooKeeper sees to that; in a new one the server may be behind, or have
        lost all it had. Taking that for the truth would delete every log.
        """
        await self._bridge.sync()
        generation = self._bridge.generation
        if generation == self._generation:
            return
        found = await self._bridge.get(paths.CLUSTER_ID)
        cluster_id = codec.decode_cluster_id(paths.CLUSTER_ID, found.data) if found else "none"
        if cluster_id != self._cluster_id:
            raise CoordinationError(
                f"ZooKeeper holds another cluster: its id was {self._cluster_id}, now it is "
                f"{cluster_id}. Nothing of it is believed until the right one is back."
            )
        self._generation = generation

    def _check_session(self) -> None:
        if self._bridge.generation != self._generation:
            raise _SessionChangedError

    async def _retry_later(
        self, stale: set[Source], waiting: list[asyncio.Future[None]], error: CoordinationError
    ) -> None:
        for done in waiting:
            if not done.done():
                done.set_exception(error)
        self._stale |= stale
        await asyncio.sleep(_RETRY_AFTER_S)
        self._is_stale.set()

    # -- reading --------------------------------------------------------------------------------

    async def _read_everything(self) -> None:
        # The notices first: what they say is then older than what is read after them.
        await self._state_changes.skip()
        await self._config_changes.skip()
        controller = await self._read_controller()
        brokers = await self._read_brokers()
        deletions = await self._read_deletions()
        await self._read_admin_requests()
        names = await self._children(Source.TOPICS, paths.TOPICS)
        self._unidentified.clear()
        topics = await self._read_topics(names, strict=not self._view.is_loaded)
        states = await self._read_states(topics)
        picture = ClusterPicture(
            self._cluster_id,
            controller,
            brokers,
            {name: topic for name, topic in topics.items() if topic is not None},
            states,
            await self._read_broker_configs(),
            deletions,
            self._all_requests(),
        )
        self._check_session()
        everything_changed, self._everything_changed = self._everything_changed, False
        self._view.replace(picture, everything_changed=everything_changed)

    async def _read_some(self, stale: set[Source]) -> None:
        controller = brokers = deletions = None
        if Source.CONTROLLER in stale:
            controller = (await self._read_controller(),)
        if Source.BROKERS in stale:
            brokers = await self._read_brokers()
        if Source.DELETIONS in stale:
            deletions = await self._read_deletions()
        if Source.ADMIN_REQUESTS in stale:
            await self._read_admin_requests()
        self._apply(ClusterUpdate(controller, brokers, deletions=deletions))
        if Source.TOPICS in stale:
            await self._follow_topic_names()
        if Source.STATE_CHANGES in stale:
            await self._follow_state_changes()
        if Source.CONFIG_CHANGES in stale:
            await self._follow_config_changes()

    async def _follow_topic_names(self) -> None:
        names = set(await self._children(Source.TOPICS, paths.TOPICS))
        self._unidentified &= names
        known = self._view.topics.keys()
        topics = await self._read_topics(names - known)
        self._apply(ClusterUpdate(topics={**topics, **dict.fromkeys(known - names)}))

    async def _follow_state_changes(self) -> None:
        notices = await self._state_changes.read_new()
        if notices is None:
            self.mark(Source.EVERYTHING)
            return
        names: set[str] = set()
        states: dict[TopicPartition, StateAt] = {}
        for path, znode in notices:
            try:
                notice = codec.decode_change_notice(path, znode.data)
            except MalformedZnodeError as error:
                _log.error("%s; reading everything instead", error)
                self.mark(Source.EVERYTHING)
                continue
            names.update(notice.topics)
            for entry in notice.states:
                states[entry.partition] = StateAt(entry.state, znode.created)
                self._keep_unknown(entry.partition, entry.unknown)
        names.update(p.topic for p in states if p.topic not in self._view.topics)
        topics = await self._read_topics(names)
        self._apply(ClusterUpdate(topics=topics, states=states))

    async def _follow_config_changes(self) -> None:
        notices = await self._config_changes.read_new()
        if notices is None:
            self.mark(Source.EVERYTHING)
            return
        topics: set[str] = set()
        entities: set[str] = set()
        for path, znode in notices:
            try:
                kind, _, name = codec.decode_config_change(path, znode.data).partition("/")
            except MalformedZnodeError as error:
                _log.error("%s; reading everything instead", error)
                self.mark(Source.EVERYTHING)
                continue
            if kind == "topics":
                topics.add(name)
            elif kind == "brokers":
                entities.add(name)
        self._apply(
            ClusterUpdate(
                topics=await self._read_topics(topics),
                broker_configs=await self._read_broker_configs(entities),
            )
        )

    def _apply(self, update: ClusterUpdate) -> None:
        self._check_session()
        self._view.apply(replace(update, admin_requests=self._all_requests()))

    async def _children(self, source: Source, path: str) -> list[str]:
        return await self._bridge.children(path, self._watches[source]) or []

    async def _read_controller(self) -> BrokerId | None:
        znode = await self._bridge.get(paths.CONTROLLER, self._watches[Source.CONTROLLER])
        return codec.decode_controller(paths.CONTROLLER, znode.data) if znode else None

    async def _read_brokers(self) -> dict[BrokerId, Broker]:
        names = await self._children(Source.BROKERS, paths.BROKER_IDS)
        ids = sorted(int(name) for name in names if name.isdecimal())
        brokers = {}
        znodes = await self._bridge.get_many([paths.broker(broker_id) for broker_id in ids])
        for broker_id, znode in zip(ids, znodes, strict=True):
            if znode is not None:  # else it went since, and the watch has fired
                try:
                    brokers[BrokerId(broker_id)] = codec.decode_broker(
                        paths.broker(broker_id), znode.data, broker_id, znode.created
                    )
                except MalformedZnodeError as error:
                    _log.error("%s; the broker is left out", error)
        return brokers

    async def _read_deletions(self) -> frozenset[str]:
        return frozenset(await self._children(Source.DELETIONS, paths.DELETE_TOPICS))

    async def _read_admin_requests(self) -> None:
        watch = self._watches[Source.ADMIN_REQUESTS]
        moves = await self._bridge.get(paths.REASSIGN_PARTITIONS, watch)
        election = await self._bridge.get(paths.PREFERRED_REPLICA_ELECTION, watch)
        self._admin_requests = AdminRequests(
            None if moves is None else read_reassignment(moves),
            None if election is None else read_election(election),
        )

    def _all_requests(self) -> AdminRequests:
        return replace(self._admin_requests, unidentified=frozenset(self._unidentified))

    async def _read_topics(
        self, names: Collection[str], *, strict: bool = False
    ) -> dict[str, TopicAt | None]:
        """Read topics with their configurations; None: gone.

        One that is malformed stays as it was, or with `strict` raises: taking it for deleted, or
        for one with default settings, would cost its records.
        """
        ordered = sorted(names)
        znodes = await self._bridge.get_many([paths.topic(name) for name in ordered])
        configs = await self._bridge.get_many([paths.topic_config(name) for name in ordered])
        topics: dict[str, TopicAt | None] = {}
        self._unidentified.difference_update(ordered)
        for name, znode, config in zip(ordered, znodes, configs, strict=True):
            if znode is None or await self._is_unidentified(name, znode):
                topics[name] = None
                continue
            try:
                topics[name] = TopicAt(_decode_topic(name, znode, config), znode.created)
            except MalformedZnodeError as error:
                if strict:
                    raise
                _log.error("%s; the topic stays as it was", error)
                known = self._view.topics.get(name)
                if known is not None:
                    topics[name] = TopicAt(known, znode.created)
        return topics

    async def _is_unidentified(self, name: str, znode: Znode) -> bool:
        """Whether a topic waits for its id; one that had partitions has lost it: another matter."""
        try:
            codec.decode_topic(paths.topic(name), znode.data, name, {})
        except UnidentifiedTopicError:
            if await self._bridge.get(paths.partitions(name)) is None:
                self._unidentified.add(name)
                return True
        except MalformedZnodeError:
            pass
        return False

    async def _read_states(
        self, topics: Mapping[str, TopicAt | None]
    ) -> dict[TopicPartition, StateAt]:
        partitions = [
            TopicPartition(name, number)
            for name, entry in topics.items()
            if entry is not None
            for number in entry.topic.assignment
        ]
        znodes = await self._bridge.get_many([paths.state(*partition) for partition in partitions])
        self._unknown_members.clear()
        states = {}
        for partition, znode in zip(partitions, znodes, strict=True):
            entry = self._decode_state(partition, znode)
            if entry is not None:
                states[partition] = entry
        return states

    def _decode_state(self, partition: TopicPartition, znode: Znode | None) -> StateAt | None:
        if znode is None:
            return None
        try:
            state, unknown = codec.decode_state(paths.state(*partition), znode.data, znode.version)
        except MalformedZnodeError as error:
            _log.error("%s; the partition has no state until that is mended", error)
            return None
        self._keep_unknown(partition, unknown)
        return StateAt(state, znode.modified)

    def _keep_unknown(self, partition: TopicPartition, unknown: codec.Members) -> None:
        if unknown:
            self._unknown_members[partition] = unknown
        else:
            self._unknown_members.pop(partition, None)

    async def _read_broker_configs(
        self, entities: Iterable[str] | None = None
    ) -> dict[str, Mapping[str, str]]:
        """Dynamic overrides by entity, of all where none is named; malformed ones as they were."""
        if entities is None:
            entities = await self._bridge.children(paths.BROKER_CONFIGS) or []
        ordered = sorted(entities)
        znodes = await self._bridge.get_many([paths.broker_config(name) for name in ordered])
        configs: dict[str, Mapping[str, str]] = {}
        for name, znode in zip(ordered, znodes, strict=True):
            try:
                configs[name] = _decode_config(paths.broker_config(name), znode)
            except MalformedZnodeError as error:
                _log.error("%s; the settings stay as they were", error)
                configs[name] = self._view.broker_configs.get(name, {})
        return configs


def _decode_topic(name: str, znode: Znode, config: Znode | None) -> Topic:
    overrides = _decode_config(paths.topic_config(name), config)
    topic, _ = codec.decode_topic(paths.topic(name), znode.data, name, overrides)
    return topic


def _decode_config(path: str, znode: Znode | None) -> Mapping[str, str]:
    return {} if znode is None else codec.decode_config(path, znode.data)[0]
