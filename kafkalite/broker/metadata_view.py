"""The broker's picture of the cluster."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from kafkalite.model.admin_requests import NO_REQUESTS, AdminRequests
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, TopicPartition

_log = logging.getLogger(__name__)


class TopicAt(NamedTuple):
    """A topic and when it was created, on the store's one scale of revisions."""

    topic: Topic
    created_revision: int


class StateAt(NamedTuple):
    """A partition's state and when it was written, on the store's one scale of revisions."""

    state: PartitionState
    revision: int


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """What differs from before; subscribers look the new values up in the view."""

    topics: frozenset[str] = frozenset()
    """Created, deleted, reassigned or reconfigured."""
    partitions: frozenset[TopicPartition] = frozenset()
    """Whose state changed, appeared or went."""
    brokers: bool = False
    configs: bool = False
    """The dynamic configuration of some broker or of all."""
    controller: bool = False
    deletions: bool = False
    admin_requests: bool = False

    def __bool__(self) -> bool:
        flags = (self.brokers, self.configs, self.controller, self.deletions, self.admin_requests)
        return any(flags) or bool(self.topics) or bool(self.partitions)

    def __or__(self, other: "MetadataChange") -> "MetadataChange":
        return MetadataChange(
            self.topics | other.topics,
            self.partitions | other.partitions,
            self.brokers or other.brokers,
            self.configs or other.configs,
            self.controller or other.controller,
            self.deletions or other.deletions,
            self.admin_requests or other.admin_requests,
        )


@dataclass(frozen=True, slots=True)
class ClusterPicture:
    """Everything there is, read at once."""

    cluster_id: str
    controller: BrokerId | None = None
    brokers: Mapping[BrokerId, Broker] = field(default_factory=dict)
    topics: Mapping[str, TopicAt] = field(default_factory=dict)
    states: Mapping[TopicPartition, StateAt] = field(default_factory=dict)
    broker_configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    deletions: frozenset[str] = frozenset()
    admin_requests: AdminRequests = NO_REQUESTS


@dataclass(frozen=True, slots=True)
class ClusterUpdate:
    """Some of what there is, read anew; what is None or not named stays as it was."""

    controller: tuple[BrokerId | None] | None = None
    brokers: Mapping[BrokerId, Broker] | None = None
    """All that live."""
    topics: Mapping[str, TopicAt | None] = field(default_factory=dict)
    """Topics that were read; None: gone."""
    states: Mapping[TopicPartition, StateAt] = field(default_factory=dict)
    """Hints, perhaps out of order: an older one than the view has is left out."""
    broker_configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    deletions: frozenset[str] | None = None
    admin_requests: AdminRequests | None = None


class MetadataView:
    """Read-only picture of the cluster, as of the last thing heard; can be made anew at any time.

    Has one writer, the reader of ZooKeeper, which calls `replace` and `apply`; everybody else looks
    and subscribes. Lives on the event loop: no locks, and between two awaits it does not change.
    """

    def __init__(self) -> None:
        self._cluster_id = ""
        self._controller: BrokerId | None = None
        self._brokers: dict[BrokerId, Broker] = {}
        self._last_seen: dict[BrokerId, Broker] = {}
        self._topics: dict[str, Topic] = {}
        self._created: dict[str, int] = {}
        self._states: dict[TopicPartition, PartitionState] = {}
        self._revisions: dict[TopicPartition, int] = {}
        self._broker_configs: dict[str, Mapping[str, str]] = {}
        self._deletions: frozenset[str] = frozenset()
        self._admin_requests = NO_REQUESTS
        self._loaded = False
        self._subscribers: list[Callable[[MetadataChange], None]] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[bool]]] = []

    # -- looking --------------------------------------------------------------------------------

    @property
    def is_loaded(self) -> bool:
        """Whether the cluster was ever read."""
        return self._loaded

    @property
    def cluster_id(self) -> str:
        return self._cluster_id

    @property
    def controller(self) -> BrokerId | None:
        """The broker that is the controller; None while there is none."""
        return self._controller

    @property
    def brokers(self) -> Mapping[BrokerId, Broker]:
        """The registered, that is live, brokers."""
        return MappingProxyType(self._brokers)

    def last_seen(self, broker: BrokerId) -> Broker | None:
        """A broker as it is or was; None: it has not lived since this view was made."""
        return self._last_seen.get(broker)

    @property
    def topics(self) -> Mapping[str, Topic]:
        return MappingProxyType(self._topics)

    @property
    def states(self) -> Mapping[TopicPartition, PartitionState]:
        """States of the partitions that have one; a fresh partition has none for a moment."""
        return MappingProxyType(self._states)

    @property
    def state_revisions(self) -> Mapping[TopicPartition, int]:
        """When each state was written.

        Comparable with `Broker.epoch`: a state that is older than its leader's registration was
        written for the leader's previous incarnation, and a newer one is on its way.
        """
        return MappingProxyType(self._revisions)

    def created_revision(self, topic: str) -> int | None:
        """When a topic was created, on the scale of `Broker.epoch`; None: there is none."""
        return self._created.get(topic)

    @property
    def broker_configs(self) -> Mapping[str, Mapping[str, str]]:
        """Dynamic overrides by broker id as text, and of all brokers as `<default>`."""
        return MappingProxyType(self._broker_configs)

    @property
    def deletions(self) -> frozenset[str]:
        """Topics that are asked to be deleted and still exist."""
        return self._deletions

    @property
    def admin_requests(self) -> AdminRequests:
        """What the controller is asked for by tools that write into the store."""
        return self._admin_requests

    def subscribe(self, callback: Callable[[MetadataChange], None]) -> None:
        """Call `callback` after every change, on the loop; it must not block or raise."""
        self._subscribers.append(callback)

    def unsubscribe(self, callback: Callable[[MetadataChange], None]) -> None:
        self._subscribers.remove(callback)

    async def wait_until(self, predicate: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `predicate` holds, looking after every change; False when it never did."""
        if predicate():
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        entry = (predicate, future)
        self._waiting.append(entry)
        timer = loop.call_later(timeout_s, _settle, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting.remove(entry)

    # -- writing --------------------------------------------------------------------------------

    def replace(self, picture: ClusterPicture, *, everything_changed: bool = False) -> None:
        """Take over a picture that was read at once.

        Args:
            picture: the cluster.
            everything_changed: tell subscribers about all there is, not just what differs: after
                the loss of a session whatever they made of the last picture is void.
        """
        update = ClusterUpdate(
            controller=(picture.controller,),
            brokers=picture.brokers,
            topics={
                **dict.fromkeys(self._topics.keys() - picture.topics.keys()),
                **picture.topics,
            },
            broker_configs={
                **{entity: {} for entity in self._broker_configs},
                **picture.broker_configs,
            },
            deletions=picture.deletions,
            admin_requests=picture.admin_requests,
        )
        change = self._take(update)
        change |= MetadataChange(partitions=self._replace_states(picture.states))
        if everything_changed:
            change |= MetadataChange(
                frozenset(self._topics), frozenset(self._states), True, True, True, True, True
            )
        self._cluster_id = picture.cluster_id
        self._loaded = True
        self._tell(change)

    def apply(self, update: ClusterUpdate) -> None:
        """Take over what was read anew."""
        self._tell(self._take(update))

    def _take(self, update: ClusterUpdate) -> MetadataChange:
        brokers = configs = controller = deletions = requests = False
        if update.controller is not None:
            controller = self._controller != update.controller[0]
            self._controller = update.controller[0]
        if update.brokers is not None and update.brokers != self._brokers:
            self._brokers = dict(update.brokers)
            self._last_seen |= self._brokers
            brokers = True
        topics, partitions = self._take_topics(update.topics)
        partitions |= self._take_states(update.states)
        for entity, config in update.broker_configs.items():
            if self._broker_configs.get(entity, {}) != config:
                self._broker_configs[entity] = config
                configs = True
        if update.deletions is not None:
            deletions = self._deletions != update.deletions
            self._deletions = update.deletions
        if update.admin_requests is not None:
            requests = self._admin_requests != update.admin_requests
            self._admin_requests = update.admin_requests
        return MetadataChange(
            frozenset(topics),
            frozenset(partitions),
            brokers,
            configs,
            controller,
            deletions,
            requests,
        )

    def _take_topics(
        self, topics: Mapping[str, TopicAt | None]
    ) -> tuple[set[str], set[TopicPartition]]:
        changed: set[str] = set()
        lost_states: set[TopicPartition] = set()
        for name, entry in topics.items():
            known = self._topics.get(name)
            if known is not None and (
                entry is None or entry.created_revision != self._created[name]
            ):
                # Gone, or another topic of the same name: the old one's states say nothing of it.
                lost_states |= self._drop_topic(name)
                changed.add(name)
            if entry is not None:
                if entry.topic != known:
                    changed.add(name)
                self._topics[name] = entry.topic
                self._created[name] = entry.created_revision
        return changed, lost_states

    def _drop_topic(self, name: str) -> set[TopicPartition]:
        del self._created[name]
        topic = self._topics.pop(name)
        gone = {
            partition
            for number in topic.assignment
            if (partition := TopicPartition(name, number)) in self._states
        }
        for partition in gone:
            del self._states[partition]
            del self._revisions[partition]
        return gone

    def _take_states(self, states: Mapping[TopicPartition, StateAt]) -> set[TopicPartition]:
        changed = set()
        for partition, (state, revision) in states.items():
            created = self._created.get(partition.topic)
            if created is None or revision < created:
                continue  # of a topic that is gone
            if revision > self._revisions.get(partition, -1):
                self._revisions[partition] = revision
                self._states[partition] = state
                changed.add(partition)
        return changed

    def _replace_states(
        self, states: Mapping[TopicPartition, StateAt]
    ) -> frozenset[TopicPartition]:
        changed = {
            partition
            for partition in self._states.keys() | states.keys()
            if partition not in states or states[partition].state != self._states.get(partition)
        }
        self._states = {partition: entry.state for partition, entry in states.items()}
        self._revisions = {partition: entry.revision for partition, entry in states.items()}
        return frozenset(changed)

    def _tell(self, change: MetadataChange) -> None:
        if not change:
            return
        for callback in tuple(self._subscribers):
            try:
                callback(change)
            except Exception:  # noqa: BLE001 - the others have to hear of it all the same
                _log.exception("A subscriber failed on a change of the cluster's metadata")
        for predicate, future in self._waiting:
            if not future.done() and predicate():
                future.set_result(True)


def _settle(future: asyncio.Future[bool], outcome: bool) -> None:
    if not future.done():
        future.set_result(outcome)
