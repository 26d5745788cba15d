"""The controller's machine against a model of the store, with anything happening at any time."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.controller.events import (
    Event,
    PreferredLeadersWanted,
    ReplicaDamaged,
    UncleanLeadersWanted,
)
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.reassignment import cancel, move
from tests.support.controlled_cluster import ControlledCluster

_BROKERS = [BrokerId(number) for number in range(5)]
_NAMES = ["a", "b"]


def _replicas(data: st.DataObject) -> tuple[BrokerId, ...]:
    return tuple(data.draw(st.permutations(_BROKERS))[: data.draw(st.integers(1, 3))])


def _start(cluster: ControlledCluster, data: st.DataObject) -> None:
    cluster.start(data.draw(st.sampled_from(_BROKERS)))


def _any_of_the_registered(
    happens: Callable[[ControlledCluster, BrokerId], None],
) -> Callable[[ControlledCluster, st.DataObject], None]:
    def happen(cluster: ControlledCluster, data: st.DataObject) -> None:
        if cluster.registered:
            happens(cluster, data.draw(st.sampled_from(sorted(cluster.registered))))

    return happen


def _create(cluster: ControlledCluster, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(_NAMES))
    if name not in cluster.topics:
        topic_id = TopicId(str(cluster.next_revision()))
        cluster.write_topic(Topic(name, topic_id, {0: _replicas(data)}))


def _change_topic(
    change: Callable[[Topic, int, st.DataObject], Topic],
) -> Callable[[ControlledCluster, st.DataObject], None]:
    def happen(cluster: ControlledCluster, data: st.DataObject) -> None:
        if cluster.topics:
            topic = cluster.topics[data.draw(st.sampled_from(sorted(cluster.topics)))]
            number = data.draw(st.sampled_from(sorted(topic.assignment)))
            cluster.write_topic(change(topic, number, data))

    return happen


def _grow(topic: Topic, _: int, data: st.DataObject) -> Topic:
    more = {len(topic.assignment): _replicas(data)}
    return replace(topic, assignment={**topic.assignment, **more})


def _configure(topic: Topic, _: int, data: st.DataObject) -> Topic:
    is_unclean = data.draw(st.sampled_from(["true", "false"]))
    return replace(topic, config={"unclean.leader.election.enable": is_unclean})


def _delete(cluster: ControlledCluster, data: st.DataObject) -> None:
    if cluster.topics:
        cluster.want_deleted(data.draw(st.sampled_from(sorted(cluster.topics))))


def _change_isr(cluster: ControlledCluster, data: st.DataObject) -> None:
    """A leader takes a caught-up follower into the ISR, or one that lags out of it."""
    led = sorted(name for name, state in cluster.states.items() if state.leader in cluster.live)
    if not led:
        return
    name = data.draw(st.sampled_from(led))
    state = cluster.states[name]
    replicas = cluster.topics[name.topic].assignment[name.partition]
    others = [r for r in replicas if r in cluster.live and r != state.leader]
    chosen = data.draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    if set(chosen) != set(state.isr) - {state.leader}:
        cluster.write_isr(name, (state.leader, *chosen), is_heard=data.draw(st.booleans()))


def _wish(cluster: ControlledCluster, data: st.DataObject) -> None:
    if not cluster.states:
        return
    name = data.draw(st.sampled_from(sorted(cluster.states)))
    state = cluster.states[name]
    wishes: list[Event] = [
        ReplicaDamaged(name, state.leader, state.leader_epoch),
        PreferredLeadersWanted(frozenset({name})),
        UncleanLeadersWanted(frozenset({name})),
    ]
    event = data.draw(st.sampled_from(wishes))
    if isinstance(event, UncleanLeadersWanted):
        cluster.unclean_wished.add(name)
    cluster.tell(event)


def _work(cluster: ControlledCluster, data: st.DataObject) -> None:
    if cluster.pending:
        cluster.carry_out_one(fails=data.draw(st.sampled_from([False, False, True])))


def _lose_answer(cluster: ControlledCluster, _: st.DataObject) -> None:
    if cluster.pending:
        cluster.lose_answer()


_HAPPENINGS: list[Callable[[ControlledCluster, st.DataObject], None]] = [
    _start,
    _any_of_the_registered(ControlledCluster.end_session),
    _any_of_the_registered(ControlledCluster.lose),
    _any_of_the_registered(ControlledCluster.find),
    _any_of_the_registered(ControlledCluster.leave),
    _create,
    _change_topic(_grow),
    _change_topic(_configure),
    _change_topic(lambda topic, number, data: move(topic, number, _replicas(data))),
    _change_topic(lambda topic, number, _: cancel(topic, number)),
    _delete,
    _change_isr,
    _change_isr,
    _wish,
    _work,
    _work,
    _work,
    _lose_answer,
    lambda cluster, _: cluster.elect(),
]


def _check_at_rest(cluster: ControlledCluster) -> None:
    live = cluster.live
    for name, topic in cluster.topics.items():
        if name in cluster.deletions:
            held_by = {broker for replicas in topic.assignment.values() for broker in replicas}
            assert not held_by <= live, "it could have been deleted"
            continue
        for number, replicas in topic.assignment.items():
            _check_partition(cluster, topic, number, live & set(replicas))


def _check_partition(
    cluster: ControlledCluster, topic: Topic, number: int, live: set[BrokerId]
) -> None:
    partition = TopicPartition(topic.name, number)
    state = cluster.states.get(partition)
    if state is None:
        assert not live, "it could have been given a leader"
        return
    assert set(state.isr) <= set(topic.assignment[number]), "who is in sync is assigned"
    if state.is_offline:
        assert not live & set(state.isr), "one in sync could lead"
        assert not live or not cluster.policy.elects_unclean_for(topic), "any could lead"
        return
    assert set(state.isr) <= live, "the dead are out of the ISR where another one lives"
    if state.leader in cluster.leaving:
        assert set(state.isr) <= cluster.leaving, "another one could lead for it"
    assert cluster.registered[state.leader] < cluster.revisions[partition], (
        "every incarnation of a leader has an epoch of its own"
    )
    if number in topic.moving:
        target, added = set(topic.target(number)), set(topic.adding.get(number, ()))
        assert not (added & target <= set(state.isr) and set(state.isr) & target), (
            "its reassignment could be completed"
        )


@pytest.mark.slow
@settings(max_examples=400, derandomize=True, deadline=None)
@given(data=st.data())
def test_the_controller_comes_to_rest_where_a_new_one_would(data: st.DataObject) -> None:
    """CTL-2, and in every write CTL-3 to CTL-6 of docs/design/controller.md."""
    cluster = ControlledCluster()
    cluster.elect()
    for _ in range(data.draw(st.integers(1, 40))):
        data.draw(st.sampled_from(_HAPPENINGS))(cluster, data)
    cluster.hear_everything()
    cluster.settle()
    _check_at_rest(cluster)
    # What a new controller is not told at once: who cannot be reached, and who wants to leave.
    for broker in sorted(cluster.unreachable):
        data.draw(st.sampled_from([ControlledCluster.find, ControlledCluster.end_session]))(
            cluster, broker
        )
    for broker in sorted(cluster.leaving):
        cluster.end_session(broker)
    cluster.settle()
    _check_at_rest(cluster)
    states, topics = dict(cluster.states), dict(cluster.topics)
    cluster.elect()
    assert not cluster.pending, "a new controller finds nothing to do"
    assert (cluster.states, cluster.topics) == (states, topics)


@pytest.mark.slow
@settings(max_examples=100, derandomize=True, deadline=None)
@given(data=st.data())
def test_what_is_told_of_different_partitions_may_be_told_in_any_order(
    data: st.DataObject,
) -> None:
    outcomes = []
    wishes: list[Event] = [
        PreferredLeadersWanted(frozenset({TopicPartition("a", 0)})),
        UncleanLeadersWanted(frozenset({TopicPartition("b", 0)})),
        ReplicaDamaged(TopicPartition("c", 0), _BROKERS[0], 0),
    ]
    order = data.draw(st.permutations(wishes))
    for told in (wishes, order):
        cluster = ControlledCluster(ControllerPolicy(rebalances_leaders=False))
        cluster.elect()
        for broker in _BROKERS[:3]:
            cluster.start(broker)
        for name, replicas in {"a": (1, 0), "b": (3, 2), "c": (0, 1)}.items():
            assignment = {0: tuple(BrokerId(replica) for replica in replicas)}
            cluster.write_topic(Topic(name, TopicId(name), assignment))
        cluster.settle()
        cluster.unclean_wished.add(TopicPartition("b", 0))
        for event in told:
            cluster.tell(event)
        cluster.settle()
        outcomes.append(cluster.states)
    assert outcomes[0] == outcomes[1]
