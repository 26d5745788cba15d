"""The cluster's metadata in memory: MetadataStore and ControllerStore without ZooKeeper.

One FakeMetadata is the store; each member of the cluster has a FakeMetadataStore with a view of its
own, and everything written is in all views at once. tests/contract/test_metadata_store.py holds the
fake to what ZooKeeper does.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from kafkalite.broker.metadata_view import (
    ClusterPicture,
    MetadataView,
    StateAt,
    TopicAt,
)
from kafkalite.broker.ports import (
    ConfigUpdate,
    ControllerClaim,
    FencedControllerError,
    StoreConflictError,
    StoreUnavailableError,
    TopicUpdate,
)
from kafkalite.controller.events import NEW_STATE_VERSION, StateChange
from kafkalite.model.admin_requests import (
    NO_REQUESTS,
    ElectionRequest,
    ReassignmentRequest,
)
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicId, TopicPartition
from kafkalite.model.reassignment import complete, is_complete


class FakeMetadata:
    """What ZooKeeper would hold."""

    def __init__(self) -> None:
        self.brokers: dict[BrokerId, Broker] = {}
        self.topics: dict[str, TopicAt] = {}
        self.states: dict[TopicPartition, StateAt] = {}
        self.broker_configs: dict[str, Mapping[str, str]] = {}
        self.deletions: frozenset[str] = frozenset()
        self.admin_requests = NO_REQUESTS
        self.controller: BrokerId | None = None
        self.controller_epoch = 0
        self.next_producer_id = 0
        self.is_available = True
        self.views: list[MetadataView] = []
        self.lagging: list[MetadataView] = []
        """Views that show nothing new until they are told to catch up."""
        self._revision = 0

    def next_revision(self) -> int:
        self._revision += 1
        return self._revision

    def member(self) -> "FakeMetadataStore":
        view = MetadataView()
        self.views.append(view)
        self.publish()
        return FakeMetadataStore(self, view)

    def register(self, broker: Broker) -> int:
        epoch = self.next_revision()
        self.brokers[broker.id] = replace(broker, epoch=epoch)
        self.publish()
        return epoch

    def unregister(self, broker_id: BrokerId) -> None:
        del self.brokers[broker_id]
        if self.controller == broker_id:
            self.controller = None
        self.publish()

    def ask(
        self,
        version: int = 0,
        *,
        moves: Mapping[TopicPartition, tuple[BrokerId, ...]] | None = None,
        elections: Iterable[TopicPartition] | None = None,
        problem: str | None = None,
    ) -> None:
        """Write a request of either kind, or of both, as an older tool does."""
        now, revision = self.admin_requests, self.next_revision()
        reassignment, election = now.reassignment, now.election
        if moves is not None:
            reassignment = ReassignmentRequest(version, revision, problem, moves)
        if elections is not None:
            election = ElectionRequest(version, revision, problem, frozenset(elections))
        self.admin_requests = replace(now, reassignment=reassignment, election=election)
        self.publish()

    def publish(self) -> None:
        for view in self.views:
            if view not in self.lagging:
                view.replace(self.picture())

    def picture(self) -> ClusterPicture:
        return ClusterPicture(
            "fake-cluster",
            self.controller,
            dict(self.brokers),
            dict(self.topics),
            dict(self.states),
            dict(self.broker_configs),
            self.deletions,
            self.admin_requests,
        )


class FakeMetadataStore:
    """One member's side: implements MetadataStore and ControllerStore."""

    def __init__(self, metadata: FakeMetadata, view: MetadataView) -> None:
        self.metadata = metadata
        self.view = view

    async def catch_up(self) -> None:
        self._check_available()
        self.view.replace(self.metadata.picture())

    # -- MetadataStore --------------------------------------------------------------------------

    async def create_topic(self, topic: Topic) -> None:
        self._check_available()
        if topic.name in self.metadata.topics:
            raise TopicAlreadyExistsError(f"Topic '{topic.name}' already exists.")
        self.metadata.topics[topic.name] = TopicAt(topic, self.metadata.next_revision())
        self.metadata.publish()

    async def update_topic(self, name: str, update: TopicUpdate) -> Topic:
        entry = self._existing(name)
        topic = update(replace(entry.topic, config={}))
        stored = replace(topic, config=entry.topic.config)
        self.metadata.topics[name] = TopicAt(stored, entry.created_revision)
        self.metadata.publish()
        return topic

    async def write_isr(
        self, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        self._check_available()
        gone = [each for each in changes if self._is_gone(each)]
        written = self._write([each for each in changes if each not in gone])
        return {**written, **{each.partition: None for each in gone}}

    def _is_gone(self, change: StateChange) -> bool:
        """Whether it is of a topic that was deleted, whatever there is under its name."""
        entry = self.metadata.topics.get(change.partition.topic)
        found = None if entry is None else entry.topic.topic_id
        return change.topic_id is not None and change.topic_id != found

    async def update_topic_config(self, name: str, update: ConfigUpdate) -> Mapping[str, str]:
        entry = self._existing(name)
        config = update(entry.topic.config)
        topic = replace(entry.topic, config=config)
        self.metadata.topics[name] = TopicAt(topic, entry.created_revision)
        self.metadata.publish()
        return config

    async def update_broker_config(self, entity: str, update: ConfigUpdate) -> Mapping[str, str]:
        self._check_available()
        config = update(self.metadata.broker_configs.get(entity, {}))
        self.metadata.broker_configs[entity] = config
        self.metadata.publish()
        return config

    async def claim_producer_ids(self, broker_id: BrokerId) -> range:
        self._check_available()
        start = self.metadata.next_producer_id
        self.metadata.next_producer_id += 1000
        return range(start, start + 1000)

    async def request_topic_deletion(self, name: str) -> None:
        self._existing(name)
        self.metadata.deletions |= {name}
        self.metadata.publish()

    async def withdraw_reassignments(self, partitions: Collection[TopicPartition]) -> None:
        self._check_available()
        request = self.metadata.admin_requests.reassignment
        if request is not None and not request.targets.keys().isdisjoint(partitions):
            kept = {name: to for name, to in request.targets.items() if name not in partitions}
            self.metadata.ask(request.version + 1, moves=kept)

    # -- ControllerStore ------------------------------------------------------------------------

    async def claim(self, broker_id: BrokerId) -> ControllerClaim | None:
        self._check_available()
        metadata = self.metadata
        if metadata.controller is None:
            metadata.controller = broker_id
            metadata.controller_epoch += 1
            metadata.publish()
        if metadata.controller != broker_id:
            return None
        epoch = metadata.controller_epoch
        return ControllerClaim(broker_id, ControllerEpoch(epoch), epoch)

    async def write_states(
        self, claim: ControllerClaim, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        self._check_claim(claim)
        return self._write(changes)

    async def complete_reassignment(
        self, claim: ControllerClaim, name: str, partitions: Collection[int]
    ) -> None:
        self._check_claim(claim)
        entry = self.metadata.topics.get(name)
        if entry is None:
            return
        topic = entry.topic
        states = {n: self.metadata.states.get(TopicPartition(name, n)) for n in partitions}
        done = [n for n, at in states.items() if at is not None and is_complete(topic, n, at.state)]
        self.metadata.topics[name] = TopicAt(complete(topic, done), entry.created_revision)
        self.metadata.publish()

    async def identify_topic(self, claim: ControllerClaim, name: str) -> None:
        self._check_claim(claim)
        metadata = self.metadata
        topic = Topic(name, TopicId(f"id of {name}"), {0: (BrokerId(0),)})
        metadata.topics[name] = TopicAt(topic, metadata.next_revision())
        unidentified = metadata.admin_requests.unidentified - {name}
        metadata.admin_requests = replace(metadata.admin_requests, unidentified=unidentified)
        metadata.publish()

    async def begin_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        name: str,
        update: TopicUpdate,
    ) -> None:
        self._check_claim(claim)
        entry = self.metadata.topics.get(name)
        if entry is not None and self.metadata.admin_requests.reassignment == request:
            self.metadata.topics[name] = TopicAt(update(entry.topic), entry.created_revision)
            self.metadata.publish()

    async def keep_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        targets: Mapping[TopicPartition, tuple[BrokerId, ...]],
    ) -> bool:
        self._check_claim(claim)
        metadata = self.metadata
        if metadata.admin_requests.reassignment != request:
            return False
        if targets:
            metadata.ask(request.version + 1, moves=targets)
        else:
            metadata.admin_requests = replace(metadata.admin_requests, reassignment=None)
            metadata.publish()
        return True

    async def drop_election(self, claim: ControllerClaim, request: ElectionRequest) -> bool:
        self._check_claim(claim)
        metadata = self.metadata
        if metadata.admin_requests.election != request:
            return False
        metadata.admin_requests = replace(metadata.admin_requests, election=None)
        metadata.publish()
        return True

    async def depose(self, broker_id: BrokerId) -> None:
        self._check_available()
        if self.metadata.controller == broker_id:
            self.metadata.controller = None
            self.metadata.publish()

    def _write(
        self, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        metadata = self.metadata
        outcome: dict[TopicPartition, PartitionState | None] = {}
        for change in changes:
            entry = metadata.states.get(change.partition)
            version = NEW_STATE_VERSION if entry is None else entry.state.version
            if version == change.expected_version:
                state = replace(change.state, version=version + 1)
                entry = StateAt(state, metadata.next_revision())
                metadata.states[change.partition] = entry
            outcome[change.partition] = entry.state if entry is not None else None
        metadata.publish()
        return outcome

    async def remove_topic(self, claim: ControllerClaim, name: str) -> None:
        self._check_claim(claim)
        metadata = self.metadata
        if name not in metadata.topics:
            return
        if name not in metadata.deletions:
            raise StoreConflictError(f"Nobody asks to delete topic {name} any more")
        del metadata.topics[name]
        metadata.states = {p: entry for p, entry in metadata.states.items() if p.topic != name}
        metadata.deletions -= {name}
        metadata.publish()

    async def drop_deletion(self, claim: ControllerClaim, name: str) -> None:
        self._check_claim(claim)
        self.metadata.deletions -= {name}
        self.metadata.publish()

    async def prune_notices(self, claim: ControllerClaim) -> None:
        self._check_claim(claim)

    def _check_available(self) -> None:
        if not self.metadata.is_available:
            raise StoreUnavailableError("the fake store is told to be unavailable")

    def _check_claim(self, claim: ControllerClaim) -> None:
        self._check_available()
        if claim.epoch_version != self.metadata.controller_epoch:
            raise FencedControllerError(f"Broker {claim.broker_id} is no longer the controller")

    def _existing(self, name: str) -> TopicAt:
        self._check_available()
        entry = self.metadata.topics.get(name)
        if entry is None:
            raise UnknownTopicOrPartitionError(f"Topic '{name}' does not exist")
        return entry


def fake_brokers(ids: Iterable[int]) -> list[Broker]:
    """Brokers with these ids, for registration."""
    return [Broker(BrokerId(number), f"host{number}", 9092) for number in ids]
