"""The transition tables."""

import pytest

from kafkalite.controller.states import (
    PARTITION_PREDECESSORS,
    TOPIC_PREDECESSORS,
    IllegalTransitionError,
    PartitionPhase,
    TopicPhase,
    check_partition_transition,
    check_topic_transition,
    phase_of,
)
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch


def test_the_tables_are_total() -> None:
    assert set(PARTITION_PREDECESSORS) == set(PartitionPhase)
    assert set(TOPIC_PREDECESSORS) == set(TopicPhase)


def test_a_partition_cannot_have_a_leader_before_it_exists() -> None:
    with pytest.raises(IllegalTransitionError, match="NON_EXISTENT -> ONLINE"):
        check_partition_transition("t-0", PartitionPhase.NON_EXISTENT, PartitionPhase.ONLINE)


def test_a_topic_cannot_come_back_while_it_is_removed() -> None:
    with pytest.raises(IllegalTransitionError, match="DELETING -> PRESENT"):
        check_topic_transition("t", TopicPhase.DELETING, TopicPhase.PRESENT)


def test_the_phase_follows_from_the_state() -> None:
    online = PartitionState(BrokerId(1), LeaderEpoch(0), (BrokerId(1),), ControllerEpoch(1))
    offline = PartitionState(NO_LEADER, LeaderEpoch(1), (BrokerId(1),), ControllerEpoch(1))
    assert phase_of(None) is PartitionPhase.NEW
    assert phase_of(online) is PartitionPhase.ONLINE
    assert phase_of(offline) is PartitionPhase.OFFLINE
