"""The controller's machine, event by event."""

from collections.abc import Iterable

import pytest

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
from kafkalite.controller.machine import RETRY_AFTER_MS, ControllerMachine
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import (
    NO_LEADER,
    BrokerId,
    ControllerEpoch,
    LeaderEpoch,
    TopicId,
    TopicPartition,
)

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

    def __init__(self, *, deletes_topics: bool = True) -> None:
        self.machine = ControllerMachine(
            ControllerPolicy(deletes_topics=deletes_topics, rebalances_leaders=False)
        )
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
    controller = Controller()
    effects = controller.elect({1: 10}, [_topic((1,))])
    assert controller.brokers(b1=99) == ()
    effects = controller.written(effects)
    assert _writes(effects) == {_T0: (1, 1, (1,))}
    assert controller.written(effects) == ()


def test_a_lost_compare_and_set_is_decided_anew_on_what_is_stored() -> None:
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
    assert controller.tell(StatesObserved({_T0: _state(1, 4, (1, 2), version=8)})) == ()


def test_an_isr_that_the_leader_raised_is_taken_over() -> None:
    controller = Controller()
    controller.elect({1: 10, 2: 20}, [_topic((1, 2))], {_T0: _state(1, 4, (1,), version=8)})
    assert controller.brokers(b1=10, b2=99) == ()
    assert controller.tell(StatesObserved({_T0: _state(1, 4, (1, 2), version=9)})) == ()
    assert _writes(controller.brokers(b2=99)) == {_T0: (2, 5, (2,))}


def test_a_state_that_vanished_is_made_anew_above_the_old_epoch() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    assert _writes(controller.tell(StatesObserved({_T0: None}))) == {_T0: (1, 5, (1,))}


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
    controller = Controller(deletes_topics=False)
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    (dropped,) = controller.tell(DeletionsChanged(frozenset({"t"})))
    assert isinstance(dropped, DropDeletion)
    assert "delete.topic.enable" in dropped.reason
    (unknown,) = controller.tell(DeletionsChanged(frozenset({"t", "nope"})))
    assert isinstance(unknown, DropDeletion)
    assert unknown.name == "nope"


@pytest.mark.parametrize("event", [StatesWritten({_T0: None}), StatesObserved({_T0: None})])
def test_news_of_a_topic_that_is_gone_are_nothing(event: Event) -> None:
    controller = Controller()
    controller.elect({1: 10})
    assert controller.tell(event) == ()


def test_a_topic_of_the_same_name_but_another_id_is_another_topic() -> None:
    controller = Controller()
    controller.elect({1: 10}, [_topic((1,))], {_T0: _state(1, 4, (1,))})
    effects = controller.tell(TopicsChanged({"t": _topic((1,), topic_id="B")}))
    assert _writes(effects) == {_T0: (1, 0, (1,))}
