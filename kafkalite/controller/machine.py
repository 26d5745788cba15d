"""The controller's decisions, without IO: events and now in, effects out.

What must always hold (docs/design/controller.md numbers it):

CTL-1 A partition has at most one write in flight; a decision is made on the state that was last
      confirmed, and its write is refused where that is no longer the stored one.
CTL-2 Every decision follows from the picture alone, so a controller that begins anew, or does
      something twice, ends where one that never stopped would have ended.
CTL-6 Nothing is elected or created for a topic whose removal has begun.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from kafkalite.controller.balance import Leadership, displaced
from kafkalite.controller.brokers import Brokers
from kafkalite.controller.election import (
    Situation,
    first_state,
    next_state,
    preferred_verdict,
    unclean_verdict,
)
from kafkalite.controller.events import (
    BrokerLeaving,
    BrokerReachable,
    BrokersChanged,
    BrokerUnreachable,
    CompleteReassignment,
    CompletionFailed,
    DeletionsChanged,
    Effect,
    Elected,
    Event,
    PolicyChanged,
    PreferredLeadersWanted,
    Ready,
    RemovalFailed,
    ReplicaDamaged,
    StateChange,
    StatesFailed,
    StatesObserved,
    StatesWritten,
    Tick,
    TopicRemoved,
    TopicsChanged,
    UncleanLeadersWanted,
    WriteStates,
)
from kafkalite.controller.grounds import NO_GROUNDS, Grounds
from kafkalite.controller.partitions import PartitionRecord
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.controller.states import (
    PartitionPhase,
    TopicPhase,
    check_partition_transition,
)
from kafkalite.controller.topics import Topics
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import LogError, UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicPartition
from kafkalite.model.reassignment import is_complete

RETRY_AFTER_MS: Final = 1_000
"""How long what failed waits before it is tried again."""
FIRST_BALANCE_AFTER_MS: Final = 5_000
"""How long after an election the balance of leaders is looked at for the first time."""
LEISURELY_AT_ONCE: Final = 100
"""Leaders that move at a time where none is missing: whoever takes them over serves meanwhile."""


class ControllerMachine:
    """One controller's term of office, from its election until it loses the epoch.

    Owned by the ControllerTerm, which runs the effects and posts results back; not thread-safe.
    The first event is Elected. A new term needs a new machine.
    """

    def __init__(self, policy: ControllerPolicy) -> None:
        """Build, to decide by this policy until another one is told."""
        self._policy = policy
        self._epoch = ControllerEpoch(-1)
        self._brokers = Brokers()
        self._topics = Topics()
        self._partitions: dict[TopicPartition, PartitionRecord] = {}
        self._to_settle: set[TopicPartition] = set()
        self._leisurely: dict[TopicPartition, None] = {}
        """To be settled a few at a time, in this order."""
        self._drawn: list[TopicPartition] = []
        """Those of them that were settled last."""
        self._failed: set[TopicPartition] = set()
        self._retry_at_ms: int | None = None
        self._balance_at_ms: int | None = None
        self.elections = 0
        """Leaders that were elected, in this term."""
        self.unclean_elections = 0
        """Those of them that were not in sync."""

    # -- looking --------------------------------------------------------------------------------

    @property
    def next_tick_ms(self) -> int | None:
        """When the machine wants a Tick, on the clock that `now_ms` is read from; None: never."""
        return min(
            (at for at in (self._retry_at_ms, self._balance_at_ms) if at is not None), default=None
        )

    @property
    def partitions(self) -> Iterable[TopicPartition]:
        """All that are assigned."""
        return self._partitions.keys()

    def state(self, name: TopicPartition) -> PartitionState | None:
        """A partition's state as last confirmed; None: it has none, or is not known."""
        record = self._partitions.get(name)
        return None if record is None else record.state

    def preferred_verdict(self, name: TopicPartition) -> type[LogError] | None:
        """Why a partition's preferred leader cannot be elected or need not; None: it can be."""
        record = self._electable(name)
        if record is None:
            return UnknownTopicOrPartitionError
        return preferred_verdict(record.state, self._situation(record))

    def unclean_verdict(self, name: TopicPartition) -> type[LogError] | None:
        """Why a partition cannot be given any leader or needs none; None: it can."""
        record = self._electable(name)
        if record is None:
            return UnknownTopicOrPartitionError
        return unclean_verdict(record.state, self._situation(record))

    def remaining(self, broker: BrokerId) -> int:
        """How many partitions a broker leads that another broker could lead, now or soon."""
        others = self._brokers.live - self._brokers.leaving - {broker}
        return sum(
            not others.isdisjoint(self._topics[name.topic].assignment[name.partition])
            for name, record in self._partitions.items()
            if record.state is not None and record.state.leader == broker
        )

    def _electable(self, name: TopicPartition) -> PartitionRecord | None:
        if self._topics.phase(name.topic) is TopicPhase.DELETING:
            return None
        return self._partitions.get(name)

    # -- taking in ------------------------------------------------------------------------------

    def handle(self, event: Event, now_ms: int) -> Ready:
        """Take in what happened; gives what has to be done."""
        match event:
            case Elected():
                self._begin(event, now_ms)
            case BrokersChanged() | BrokerUnreachable() | BrokerReachable() | BrokerLeaving():
                self._on_brokers(event)
            case TopicsChanged() | DeletionsChanged() | StatesObserved():
                self._on_news(event)
            case ReplicaDamaged() | PreferredLeadersWanted() | UncleanLeadersWanted():
                self._on_wish(event)
            case PolicyChanged(policy):
                self._on_policy(policy, now_ms)
            case Tick():
                self._on_tick(now_ms)
            case _:
                self._on_result(event, now_ms)
        return self._plan()

    def _begin(self, event: Elected, now_ms: int) -> None:
        self._epoch = event.epoch
        self._brokers.register(event.brokers)
        self._topics.want_deleted(event.deletions)
        self._on_topics(event.topics)
        for name, state in event.states.items():
            record = self._partitions.get(name)
            if record is None:
                continue
            record.confirm(state)
            record.grounds = self._restarted_since(state, event.state_revisions[name])
        if self._policy.rebalances_leaders:
            self._balance_at_ms = now_ms + FIRST_BALANCE_AFTER_MS

    def _on_brokers(
        self, event: BrokersChanged | BrokerUnreachable | BrokerReachable | BrokerLeaving
    ) -> None:
        match event:
            case BrokersChanged(brokers):
                news = self._brokers.register(brokers)
                self._look_at_replicas(news.affected, restarted=news.started)
            case BrokerUnreachable(broker, epoch) if self._brokers.lose(broker, epoch):
                self._look_at_replicas(frozenset({broker}))
            case BrokerReachable(broker, epoch) if self._brokers.find(broker, epoch):
                self._look_at_replicas(frozenset({broker}))
            case BrokerLeaving(broker, epoch) if self._brokers.leave(broker, epoch):
                grounds = Grounds(leaving=frozenset({broker}))
                for name, record in self._partitions.items():
                    if record.state is not None and broker in record.state.isr:
                        self._settle_leisurely(name, grounds)

    def _look_at_replicas(
        self, affected: frozenset[BrokerId], restarted: frozenset[BrokerId] = frozenset()
    ) -> None:
        for name, record in self._partitions.items():
            members = affected.intersection(self._topics[name.topic].assignment[name.partition])
            if record.state is not None:
                members |= affected.intersection(record.state.isr)
            if members:
                record.grounds |= Grounds(restarted=restarted & members)
                self._to_settle.add(name)

    def _on_wish(
        self, event: ReplicaDamaged | PreferredLeadersWanted | UncleanLeadersWanted
    ) -> None:
        match event:
            case ReplicaDamaged(name, broker, leader_epoch):
                state = self.state(name)
                if (
                    state is not None
                    and state.leader_epoch == leader_epoch
                    and broker in {state.leader, *state.isr}
                ):
                    self._partitions[name].grounds |= Grounds(damaged=frozenset({broker}))
                    self._to_settle.add(name)
            case PreferredLeadersWanted(partitions):
                for name in sorted(partitions & self._partitions.keys()):
                    self._settle_leisurely(name, Grounds(preferred=True))
            case UncleanLeadersWanted(partitions):
                for name in partitions & self._partitions.keys():
                    self._partitions[name].grounds |= Grounds(unclean=True)
                    self._to_settle.add(name)

    def _on_news(self, event: TopicsChanged | DeletionsChanged | StatesObserved) -> None:
        match event:
            case TopicsChanged(topics):
                self._on_topics(topics)
            case DeletionsChanged(names):
                for topic in self._topics.want_deleted(names):
                    self._take_assignment(topic, topic)
            case StatesObserved(states, revisions):
                for name, state in states.items():
                    record = self._partitions.get(name)
                    if record is not None:
                        self._observe(record, state, revisions.get(name))

    def _observe(
        self, record: PartitionRecord, state: PartitionState | None, written_at: int | None
    ) -> None:
        if record.observe(state):
            self._to_settle.add(record.name)
        if state is None or written_at is None or state != record.state:
            return
        # A leader may have taken in a broker by what it was before it was started again.
        grounds = self._restarted_since(state, written_at)
        if grounds != NO_GROUNDS:
            record.grounds |= grounds
            self._to_settle.add(record.name)

    def _restarted_since(self, state: PartitionState, written_at: int) -> Grounds:
        """Members that are another incarnation than the state meant."""
        restarted = (m for m in state.isr if self._brokers.epoch(m) > written_at)
        return Grounds(restarted=frozenset(restarted))

    def _settle_leisurely(self, name: TopicPartition, grounds: Grounds) -> None:
        self._partitions[name].grounds |= grounds
        self._leisurely[name] = None

    def _on_topics(self, topics: Mapping[str, Topic | None]) -> None:
        for name, topic in topics.items():
            known = self._topics.get(name)
            if known is not None and (topic is None or topic.topic_id != known.topic_id):
                self._forget_topic(name)
                known = None
            if topic is not None:
                self._topics.take(topic)
                self._take_assignment(topic, known)

    def _take_assignment(self, topic: Topic, before: Topic | None) -> None:
        for number in topic.assignment:
            name = TopicPartition(topic.name, number)
            record = self._partitions.get(name)
            if record is None:
                record = PartitionRecord(name)
                check_partition_transition(name, PartitionPhase.NON_EXISTENT, record.phase)
                self._partitions[name] = record
            elif before is None or _placement(topic, number) != _placement(before, number):
                record.completing = None
            self._to_settle.add(name)

    def _forget_topic(self, name: str) -> None:
        for number in self._topics.forget(name).assignment:
            partition = TopicPartition(name, number)
            before = self._partitions.pop(partition).phase
            check_partition_transition(partition, before, PartitionPhase.NON_EXISTENT)
            self._to_settle.discard(partition)
            self._leisurely.pop(partition, None)
            self._failed.discard(partition)

    def _on_policy(self, policy: ControllerPolicy, now_ms: int) -> None:
        self._policy = policy
        self._balance_at_ms = None
        if policy.rebalances_leaders:
            self._balance_at_ms = now_ms + policy.imbalance_check_interval_ms
        self._to_settle |= {
            name
            for name, record in self._partitions.items()
            if record.phase is PartitionPhase.OFFLINE
        }

    # -- results --------------------------------------------------------------------------------

    def _on_result(
        self,
        event: StatesWritten | StatesFailed | TopicRemoved | RemovalFailed | CompletionFailed,
        now_ms: int,
    ) -> None:
        match event:
            case StatesWritten(states):
                for name, state in states.items():
                    self._on_written(name, state)
            case TopicRemoved(name):
                # What is known under the name may be a later topic already: TopicsChanged tells.
                self._topics.removed(name)
                self._retry_later(now_ms)
            case StatesFailed(partitions):
                for record in self._known(partitions):
                    record.give_up()
                    self._failed.add(record.name)
                self._retry_later(now_ms)
            case CompletionFailed(partitions):
                for record in self._known(partitions):
                    record.completing = None
                    self._to_settle.add(record.name)
                    self._failed.add(record.name)
                self._retry_later(now_ms)
            case RemovalFailed(name):
                self._topics.removal_failed(name)
                self._retry_later(now_ms)

    def _known(self, names: Iterable[TopicPartition]) -> Iterable[PartitionRecord]:
        return [self._partitions[name] for name in names if name in self._partitions]

    def _on_written(self, name: TopicPartition, state: PartitionState | None) -> None:
        record = self._partitions.get(name)
        if record is None:
            return
        before = record.finish(state)
        if before is not None and state is not None and state.leader != before.leader:
            self.elections += not state.is_offline
            self.unclean_elections += not state.is_offline and state.leader not in before.isr
        self._to_settle.add(name)

    def _retry_later(self, now_ms: int) -> None:
        if self._retry_at_ms is None:
            self._retry_at_ms = now_ms + RETRY_AFTER_MS

    def _on_tick(self, now_ms: int) -> None:
        if self._retry_at_ms is not None and now_ms >= self._retry_at_ms:
            self._retry_at_ms = None
            self._to_settle |= self._failed
            self._failed = set()
            self._topics.retry()
        if self._balance_at_ms is not None and now_ms >= self._balance_at_ms:
            self._balance_at_ms = now_ms + self._policy.imbalance_check_interval_ms
            for name in displaced(self._leaderships(), self._policy.imbalance_percentage):
                if self.preferred_verdict(name) is None:
                    self._settle_leisurely(name, Grounds(preferred=True))

    def _leaderships(self) -> Iterable[Leadership]:
        for name, record in self._partitions.items():
            topic = self._topics[name.topic]
            if record.state is None or name.partition in topic.moving:
                continue
            if self._topics.phase(name.topic) is TopicPhase.PRESENT:
                preferred = topic.assignment[name.partition][0]
                yield Leadership(name, record.state.leader, preferred)

    # -- deciding -------------------------------------------------------------------------------

    def _plan(self) -> Ready:
        # First: what is being deleted is not elected any more.
        removals = self._topics.plan(self._may_remove, deletes_topics=self._policy.deletes_topics)
        changes, completions = self._plan_states()
        writes: list[Effect] = [WriteStates(changes)] if changes else []
        return Ready((*writes, *completions, *removals))

    def _may_remove(self, topic: Topic) -> bool:
        """Whether all brokers that hold a part of it are there to remove theirs."""
        writing = any(
            self._partitions[TopicPartition(topic.name, number)].is_writing
            for number in topic.assignment
        )
        return not writing and all(
            self._brokers.live.issuperset(replicas) for replicas in topic.assignment.values()
        )

    def _plan_states(self) -> tuple[tuple[StateChange, ...], list[CompleteReassignment]]:
        changes: list[StateChange] = []
        completed: dict[str, set[int]] = {}
        while True:
            for name in sorted(self._to_settle - self._failed):
                change = self._settle(self._partitions[name], completed)
                if change is not None:
                    changes.append(change)
            if not self._draw():
                break
        # Who waits for a leader comes first.
        changes.sort(key=lambda change: (not self._replaces_leader(change), change.partition))
        completions = [
            CompleteReassignment(name, frozenset(numbers))
            for name, numbers in sorted(completed.items())
        ]
        return tuple(changes), completions

    def _draw(self) -> bool:
        """Take the next of the leisurely ones to be settled; False while it is not their turn."""
        writing = (
            name in self._partitions and self._partitions[name].is_writing for name in self._drawn
        )
        if any(writing) or not self._leisurely:
            return False
        self._drawn = list(self._leisurely)[:LEISURELY_AT_ONCE]
        for name in self._drawn:
            del self._leisurely[name]
            self._to_settle.add(name)
        return True

    def _replaces_leader(self, change: StateChange) -> bool:
        state = self.state(change.partition)
        return state is None or state.leader not in self._brokers.live

    def _settle(
        self, record: PartitionRecord, completed: dict[str, set[int]]
    ) -> StateChange | None:
        """Decide on one partition; notes in `completed` the reassignment that is done with."""
        name = record.name
        phase = self._topics.phase(name.topic)
        if record.is_writing or phase is TopicPhase.DELETING:
            return None  # looked at again when that is over
        self._to_settle.discard(name)
        state = self._decide(record, phase)
        if state is not None:
            return record.plan(state)
        # All that was heard is taken into account: who joins the ISR from now on has caught up.
        record.grounds = NO_GROUNDS
        topic, now = self._topics[name.topic], record.state
        if (
            now is not None
            and now != record.completing
            and phase is TopicPhase.PRESENT
            and is_complete(topic, name.partition, now)
        ):
            record.completing = now
            completed.setdefault(name.topic, set()).add(name.partition)
        return None

    def _decide(self, record: PartitionRecord, phase: TopicPhase) -> PartitionState | None:
        situation = self._situation(record)
        if record.state is not None:
            return next_state(record.state, situation, self._epoch)
        if phase is TopicPhase.PRESENT:
            return first_state(situation, self._epoch, record.last_leader_epoch + 1)
        # A removal that another controller began took it away: it must not come back.
        return None

    def _situation(self, record: PartitionRecord) -> Situation:
        topic = self._topics[record.name.topic]
        return Situation(
            topic,
            record.name.partition,
            self._brokers.live,
            self._brokers.leaving,
            record.grounds,
            allows_unclean=record.grounds.unclean or self._policy.elects_unclean_for(topic),
        )


def _placement(topic: Topic, number: int) -> tuple[object, ...]:
    return topic.assignment[number], topic.adding.get(number), topic.removing.get(number)
