"""A cluster in memory around the controller's machine: what is true, and a check of every write.

The checks hold the machine to CTL-3 (epochs), CTL-4 (who may lead), CTL-5 (no ISR is empty) and
CTL-6 (nothing for a topic that is going) of docs/design/controller.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kafkalite.controller.events import (
    NEW_STATE_VERSION,
    BrokerLeaving,
    BrokerReachable,
    BrokersChanged,
    BrokerUnreachable,
    CompleteReassignment,
    CompletionFailed,
    DeletionsChanged,
    DropDeletion,
    Effect,
    Elected,
    Event,
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
from kafkalite.controller.machine import ControllerMachine
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, TopicPartition
from kafkalite.model.reassignment import complete, is_complete

States = dict[TopicPartition, PartitionState | None]


@dataclass
class ControlledCluster:
    """The store, the brokers, and a controller whose effects wait until they are carried out.

    `tell` what happens, `carry_out_one` of the pending effects, `elect` another controller.
    """

    policy: ControllerPolicy = field(
        default_factory=lambda: ControllerPolicy(rebalances_leaders=False)
    )
    registered: dict[BrokerId, int] = field(default_factory=dict)
    unreachable: set[BrokerId] = field(default_factory=set)
    leaving: set[BrokerId] = field(default_factory=set)
    topics: dict[str, Topic] = field(default_factory=dict)
    states: dict[TopicPartition, PartitionState] = field(default_factory=dict)
    revisions: dict[TopicPartition, int] = field(default_factory=dict)
    deletions: set[str] = field(default_factory=set)
    unclean_wished: set[TopicPartition] = field(default_factory=set)
    """Where somebody asked for a leader that is not in sync."""
    revision: int = 0
    controller_epoch: int = 0
    now_ms: int = 0
    pending: list[Effect] = field(default_factory=list)
    removing: set[str] = field(default_factory=set)
    """Topics whose removal this controller has begun."""
    machine: ControllerMachine = field(init=False)

    def __post_init__(self) -> None:
        self.machine = ControllerMachine(self.policy)

    @property
    def live(self) -> set[BrokerId]:
        return self.registered.keys() - self.unreachable

    def next_revision(self) -> int:
        self.revision += 1
        return self.revision

    def tell(self, event: Event) -> None:
        effects = self.machine.handle(event, self.now_ms).effects
        self.pending += effects
        for effect in effects:
            if isinstance(effect, WriteStates):
                doomed = {change.partition.topic for change in effect.changes} & self.removing
                assert not doomed, "nothing is decided for a topic that is being removed (CTL-6)"
        self.removing |= {effect.name for effect in effects if isinstance(effect, RemoveTopic)}

    def elect(self) -> None:
        """A controller begins; what its predecessor had not written is lost.

        It is told again who cannot be reached and who wants to leave: others repeat that.
        """
        self.controller_epoch += 1
        self.pending.clear()
        self.removing.clear()
        self.machine = ControllerMachine(self.policy)
        self.tell(
            Elected(
                ControllerEpoch(self.controller_epoch),
                dict(self.registered),
                dict(self.topics),
                dict(self.states),
                dict(self.revisions),
                frozenset(self.deletions),
            )
        )
        for broker in sorted(self.unreachable):
            self.tell(BrokerUnreachable(broker, self.registered[broker]))
        for broker in sorted(self.leaving):
            self.tell(BrokerLeaving(broker, self.registered[broker]))

    # -- brokers --------------------------------------------------------------------------------

    def start(self, broker: BrokerId) -> None:
        """It registers, perhaps in place of a former incarnation."""
        self._forget(broker)
        self.registered[broker] = self.next_revision()
        self.tell(BrokersChanged(dict(self.registered)))

    def end_session(self, broker: BrokerId) -> None:
        self._forget(broker)
        del self.registered[broker]
        self.tell(BrokersChanged(dict(self.registered)))

    def _forget(self, broker: BrokerId) -> None:
        self.unreachable.discard(broker)
        self.leaving.discard(broker)

    def lose(self, broker: BrokerId) -> None:
        self.unreachable.add(broker)
        self.tell(BrokerUnreachable(broker, self.registered[broker]))

    def find(self, broker: BrokerId) -> None:
        self.unreachable.discard(broker)
        self.tell(BrokerReachable(broker, self.registered[broker]))

    def leave(self, broker: BrokerId) -> None:
        self.leaving.add(broker)
        self.tell(BrokerLeaving(broker, self.registered[broker]))

    # -- topics and leaders ---------------------------------------------------------------------

    def write_topic(self, topic: Topic) -> None:
        self.topics[topic.name] = topic
        self.tell(TopicsChanged({topic.name: topic}))

    def want_deleted(self, name: str) -> None:
        self.deletions.add(name)
        self.tell(DeletionsChanged(frozenset(self.deletions)))

    def write_isr(
        self, name: TopicPartition, isr: Iterable[BrokerId], *, is_heard: bool = True
    ) -> None:
        """A leader changes its ISR; the controller may hear of it, or not until it writes."""
        state = self.states[name]
        self.states[name] = replace(state, isr=tuple(isr), version=state.version + 1)
        self.revisions[name] = self.next_revision()
        if is_heard:
            self.tell(StatesObserved({name: self.states[name]}, {name: self.revisions[name]}))

    # -- effects --------------------------------------------------------------------------------

    def carry_out_one(self, *, fails: bool = False) -> None:
        """Carry out the oldest effect that waits, or have it fail without anything done."""
        effect = self.pending.pop(0)
        if isinstance(effect, RemoveTopic):
            self.removing.discard(effect.name)
        self.tell(_failure(effect) if fails else self._result(effect))
        match effect:
            case RemoveTopic(name) if not fails:
                self.tell(TopicsChanged({name: None}))
                self.tell(DeletionsChanged(frozenset(self.deletions)))
            case CompleteReassignment(name) if not fails and name in self.topics:
                self.tell(TopicsChanged({name: self.topics[name]}))

    def lose_answer(self) -> None:
        """The oldest effect is carried out, but nobody is told: the term is over."""
        self._result(self.pending.pop(0))
        self.elect()

    def _result(self, effect: Effect) -> Event:
        match effect:
            case WriteStates(changes):
                outcome: States = {}
                for change in changes:
                    self._write(change)
                    outcome[change.partition] = self.states.get(change.partition)
                return StatesWritten(outcome)
            case RemoveTopic(name):
                self._remove(name)
                return TopicRemoved(name)
            case DropDeletion(name):
                self.deletions.discard(name)
                return DeletionsChanged(frozenset(self.deletions))
            case CompleteReassignment(name, numbers):
                return self._complete(name, numbers)

    def _write(self, change: StateChange) -> None:
        name, state = change.partition, change.state
        before = self.states.get(name)
        version = NEW_STATE_VERSION if before is None else before.version
        if name.topic not in self.topics or version != change.expected_version:
            return
        if before is not None:
            self._check(name, before, state)
        assert state.isr, "an empty ISR would forget who has the records (CTL-5)"
        assert state.is_offline or state.leader in state.isr, "CTL-4"
        assert state.leader in {*self.topics[name.topic].assignment[name.partition], -1}
        self.states[name] = replace(state, version=version + 1)
        self.revisions[name] = self.next_revision()

    def _check(self, name: TopicPartition, before: PartitionState, state: PartitionState) -> None:
        assert state.leader_epoch >= before.leader_epoch, "CTL-3"
        if state.leader != before.leader:
            assert state.leader_epoch > before.leader_epoch, "CTL-3"
        if not set(state.isr) <= set(before.isr):
            topic = self.topics[name.topic]
            is_allowed = name in self.unclean_wished or self.policy.elects_unclean_for(topic)
            assert is_allowed, "only an unclean election adds to an ISR (CTL-4)"
            assert state.isr == (state.leader,)

    def _remove(self, name: str) -> None:
        self.deletions.discard(name)
        self.topics.pop(name)
        for partition in [known for known in self.states if known.topic == name]:
            del self.states[partition], self.revisions[partition]

    def _complete(self, name: str, numbers: Iterable[int]) -> Event:
        """As the store does it: only what is still complete, and nothing of a topic that is gone.

        The topic as it then is comes back as news; what was not complete stays as it is.
        """
        topic = self.topics.get(name)
        if topic is None:
            return TopicsChanged({name: None})
        states = {number: self.states.get(TopicPartition(name, number)) for number in numbers}
        done = [
            number
            for number, state in states.items()
            if state is not None and is_complete(topic, number, state)
        ]
        self.topics[name] = complete(topic, done)
        return Tick()

    # -- rest -----------------------------------------------------------------------------------

    def hear_everything(self) -> None:
        """The controller's view is up to date."""
        self.tell(StatesObserved(dict(self.states), dict(self.revisions)))
        self.tell(TopicsChanged(dict(self.topics)))

    def settle(self) -> None:
        """Carry out all there is to do, as time passes, until nothing is left."""
        for _ in range(1_000):
            if self.pending:
                self.carry_out_one()
            elif (at := self.machine.next_tick_ms) is not None:
                self.now_ms = max(self.now_ms, at)
                self.tell(Tick())
            else:
                return
        raise AssertionError("the machine does not come to rest")


def _failure(effect: Effect) -> Event:
    match effect:
        case WriteStates(changes):
            return StatesFailed(frozenset(change.partition for change in changes))
        case RemoveTopic(name) | DropDeletion(name):
            return RemovalFailed(name)
        case CompleteReassignment(name, numbers):
            return CompletionFailed(frozenset(TopicPartition(name, number) for number in numbers))
