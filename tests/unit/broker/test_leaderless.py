"""What is said of a partition that nobody leads."""

import pytest

from kafkalite.broker.leaderless import leaderless
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch, TopicPartition

_T0 = TopicPartition("t", 0)


def _state(leader: int, *isr: int) -> PartitionState:
    members = tuple(map(BrokerId, isr))
    return PartitionState(BrokerId(leader), LeaderEpoch(1), members, ControllerEpoch(1))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "t-0 has no leader at the moment"),
        (_state(1, 1, 2), "t-0 has no leader at the moment"),
        (
            _state(NO_LEADER, 2),
            "t-0 has no leader at the moment: it waits for broker 2, the only one in sync",
        ),
        (
            _state(NO_LEADER, 2, 1),
            "t-0 has no leader at the moment: it waits for one of the brokers 2, 1, "
            "which are in sync",
        ),
    ],
    ids=["new", "led in a moment", "one", "some"],
)
def test_those_who_could_lead_are_named(state: PartitionState | None, said: str) -> None:
    assert leaderless(_T0, state).detail == said
