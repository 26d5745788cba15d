"""The controller's machine, event by event."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from kafkalite.controller.events import (
    NEW_STATE_VERSION,
    BrokerLeaving,
    BrokerReachable,
    BrokersChanged,
    BrokerUnreachable,
    CompleteReassignment,
    DeletionsChanged,
    DropDeletion,
    Effect,
    Elected,
    Event,
    PolicyChanged,
    PreferredLeadersWanted,
    RemovalFailed,
    RemoveTopic,
    ReplicaDamaged,
    StatesFailed,
    StatesObserved,
    StatesWritten,
    Tick,
    TopicRemoved,
    TopicsChanged,
    UncleanLeadersWanted,
    WriteStates,
)
from kafkalite.controller.machine import (
    FIRST_BALANCE_AFTER_MS,
    LEISURELY_AT_ONCE,
    RETRY_AFTER_MS,
    ControllerMachine,
)
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import ElectionNotNeededError, UnknownTopicOrPartitionError
from kafkalite.model.ids import (
    NO_LEADER,
    BrokerId,
    ControllerEpoch,
    LeaderEpoch,
    TopicId,
    TopicPartition,
)
from kafkalite.model.reassignment import move

_EPOCH = ControllerEpoch(3)
_T0 = TopicPartition("t", 0)
_T1 = TopicPartition("t", 1)


def _topic(*replicas: tuple[int, ...], name: str = "t", topic_id: str = "A") -> Topic:
    assignment = {
        number: tuple(BrokerId(broker) for broker in brokers)
        for number, brokers in enumerate(replicas)
    }
    return Topic(name, TopicId(topic_id), assignment)


def _state(
    leader: int, epoch: int, isr: Iterable[int], version: int = 0, controller: int = _EPOCH
) -> PartitionState:
    return PartitionState(
        BrokerId(leader),
        LeaderEpoch(epoch),
        tuple(map(BrokerId, isr)),
        ControllerEpoch(controller),
        version,
    )


class Controller:
    """A machine with a clock and short ways to talk to it."""

    def __init__(self, policy: ControllerPolicy | None = None) -> None:
        self.machine = ControllerMachine(policy or ControllerPolicy(rebalances_leaders=False))
        self.now_ms = 0

    def elect(
        self,
        brokers: dict[int, int],
        topics: Iterable[Topic] = (),
        states: dict[TopicPartition, PartitionState] | None = None,
        revision: int = 1_000,
        deletions: Iterable[str] = (),
    ) -> tuple[Effect, ...]:
        states = states or {}
        return self.tell(
            Elected(
                _EPOCH,
                {BrokerId(broker): epoch for broker, epoch in brokers.items()},
                {topic.name: topic for topic in topics},
                states,
                dict.fromkeys(states, revision),
                frozenset(deletions),
            )
        )

    def tell(self, event: Event) -> tuple[Effect, ...]:
        return self.machine.handle(event, self.now_ms).effects

    def brokers(self, **epochs: int) -> tuple[Effect, ...]:
        live = {BrokerId(int(name[1:])): epoch for name, epoch in epochs.items()}
        return self.tell(BrokersChanged(live))

    def written(self, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        """Have all writes in `effects` succeed."""
        return self.tell(StatesWritten(_outcome(effects)))


def _outcome(effects: tuple[Effect, ...]) -> dict[TopicPartition, PartitionState | None]:
    outcome: dict[TopicPartition, PartitionState | None] = {}
    for effect in effects:
        assert isinstance(effect, WriteStates)
        for change in effect.changes:
            state = change.state
            version = change.expected_version + 1
            outcome[change.partition] = _state(
                state.leader, state.leader_epoch, state.isr, version, state.controller_epoch
            )
    return outcome


def _writes(effects: tuple[Effect, ...]) -> dict[TopicPartition, tuple[int, int, tuple[int, ...]]]:
    (effect,) = effects
    assert isinstance(effect, WriteStates)
    return {
        change.partition: (change.state.leader, change.state.leader_epoch, change.state.isr)
        for change in effect.changes
    }


def test_a_new_topics_partitions_get_states() -> None:
    controller = Controller()
    assert controller.elect({1: 10, 2: 20}) == ()
    effects = controller.tell(TopicsChanged({"t": _topic((1, 2), (2, 3))}))
    assert _writes(effects) == {_T0: (1, 0, (1, 2)), _T1: (2, 0, (2,))}
    (write,) = effects
    assert isinstance(write, WriteStates)
    assert {change.expected_version for change in write.changes} == {NEW_STATE_VERSION}
    assert {change.state.controller_epoch for change in write.changes} == {_EPOCH}
    assert controller.written(effects) == ()


def test_added_partitions_get_states_and_the_others_stay() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    effects = controller.tell(TopicsChanged({"t": _topic((1,), (1,))}))
    assert _writes(effects) == {_T1: (1, 0, (1,))}


def test_a_partition_without_a_live_replica_waits_for_one() -> None:
    controller = Controller()
    assert controller.elect({1: 10}, [_topic((2,))]) == ()
    assert _writes(controller.brokers(b1=10, b2=30)) == {_T0: (2, 0, (2,))}


def test_death_of_the_leader_elects_from_the_isr() -> None:
    controller = Controller()
    topic = _topic((1, 2, 3))
    controller.elect({1: 10, 2: 20, 3: 30}, [topic], {_T0: _state(1, 4, (1, 3), version=8)})
    effects = controller.brokers(b2=20, b3=30)
    assert _writes(effects) == {_T0: (3, 5, (3,))}
    (write,) = effects
    assert isinstance(write, WriteStates)
    assert write.changes[0].expected_version == 8


def test_death_of_the_last_in_sync_replica_takes_the_partition_offline_and_its_return_back() -> (
    None
):
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1,))})
    effects = controller.brokers(b2=20)
    assert _writes(effects) == {_T0: (NO_LEADER, 5, (1,))}
    assert controller.written(effects) == ()
    effects = controller.brokers(b1=50, b2=20)
    assert _writes(effects) == {_T0: (1, 6, (1,))}
    assert controller.written(effects) == ()


def test_a_broker_that_came_back_at_once_leads_in_a_new_epoch() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    effects = controller.brokers(b1=99)
    assert _writes(effects) == {_T0: (1, 5, (1,))}
    assert controller.written(effects) == ()


def test_a_broker_restarted_before_the_election_leads_in_a_new_epoch() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1,))}
    effects = controller.elect({1: 2_000}, [_topic((1,))], states, revision=1_999)
    assert _writes(effects) == {_T0: (1, 5, (1,))}
    assert controller.written(effects) == ()


def test_nothing_is_written_when_the_predecessor_had_finished() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1,)), _T1: _state(NO_LEADER, 2, (3,))}
    assert controller.elect({1: 10}, [_topic((1,), (3,))], states) == ()


def test_a_restart_during_a_write_is_dealt_with_after_it() -> None:
    """CTL-1 of docs/design/controller.md."""
    controller = Controller()
    effects = controller.elect({1: 10}, [_topic((1,))])
    assert controller.brokers(b1=99) == ()
    effects = controller.written(effects)
    assert _writes(effects) == {_T0: (1, 1, (1,))}
    assert controller.written(effects) == ()


def test_a_lost_compare_and_set_is_decided_anew_on_what_is_stored() -> None:
    """CTL-1 of docs/design/controller.md."""
    controller = Controller()
    states = {_T0: _state(1, 4, (1, 2, 3), version=8)}
    controller.elect({1: 10, 2: 20, 3: 30}, [_topic((1, 2, 3))], states)
    controller.brokers(b2=20, b3=30)
    effects = controller.tell(StatesWritten({_T0: _state(1, 4, (1, 3), version=9)}))
    assert _writes(effects) == {_T0: (3, 5, (3,))}


def test_late_news_do_not_undo_what_was_written() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1, 2), version=8)})
    effects = controller.brokers(b2=20)
    controller.written(effects)
    assert (
        controller.tell(StatesObserved({_T0: _state(1, 4, (1, 2), version=8)}, {_T0: 1_000})) == ()
    )


def test_an_isr_that_the_leader_raised_is_taken_over() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1,), version=8)})
    assert controller.brokers(b1=10, b2=99) == ()
    assert (
        controller.tell(StatesObserved({_T0: _state(1, 4, (1, 2), version=9)}, {_T0: 1_000})) == ()
    )
    assert _writes(controller.brokers(b2=99)) == {_T0: (2, 5, (2,))}


def test_a_member_that_joined_and_was_then_started_again_leaves_whatever_is_heard_first() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1,))}, revision=30)
    assert controller.brokers(b1=10, b2=99) == ()
    joined = StatesObserved({_T0: _state(1, 4, (1, 2), version=1)}, {_T0: 50})
    effects = controller.tell(joined)
    assert _writes(effects) == {_T0: (1, 5, (1,))}
    assert controller.written(effects) == ()


def test_a_member_that_joined_after_it_was_started_again_stays() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1,))}, revision=30)
    assert controller.brokers(b1=10, b2=99) == ()
    joined = StatesObserved({_T0: _state(1, 4, (1, 2), version=1)}, {_T0: 120})
    assert controller.tell(joined) == ()


def test_a_member_that_was_started_again_leaves_though_a_write_met_its_joining_first() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1, 3))}
    controller.elect({1: 10, 2: 20, 3: 30}, [_topic((1, 2, 3))], states, revision=40)
    assert controller.brokers(b1=10, b2=99, b3=30) == ()
    assert _writes(controller.brokers(b1=10, b2=99)) == {_T0: (1, 5, (1,))}
    # The leader had taken in broker 2, before that was started again.
    joined = _state(1, 4, (1, 3, 2), version=1)
    effects = controller.tell(StatesWritten({_T0: joined}))
    assert _writes(effects) == {_T0: (1, 5, (1, 2))}
    assert controller.tell(StatesObserved({_T0: joined}, {_T0: 50})) == ()
    assert _writes(controller.written(effects)) == {_T0: (1, 6, (1,))}


def test_a_state_that_vanished_is_made_anew_above_the_old_epoch() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    assert _writes(controller.tell(StatesObserved({_T0: None}, {}))) == {_T0: (1, 5, (1,))}


def test_a_failed_write_is_tried_again_after_a_while() -> None:
    controller = Controller()
    effects = controller.elect({1: 10}, [_topic((1,))])
    assert controller.tell(StatesFailed(frozenset({_T0}))) == ()
    assert controller.machine.next_tick_ms == RETRY_AFTER_MS
    controller.now_ms = RETRY_AFTER_MS - 1
    assert controller.tell(Tick()) == ()
    controller.now_ms = RETRY_AFTER_MS
    assert controller.tell(Tick()) == effects
    assert controller.machine.next_tick_ms is None


def test_a_topic_is_deleted_and_can_come_back_under_its_name() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    assert controller.tell(DeletionsChanged(frozenset({"t"}))) == (RemoveTopic("t"),)
    assert controller.brokers() == ()  # nothing is elected for it any more
    assert controller.tell(TopicRemoved("t")) == ()
    controller.brokers(b1=10)
    effects = controller.tell(TopicsChanged({"t": _topic((1,), topic_id="B")}))
    assert _writes(effects) == {_T0: (1, 0, (1,))}


def test_a_topic_that_came_back_before_the_removal_was_told_of_is_looked_after() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1, 2))})
    assert controller.tell(DeletionsChanged(frozenset({"t"}))) == (RemoveTopic("t"),)
    controller.tell(DeletionsChanged(frozenset()))
    controller.written(controller.tell(TopicsChanged({"t": _topic((1, 2), topic_id="B")})))
    assert controller.tell(TopicRemoved("t")) == ()
    assert _writes(controller.brokers(b2=20)) == {_T0: (2, 1, (2,))}


def test_a_topic_that_came_back_can_be_deleted_though_its_request_looks_as_the_last_one() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    assert controller.tell(DeletionsChanged(frozenset({"t"}))) == (RemoveTopic("t"),)
    assert controller.tell(TopicRemoved("t")) == ()
    controller.written(controller.tell(TopicsChanged({"t": _topic((1,), topic_id="B")})))
    controller.now_ms += RETRY_AFTER_MS
    assert controller.tell(Tick()) == (RemoveTopic("t"),)


def test_deletion_waits_for_dead_brokers() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1,))}
    assert controller.elect({1: 10}, [_topic((1, 2))], states, deletions=["t"]) == ()
    assert controller.brokers(b1=10, b2=20) == (RemoveTopic("t"),)


def test_deletion_waits_for_a_write_in_flight() -> None:
    controller = Controller()
    effects = controller.elect({1: 10}, [_topic((1,))])
    assert controller.tell(DeletionsChanged(frozenset({"t"}))) == ()
    assert controller.written(effects) == (RemoveTopic("t"),)


def test_a_removal_that_another_controller_began_is_finished_not_undone() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1,))}  # t-1's is removed already
    topic = _topic((1, 2), (1, 2))
    assert controller.elect({1: 10}, [topic], states, deletions=["t"]) == ()
    assert controller.brokers(b1=10, b2=20) == (RemoveTopic("t"),)


def test_a_withdrawn_deletion_leaves_the_topic_as_it_was() -> None:
    controller = Controller()
    topic = _topic((1, 2), (1, 2))
    controller.elect({1: 10}, [topic], {_T0: _state(1, 4, (1,))}, deletions=["t"])
    assert _writes(controller.tell(DeletionsChanged(frozenset()))) == {_T1: (1, 0, (1,))}


def test_a_failed_removal_is_tried_again_after_a_while() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1,))}
    controller.elect({1: 10}, [_topic((1,))], states, deletions=["t"])
    assert controller.tell(RemovalFailed("t")) == ()
    controller.now_ms = RETRY_AFTER_MS
    assert controller.tell(Tick()) == (RemoveTopic("t"),)


def test_a_deletion_is_dropped_when_it_is_disabled_or_the_topic_unknown() -> None:
    controller = Controller(ControllerPolicy(deletes_topics=False))
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    (dropped,) = controller.tell(DeletionsChanged(frozenset({"t"})))
    assert isinstance(dropped, DropDeletion)
    assert "delete.topic.enable" in dropped.reason
    (unknown,) = controller.tell(DeletionsChanged(frozenset({"t", "nope"})))
    assert isinstance(unknown, DropDeletion)
    assert unknown.name == "nope"


@pytest.mark.parametrize("event", [StatesWritten({_T0: None}), StatesObserved({_T0: None}, {})])
def test_news_of_a_topic_that_is_gone_are_nothing(event: Event) -> None:
    controller = Controller()
    controller.elect({1: 10})
    assert controller.tell(event) == ()


def test_a_topic_of_the_same_name_but_another_id_is_another_topic() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    effects = controller.tell(TopicsChanged({"t": _topic((1,), topic_id="B")}))
    assert _writes(effects) == {_T0: (1, 0, (1,))}


# -- brokers that cannot be reached or leave -------------------------------------------------------


def test_an_unreachable_broker_is_as_good_as_dead_until_it_is_reached_again() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1, 2))})
    effects = controller.tell(BrokerUnreachable(BrokerId(1), 10))
    assert _writes(effects) == {_T0: (2, 5, (2,))}
    assert controller.tell(BrokerUnreachable(BrokerId(1), 10)) == ()
    assert controller.written(effects) == ()
    assert controller.tell(TopicsChanged({"t": _topic((1, 2), (1,))})) == ()
    assert _writes(controller.tell(BrokerReachable(BrokerId(1), 10))) == {_T1: (1, 0, (1,))}


@pytest.mark.parametrize(
    "event",
    [
        BrokerUnreachable(BrokerId(1), 9),
        BrokerUnreachable(BrokerId(7), -1),
        BrokerReachable(BrokerId(1), 10),
        BrokerLeaving(BrokerId(1), 9),
    ],
)
def test_what_is_said_of_another_incarnation_is_nothing(event: Event) -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1, 2))})
    assert controller.tell(event) == ()


def test_those_that_wait_for_a_leader_come_first_in_a_write() -> None:
    controller = Controller()
    states = {_T0: _state(2, 4, (2, 1)), _T1: _state(1, 4, (1, 2))}
    controller.elect({1: 10, 2: 20}, [_topic((2, 1), (1, 2))], states)
    assert list(_writes(controller.brokers(b2=20))) == [_T1, _T0]


def test_leaders_of_a_broker_that_leaves_move_a_few_at_a_time() -> None:
    controller = Controller()
    count = LEISURELY_AT_ONCE + 1
    states = {TopicPartition("t", number): _state(1, 4, (1, 2)) for number in range(count)}
    controller.elect({1: 10, 2: 20}, [_topic(*((1, 2),) * count)], states)
    first = controller.tell(BrokerLeaving(BrokerId(1), 10))
    assert len(_writes(first)) == LEISURELY_AT_ONCE
    assert controller.machine.remaining(BrokerId(1)) == count
    assert controller.tell(BrokerLeaving(BrokerId(1), 10)) == ()
    second = controller.written(first)
    assert len(_writes(second)) == 1
    assert controller.machine.remaining(BrokerId(1)) == 1
    assert controller.written(second) == ()
    assert controller.machine.remaining(BrokerId(1)) == 0


def test_a_death_does_not_wait_for_a_broker_that_leaves() -> None:
    controller = Controller()
    count = LEISURELY_AT_ONCE + 1
    states = {TopicPartition("t", number): _state(1, 4, (1, 2)) for number in range(count)}
    controller.elect({1: 10, 2: 20}, [_topic(*((1, 2),) * count)], states)
    controller.tell(BrokerLeaving(BrokerId(1), 10))
    assert list(_writes(controller.brokers(b2=20))) == [TopicPartition("t", count - 1)]


def test_what_only_a_leaving_broker_can_lead_does_not_remain_to_be_moved() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1,)), _T1: _state(1, 4, (1,))}
    controller.elect({1: 10, 2: 20}, [_topic((1,), (1, 2))], states)
    assert controller.tell(BrokerLeaving(BrokerId(1), 10)) == ()
    assert controller.machine.remaining(BrokerId(1)) == 1  # broker 2 may still catch up
    controller.tell(BrokerLeaving(BrokerId(2), 20))
    assert controller.machine.remaining(BrokerId(1)) == 0


# -- wishes ----------------------------------------------------------------------------------------


def test_verdicts_about_wished_elections() -> None:
    controller = Controller()
    states = {_T0: _state(2, 4, (1, 2)), _T1: _state(1, 4, (1,))}
    controller.elect({1: 10, 2: 20}, [_topic((1, 2), (1, 2))], states)
    machine = controller.machine
    assert machine.preferred_verdict(_T0) is None
    assert machine.preferred_verdict(_T1) is ElectionNotNeededError
    assert machine.preferred_verdict(TopicPartition("t", 9)) is UnknownTopicOrPartitionError
    assert machine.unclean_verdict(_T0) is ElectionNotNeededError
    assert machine.unclean_verdict(TopicPartition("u", 0)) is UnknownTopicOrPartitionError
    controller.tell(DeletionsChanged(frozenset({"t"})))
    assert machine.preferred_verdict(_T0) is UnknownTopicOrPartitionError


def test_elections_are_counted_when_they_have_taken_place() -> None:
    controller = Controller()
    states = {_T0: _state(1, 4, (1, 2)), _T1: _state(1, 4, (1,))}
    controller.elect({1: 10, 2: 20}, [_topic((1, 2), (1, 2))], states)
    effects = controller.brokers(b2=20)
    assert controller.machine.elections == 0
    controller.written(effects)
    assert (controller.machine.elections, controller.machine.unclean_elections) == (1, 0)
    controller.written(controller.tell(UncleanLeadersWanted(frozenset({_T1}))))
    assert (controller.machine.elections, controller.machine.unclean_elections) == (2, 1)


def test_follower_that_lost_its_disk_leaves_the_isr_and_the_leader_stays() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1, 2))})
    effects = controller.tell(ReplicaDamaged(_T0, BrokerId(2), 4))
    assert _writes(effects) == {_T0: (1, 5, (1,))}


def test_damage_in_a_former_epoch_or_out_of_sync_is_nothing() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1, 2))})
    assert controller.tell(ReplicaDamaged(_T0, BrokerId(1), 3)) == ()
    assert controller.tell(ReplicaDamaged(_T0, BrokerId(3), 4)) == ()
    assert controller.tell(ReplicaDamaged(_T1, BrokerId(1), 4)) == ()


def test_what_was_wished_for_is_not_forgotten_when_its_write_fails() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(2, 4, (2, 1))})
    effects = controller.tell(PreferredLeadersWanted(frozenset({_T0})))
    assert controller.tell(StatesFailed(frozenset({_T0}))) == ()
    controller.now_ms = RETRY_AFTER_MS
    assert controller.tell(Tick()) == effects


# -- settings --------------------------------------------------------------------------------------


def test_allowing_unclean_elections_ends_the_wait_for_those_in_sync() -> None:
    controller = Controller()
    states = {_T0: _state(NO_LEADER, 4, (1,))}
    assert controller.elect({2: 20}, [_topic((1, 2))], states) == ()
    effects = controller.tell(PolicyChanged(ControllerPolicy(elects_unclean=True)))
    assert _writes(effects) == {_T0: (2, 5, (2,))}


def test_a_topic_forbids_unclean_elections_for_itself() -> None:
    controller = Controller()
    topic = replace(_topic((1, 2)), config={"unclean.leader.election.enable": "false"})
    controller.elect({2: 20}, [topic], {_T0: _state(NO_LEADER, 4, (1,))})
    assert controller.tell(PolicyChanged(ControllerPolicy(elects_unclean=True))) == ()


def test_leaders_are_balanced_now_and_then_where_too_many_are_displaced() -> None:
    controller = Controller(ControllerPolicy(imbalance_check_interval_ms=60_000))
    states = {
        TopicPartition("t", number): _state(leader, 4, (1, 2))
        for number, leader in enumerate([2, 2, 1, 2])
    }
    topic = _topic((1, 2), (1, 2), (1, 2), (2, 1))
    controller.elect({1: 10, 2: 20}, [topic], states)
    assert controller.machine.next_tick_ms == FIRST_BALANCE_AFTER_MS
    controller.now_ms = FIRST_BALANCE_AFTER_MS - 1
    assert controller.tell(Tick()) == ()
    controller.now_ms = FIRST_BALANCE_AFTER_MS
    assert _writes(controller.tell(Tick())) == {_T0: (1, 5, (1, 2)), _T1: (1, 5, (1, 2))}
    assert controller.machine.next_tick_ms == FIRST_BALANCE_AFTER_MS + 60_000


def test_leaders_are_not_balanced_where_that_is_turned_off() -> None:
    controller = Controller(ControllerPolicy())
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(2, 4, (1, 2))})
    controller.tell(PolicyChanged(ControllerPolicy(rebalances_leaders=False)))
    assert controller.machine.next_tick_ms is None


def test_a_partition_that_moves_is_not_balanced_and_what_cannot_lead_stays() -> None:
    controller = Controller(ControllerPolicy())
    topic = move(_topic((1, 2), (1, 2)), 0, (BrokerId(3), BrokerId(2)))
    states = {_T0: _state(2, 4, (2, 3)), _T1: _state(2, 4, (2,))}
    controller.elect({1: 10, 2: 20, 4: 40}, [topic], states)
    controller.now_ms = FIRST_BALANCE_AFTER_MS
    controller.tell(StatesFailed(frozenset({_T0})))
    assert controller.tell(Tick()) == ()


# -- reassignments ---------------------------------------------------------------------------------


def test_the_end_of_a_reassignment_is_asked_for_once_a_state() -> None:
    controller = Controller()
    topic = move(_topic((1,)), 0, (BrokerId(2),))
    states = {_T0: _state(2, 4, (2,), version=8)}
    effects = controller.elect({1: 10, 2: 20}, [topic], states)
    assert effects == (CompleteReassignment("t", frozenset({0})),)
    assert controller.brokers(b1=11, b2=20) == ()
    assert controller.tell(TopicsChanged({"t": replace(topic, config={"a": "b"})})) == ()
    # Its leader changed the state, which made the store refuse, and changed it back.
    news = StatesObserved({_T0: _state(2, 4, (2, 1), version=9)}, {_T0: 1_000})
    assert controller.written(controller.tell(news)) == effects
    assert controller.brokers(b1=12, b2=20) == ()


def test_a_replaced_reassignment_is_ended_anew() -> None:
    controller = Controller()
    topic = move(_topic((1, 2)), 0, (BrokerId(2),))
    controller.elect({1: 10, 2: 20}, [topic], {_T0: _state(2, 4, (2,))})
    assert controller.tell(TopicsChanged({"t": _topic((1, 2))})) == ()
    effects = controller.tell(TopicsChanged({"t": topic}))
    assert effects == (CompleteReassignment("t", frozenset({0})),)


def test_a_topic_that_is_to_be_deleted_is_not_reassigned_any_more() -> None:
    controller = Controller()
    topic = move(_topic((1, 3)), 0, (BrokerId(2), BrokerId(3)))
    states = {_T0: _state(2, 4, (2,))}
    assert controller.elect({1: 10, 2: 20}, [topic], states, deletions=["t"]) == ()
    effects = controller.tell(DeletionsChanged(frozenset()))
    assert effects == (CompleteReassignment("t", frozenset({0})),)
