"""The controller's machine against a model of the store, with anything happening at any time."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.controller.events import (
    NEW_STATE_VERSION,
    BrokersChanged,
    DeletionsChanged,
    DropDeletion,
    Effect,
    Elected,
    Event,
    RemovalFailed,
    RemoveTopic,
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
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition

_POLICY = ControllerPolicy(rebalances_leaders=False)
_BROKERS = [BrokerId(number) for number in range(4)]


@dataclass
class Cluster:
    """What is true: the store, who lives, and a clock of revisions. Checks every write."""

    live: dict[BrokerId, int] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    states: dict[TopicPartition, PartitionState] = field(default_factory=dict)
    revisions: dict[TopicPartition, int] = field(default_factory=dict)
    deletions: set[str] = field(default_factory=set)
    revision: int = 0
    controller_epoch: int = 0
    now_ms: int = 0
    machine: ControllerMachine = field(default_factory=lambda: ControllerMachine(_POLICY))
    pending: list[Effect] = field(default_factory=list)

    def tick(self) -> int:
        self.revision += 1
        return self.revision

    def tell(self, event: Event) -> None:
        self.pending += self.machine.handle(event, self.now_ms).effects

    def elect(self) -> None:
        """A controller begins; what its predecessor had not written is lost."""
        self.controller_epoch += 1
        self.pending.clear()
        self.machine = ControllerMachine(_POLICY)
        self.tell(
            Elected(
                ControllerEpoch(self.controller_epoch),
                dict(self.live),
                dict(self.topics),
                dict(self.states),
                dict(self.revisions),
                frozenset(self.deletions),
            )
        )

    def carry_out_one(self, *, fails: bool = False) -> None:
        effect = self.pending.pop(0)
        match effect:
            case WriteStates(changes) if fails:
                self.tell(StatesFailed(frozenset(change.partition for change in changes)))
            case WriteStates(changes):
                outcome: dict[TopicPartition, PartitionState | None] = {}
                for change in changes:
                    self._write(change.partition, change.state, change.expected_version)
                    outcome[change.partition] = self.states.get(change.partition)
                self.tell(StatesWritten(outcome))
            case RemoveTopic(name) | DropDeletion(name) if fails:
                self.tell(RemovalFailed(name))
            case RemoveTopic(name):
                self.deletions.discard(name)
                del self.topics[name]
                for partition in [p for p in self.states if p.topic == name]:
                    del self.states[partition], self.revisions[partition]
                self.tell(TopicRemoved(name))
                self.tell(TopicsChanged({name: None}))
                self.tell(DeletionsChanged(frozenset(self.deletions)))
            case DropDeletion(name):
                self.deletions.discard(name)
                self.tell(DeletionsChanged(frozenset(self.deletions)))

    def _write(self, partition: TopicPartition, state: PartitionState, expected: int) -> None:
        before = self.states.get(partition)
        version = NEW_STATE_VERSION if before is None else before.version
        if partition.topic not in self.topics or version != expected:
            return
        if before is not None:
            assert state.leader_epoch >= before.leader_epoch
            if state.leader != before.leader:
                assert state.leader_epoch > before.leader_epoch
            assert set(state.isr) <= set(before.isr), "the controller never adds to an ISR"
        assert state.isr, "an empty ISR would forget who has the records"
        assert state.is_offline or state.leader in state.isr
        self.states[partition] = PartitionState(
            state.leader, state.leader_epoch, state.isr, state.controller_epoch, version + 1
        )
        self.revisions[partition] = self.tick()

    def settle(self) -> None:
        for _ in range(1_000):
            if self.pending:
                self.carry_out_one()
            elif (at := self.machine.next_tick_ms) is not None:
                self.now_ms = max(self.now_ms, at)
                self.tell(Tick())
            else:
                return
        raise AssertionError("the machine does not come to rest")

    def check_at_rest(self) -> None:
        for name, topic in self.topics.items():
            if name in self.deletions:
                held_by = {broker for replicas in topic.assignment.values() for broker in replicas}
                assert not held_by <= self.live.keys(), "it could have been deleted"
                continue
            for number, replicas in topic.assignment.items():
                partition = TopicPartition(name, number)
                state = self.states.get(partition)
                if state is None:
                    assert not self.live.keys() & set(replicas)
                elif state.is_offline:
                    assert not self.live.keys() & set(state.isr)
                else:
                    assert set(state.isr) <= self.live.keys()
                    assert self.live[state.leader] < self.revisions[partition], (
                        "every incarnation of a leader has an epoch of its own"
                    )


def _raise_isr(cluster: Cluster, partition: TopicPartition) -> None:
    """A leader takes a caught-up follower into the ISR."""
    state = cluster.states[partition]
    replicas = cluster.topics[partition.topic].assignment[partition.partition]
    more = [r for r in replicas if r in cluster.live and r not in state.isr]
    if state.is_offline or not more or state.leader not in cluster.live:
        return
    cluster.states[partition] = PartitionState(
        state.leader,
        LeaderEpoch(state.leader_epoch),
        (*state.isr, more[0]),
        state.controller_epoch,
        state.version + 1,
    )
    cluster.revisions[partition] = cluster.tick()
    cluster.tell(StatesObserved({partition: cluster.states[partition]}))


def _happen(cluster: Cluster, data: st.DataObject, topic_number: int) -> None:
    what = data.draw(
        st.sampled_from(
            ["start", "kill", "create", "grow", "delete", "isr", "work", "fail", "elect"]
        )
    )
    if what == "start":
        cluster.live[data.draw(st.sampled_from(_BROKERS))] = cluster.tick()
        cluster.tell(BrokersChanged(dict(cluster.live)))
    elif what == "kill" and cluster.live:
        del cluster.live[data.draw(st.sampled_from(sorted(cluster.live)))]
        cluster.tell(BrokersChanged(dict(cluster.live)))
    elif what in {"create", "grow"}:
        name = data.draw(st.sampled_from(["a", "b"]))
        replicas = tuple(data.draw(st.permutations(_BROKERS))[: data.draw(st.integers(1, 3))])
        known = cluster.topics.get(name)
        if (known is None) != (what == "create"):
            return
        assignment = dict(known.assignment) if known else {}
        assignment[len(assignment)] = replicas
        topic_id = known.topic_id if known else TopicId(str(topic_number))
        cluster.topics[name] = Topic(name, topic_id, assignment)
        cluster.tell(TopicsChanged({name: cluster.topics[name]}))
    elif what == "delete" and cluster.topics:
        cluster.deletions.add(data.draw(st.sampled_from(sorted(cluster.topics))))
        cluster.tell(DeletionsChanged(frozenset(cluster.deletions)))
    elif what == "isr" and cluster.states:
        _raise_isr(cluster, data.draw(st.sampled_from(sorted(cluster.states))))
    elif what in {"work", "fail"} and cluster.pending:
        cluster.carry_out_one(fails=what == "fail")
    elif what == "elect":
        cluster.elect()


@pytest.mark.slow
@settings(max_examples=200, derandomize=True, deadline=None)
@given(data=st.data())
def test_the_controller_comes_to_rest_where_a_new_one_would(data: st.DataObject) -> None:
    cluster = Cluster()
    cluster.elect()
    for step in range(data.draw(st.integers(1, 25))):
        _happen(cluster, data, step)
    cluster.settle()
    cluster.check_at_rest()
    states = dict(cluster.states)
    cluster.elect()
    assert not cluster.pending, "a new controller finds nothing to do"
    assert cluster.states == states
