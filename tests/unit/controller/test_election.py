"""Who leads: each rule of election.py."""

import pytest

from kafkalite.controller.election import first_state, next_state
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch

_CONTROLLER = ControllerEpoch(7)


def _ids(*numbers: int) -> tuple[BrokerId, ...]:
    return tuple(BrokerId(number) for number in numbers)


def _state(leader: int, epoch: int, isr: tuple[int, ...], version: int = 3) -> PartitionState:
    return PartitionState(
        BrokerId(leader), LeaderEpoch(epoch), _ids(*isr), ControllerEpoch(6), version
    )


def _next(
    state: PartitionState, *, live: tuple[int, ...], restarted: tuple[int, ...] = ()
) -> tuple[int, int, tuple[int, ...]] | None:
    found = next_state(state, _ids(1, 2, 3), _ids(*live), _ids(*restarted), _CONTROLLER)
    if found is None:
        return None
    assert found.controller_epoch == _CONTROLLER
    assert found.version == state.version
    return found.leader, found.leader_epoch, found.isr


def test_a_new_partition_is_led_by_its_first_live_replica() -> None:
    state = first_state(_ids(1, 2, 3), _ids(2, 3, 9), _CONTROLLER)
    assert state == PartitionState(BrokerId(2), LeaderEpoch(0), _ids(2, 3), _CONTROLLER)


def test_a_new_partition_waits_when_no_replica_lives() -> None:
    assert first_state(_ids(1, 2), _ids(9), _CONTROLLER) is None


@pytest.mark.parametrize(
    ("state", "live", "expected"),
    [
        pytest.param(_state(1, 4, (1, 2, 3)), (1, 2, 3), None, id="all live"),
        pytest.param(_state(1, 4, (1, 2)), (1, 2), None, id="a replica outside the ISR is dead"),
        pytest.param(_state(1, 4, (1, 2, 3)), (2, 3), (2, 5, (2, 3)), id="leader dead"),
        pytest.param(_state(1, 4, (3, 1)), (2, 3), (3, 5, (3,)), id="the live one is not in sync"),
        pytest.param(_state(1, 4, (1, 2, 3)), (1, 3), (1, 4, (1, 3)), id="follower dead"),
        pytest.param(_state(1, 4, (1,)), (2, 3), (NO_LEADER, 5, (1,)), id="the only one in sync"),
        pytest.param(_state(1, 4, (1, 2)), (3,), (NO_LEADER, 5, (1, 2)), id="all in sync dead"),
        pytest.param(_state(NO_LEADER, 5, (1, 2)), (3,), None, id="offline, nobody came back"),
        pytest.param(_state(NO_LEADER, 5, (1, 2)), (2, 3), (2, 6, (2,)), id="one came back"),
        pytest.param(_state(2, 4, (1, 2)), (1, 2), None, id="not the preferred one: stays"),
    ],
)
def test_next_state(
    state: PartitionState,
    live: tuple[int, ...],
    expected: tuple[int, int, tuple[int, ...]] | None,
) -> None:
    assert _next(state, live=live) == expected


@pytest.mark.parametrize(
    ("isr", "restarted", "expected"),
    [
        pytest.param((1,), (1,), (1, 5, (1,)), id="alone: leads on, in a new epoch"),
        pytest.param((1, 2), (1,), (2, 5, (2,)), id="leader: the unbroken one takes over"),
        pytest.param((1, 2), (2,), (1, 4, (1,)), id="follower: has to catch up first"),
        pytest.param((1, 2), (1, 2), (1, 5, (1, 2)), id="all: nobody is better than another"),
        pytest.param((1, 2), (3,), None, id="not in sync anyway"),
    ],
)
def test_a_restarted_broker_is_another_incarnation(
    isr: tuple[int, ...],
    restarted: tuple[int, ...],
    expected: tuple[int, int, tuple[int, ...]] | None,
) -> None:
    assert _next(_state(1, 4, isr), live=(1, 2, 3), restarted=restarted) == expected
