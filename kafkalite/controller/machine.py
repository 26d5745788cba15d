"""The controller's decisions, without IO: events and now in, effects out.

What must always hold:

1. A partition has at most one write in flight; a decision is made on the state that was last
   confirmed, and its write is refused where that is no longer the stored one.
2. Every decision follows from the picture alone, so a controller that begins anew, or does
   something twice, ends where one that never stopped would have ended.
3. Nothing is elected or created for a topic whose removal has begun.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kafkalite.controller.election import first_state, next_state
from kafkalite.controller.events import (
    NEW_STATE_VERSION,
    BrokersChanged,
    DeletionsChanged,
    DropDeletion,
    Effect,
    Elected,
    Event,
    Ready,
    RemovalFailed,
    RemoveTopic,
    StateChange,
    StatesFailed,
    StatesObserved,
    StatesWritten,
    Tick,
    TopicRemoved,
    TopicsChanged,
    WriteStates,
)
from kafkalite.controller.states import (
    PartitionPhase,
    TopicPhase,
    check_partition_transition,
    check_topic_transition,
    phase_of,
)
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicPartition

RETRY_AFTER_MS: Final = 1_000
"""How long what failed waits before it is tried again."""


@dataclass(slots=True)
class _Partition:
    """What the machine knows of one assigned partition."""

    phase: PartitionPhase
    state: PartitionState | None = None
    """As last confirmed by the store."""
    last_leader_epoch: int = -1
    """Highest ever seen: a state made anew continues above it."""
    restarted: frozenset[BrokerId] = frozenset()
    """Brokers that were started since `state` was decided."""
    planned: PartitionState | None = None
    """What the write in flight makes of it; None: there is none in flight."""
    planned_for: frozenset[BrokerId] = frozenset()
    """The part of `restarted` that the plan takes into account."""


class ControllerMachine:
    """One controller's term of office, from its election until it loses the epoch.

    Owned by the ControllerDriver, which runs the effects and posts results back; not thread-safe.
    The first event is Elected. A new term needs a new machine.
    """

    def __init__(self, *, deletes_topics: bool) -> None:
        """Build; `deletes_topics` is delete.topic.enable."""
        self._deletes_topics = deletes_topics
        self._epoch = ControllerEpoch(-1)
        self._brokers: dict[BrokerId, int] = {}
        self._topics: dict[str, Topic] = {}
        self._phases: dict[str, TopicPhase] = {}
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._deletions: frozenset[str] = frozenset()
        self._dropping: set[str] = set()
        self._to_settle: set[TopicPartition] = set()
        self._failed_partitions: set[TopicPartition] = set()
        self._failed_names: set[str] = set()
        self._retry_at_ms: int | None = None

    @property
    def next_tick_ms(self) -> int | None:
        """When the machine wants a Tick, on the clock that `now_ms` is read from; None: never."""
        return self._retry_at_ms

    def handle(self, event: Event, now_ms: int) -> Ready:
        """Take in what happened; gives what has to be done."""
        match event:
            case Elected():
                self._begin(event)
            case BrokersChanged(brokers):
                self._on_brokers(brokers)
            case TopicsChanged(topics):
                self._on_topics(topics)
            case DeletionsChanged(names):
                self._on_deletions(names)
            case StatesObserved(states):
                for name, state in states.items():
                    self._on_observed(name, state)
            case Tick():
                self._on_tick(now_ms)
            case _:
                self._on_result(event, now_ms)
        return self._plan()

    def _on_result(
        self, event: StatesWritten | StatesFailed | TopicRemoved | RemovalFailed, now_ms: int
    ) -> None:
        match event:
            case StatesWritten(states):
                for name, state in states.items():
                    self._on_written(name, state)
            case StatesFailed(partitions):
                self._on_states_failed(partitions, now_ms)
            case TopicRemoved(name):
                self._deletions -= {name}  # the request went with it
                self._on_topics({name: None})
            case RemovalFailed(name):
                self._on_removal_failed(name, now_ms)

    # -- taking in ------------------------------------------------------------------------------

    def _begin(self, event: Elected) -> None:
        self._epoch = event.epoch
        self._brokers = dict(event.brokers)
        self._deletions = event.deletions
        self._on_topics(event.topics)
        for name, state in event.states.items():
            partition = self._partitions.get(name)
            if partition is None:
                continue
            self._confirm(name, partition, state)
            written_at = event.state_revisions[name]
            partition.restarted = frozenset(
                member for member in state.isr if self._brokers.get(member, -1) > written_at
            )

    def _on_brokers(self, brokers: Mapping[BrokerId, int]) -> None:
        before, self._brokers = self._brokers, dict(brokers)
        affected = {
            broker
            for broker in before.keys() | brokers.keys()
            if before.get(broker) != brokers.get(broker)
        }
        started = affected & brokers.keys()
        for name, partition in self._partitions.items():
            replicas = self._topics[name.topic].assignment[name.partition]
            members = affected.intersection(replicas)
            if partition.state is not None:
                members |= affected.intersection(partition.state.isr)
            if members:
                partition.restarted |= started & members
                self._to_settle.add(name)

    def _on_topics(self, topics: Mapping[str, Topic | None]) -> None:
        for name, topic in topics.items():
            known = self._topics.get(name)
            if known is not None and (topic is None or topic.topic_id != known.topic_id):
                self._forget_topic(name)
            if topic is None:
                continue
            if name not in self._topics:
                self._move_topic(name, TopicPhase.PRESENT)
            self._topics[name] = topic
            self._take_assignment(topic)

    def _on_deletions(self, names: frozenset[str]) -> None:
        self._deletions = names
        self._dropping &= names
        self._failed_names &= names
        for name, phase in tuple(self._phases.items()):
            if phase is TopicPhase.WAITING and name not in names:
                # Withdrawn before the removal began.
                self._move_topic(name, TopicPhase.PRESENT)
                self._take_assignment(self._topics[name])

    def _take_assignment(self, topic: Topic) -> None:
        for number in topic.assignment:
            partition = TopicPartition(topic.name, number)
            if partition not in self._partitions:
                phase = PartitionPhase.NEW
                check_partition_transition(partition, PartitionPhase.NON_EXISTENT, phase)
                self._partitions[partition] = _Partition(phase)
            self._to_settle.add(partition)

    def _forget_topic(self, name: str) -> None:
        self._move_topic(name, TopicPhase.GONE)
        for number in self._topics.pop(name).assignment:
            partition = TopicPartition(name, number)
            before = self._partitions.pop(partition).phase
            check_partition_transition(partition, before, PartitionPhase.NON_EXISTENT)
            self._to_settle.discard(partition)
            self._failed_partitions.discard(partition)

    def _on_observed(self, name: TopicPartition, state: PartitionState | None) -> None:
        partition = self._partitions.get(name)
        if partition is None:
            return
        if state is None:
            # The store lost it. While a write is in flight, that one will tell.
            is_news = partition.planned is None
        else:
            is_news = partition.state is None or state.version > partition.state.version
        if is_news:
            self._confirm(name, partition, state)

    def _on_written(self, name: TopicPartition, state: PartitionState | None) -> None:
        partition = self._partitions.get(name)
        if partition is None:
            return
        planned, partition.planned = partition.planned, None
        if state is not None and planned is not None and _same(state, planned):
            partition.restarted -= partition.planned_for
        self._confirm(name, partition, state)

    def _confirm(
        self, name: TopicPartition, partition: _Partition, state: PartitionState | None
    ) -> None:
        phase = phase_of(state)
        if phase is not partition.phase:
            check_partition_transition(name, partition.phase, phase)
        partition.phase = phase
        partition.state = state
        if state is not None:
            partition.last_leader_epoch = max(partition.last_leader_epoch, state.leader_epoch)
        self._to_settle.add(name)

    def _on_states_failed(self, partitions: Iterable[TopicPartition], now_ms: int) -> None:
        for name in partitions:
            partition = self._partitions.get(name)
            if partition is not None:
                partition.planned = None
                self._failed_partitions.add(name)
        self._retry_later(now_ms)

    def _on_removal_failed(self, name: str, now_ms: int) -> None:
        self._dropping.discard(name)
        if self._phases.get(name) is TopicPhase.DELETING:
            self._move_topic(name, TopicPhase.WAITING)
        self._failed_names.add(name)
        self._retry_later(now_ms)

    def _retry_later(self, now_ms: int) -> None:
        if self._retry_at_ms is None:
            self._retry_at_ms = now_ms + RETRY_AFTER_MS

    def _on_tick(self, now_ms: int) -> None:
        if self._retry_at_ms is not None and now_ms >= self._retry_at_ms:
            self._retry_at_ms = None
            self._to_settle |= self._failed_partitions
            self._failed_partitions = set()
            self._failed_names = set()

    # -- deciding -------------------------------------------------------------------------------

    def _plan(self) -> Ready:
        removals = self._plan_deletions()  # first: what is being deleted is not elected any more
        changes = self._plan_states()
        writes: list[Effect] = [WriteStates(changes)] if changes else []
        return Ready((*writes, *removals))

    def _plan_deletions(self) -> list[Effect]:
        effects: list[Effect] = []
        for name in sorted(self._deletions - self._failed_names - self._dropping):
            topic = self._topics.get(name)
            reason = None
            if topic is None:
                reason = f"Topic '{name}' does not exist"
            elif not self._deletes_topics:
                reason = f"Topic '{name}' is kept: delete.topic.enable is false"
            if reason is not None:
                self._dropping.add(name)
                effects.append(DropDeletion(name, reason))
            elif topic is not None and self._may_remove(topic):
                self._move_topic(name, TopicPhase.DELETING)
                effects.append(RemoveTopic(name))
        return effects

    def _may_remove(self, topic: Topic) -> bool:
        """Whether all brokers that hold a part of it are there to remove theirs."""
        if self._phases[topic.name] is TopicPhase.DELETING:
            return False
        if self._phases[topic.name] is TopicPhase.PRESENT:
            self._move_topic(topic.name, TopicPhase.WAITING)
        in_flight = any(
            self._partitions[TopicPartition(topic.name, number)].planned is not None
            for number in topic.assignment
        )
        return not in_flight and all(
            replica in self._brokers
            for replicas in topic.assignment.values()
            for replica in replicas
        )

    def _plan_states(self) -> tuple[StateChange, ...]:
        changes = []
        for name in sorted(self._to_settle - self._failed_partitions):
            partition = self._partitions[name]
            if partition.planned is not None or self._phases[name.topic] is TopicPhase.DELETING:
                continue
            self._to_settle.discard(name)
            change = self._settle(name, partition)
            if change is None:
                # No member of the ISR was started anew, and who joins it later has caught up.
                partition.restarted = frozenset()
            else:
                partition.planned = change.state
                partition.planned_for = partition.restarted
                changes.append(change)
        return tuple(changes)

    def _settle(self, name: TopicPartition, partition: _Partition) -> StateChange | None:
        replicas = self._topics[name.topic].assignment[name.partition]
        if partition.state is not None:
            state = next_state(
                partition.state, replicas, self._brokers, partition.restarted, self._epoch
            )
            expected_version = partition.state.version
        elif self._phases[name.topic] is TopicPhase.PRESENT:
            epoch = partition.last_leader_epoch + 1
            state = first_state(replicas, self._brokers, self._epoch, epoch)
            expected_version = NEW_STATE_VERSION
        else:
            # A removal that another controller began took it away: it must not come back.
            return None
        return StateChange(name, state, expected_version) if state is not None else None

    def _move_topic(self, name: str, phase: TopicPhase) -> None:
        check_topic_transition(name, self._phases.get(name, TopicPhase.GONE), phase)
        if phase is TopicPhase.GONE:
            del self._phases[name]
        else:
            self._phases[name] = phase


def _same(one: PartitionState, other: PartitionState) -> bool:
    """Whether two states differ in nothing but the version under which they are stored."""
    return replace(one, version=0) == replace(other, version=0)
