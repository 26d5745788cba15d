"""Who leads and who is in sync: each rule of election.py."""

import pytest

from kafkalite.controller.election import (
    Situation,
    first_state,
    next_state,
    preferred_verdict,
    unclean_verdict,
)
from kafkalite.controller.grounds import Grounds
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import (
    ElectionNotNeededError,
    EligibleLeadersNotAvailableError,
    LogError,
    PreferredLeaderNotAvailableError,
)
from kafkalite.model.ids import NO_LEADER, BrokerId, ControllerEpoch, LeaderEpoch, TopicId
from kafkalite.model.reassignment import move

_CONTROLLER = ControllerEpoch(7)
_Outcome = tuple[int, int, tuple[int, ...]] | None


def _ids(*numbers: int) -> tuple[BrokerId, ...]:
    return tuple(BrokerId(number) for number in numbers)


def _set(*numbers: int) -> frozenset[BrokerId]:
    return frozenset(_ids(*numbers))


def _topic(replicas: tuple[int, ...] = (1, 2, 3), target: tuple[int, ...] | None = None) -> Topic:
    topic = Topic("t", TopicId("A"), {0: _ids(*replicas)})
    return topic if target is None else move(topic, 0, _ids(*target))


def _state(leader: int, epoch: int, isr: tuple[int, ...], version: int = 3) -> PartitionState:
    return PartitionState(
        BrokerId(leader), LeaderEpoch(epoch), _ids(*isr), ControllerEpoch(6), version
    )


def _next(
    state: PartitionState,
    live: tuple[int, ...] = (1, 2, 3, 4, 5),
    topic: Topic | None = None,
    leaving: tuple[int, ...] = (),
    grounds: Grounds | None = None,
    *,
    unclean: bool = False,
) -> _Outcome:
    situation = Situation(
        topic or _topic(), 0, _set(*live), _set(*leaving), grounds or Grounds(), unclean
    )
    found = next_state(state, situation, _CONTROLLER)
    if found is None:
        return None
    assert found.controller_epoch == _CONTROLLER
    assert found.version == state.version
    return found.leader, found.leader_epoch, found.isr


def test_a_new_partition_is_led_by_its_first_live_replica() -> None:
    state = first_state(Situation(_topic(), 0, _set(2, 3, 9)), _CONTROLLER)
    assert state == PartitionState(BrokerId(2), LeaderEpoch(0), _ids(2, 3), _CONTROLLER)


def test_a_new_partition_is_not_given_to_a_broker_that_leaves() -> None:
    state = first_state(Situation(_topic(), 0, _set(1, 2, 3), _set(1)), _CONTROLLER)
    assert state == PartitionState(BrokerId(2), LeaderEpoch(0), _ids(2, 3), _CONTROLLER)


def test_a_new_partition_waits_when_no_replica_lives() -> None:
    assert first_state(Situation(_topic(), 0, _set(9)), _CONTROLLER) is None


@pytest.mark.parametrize(
    ("state", "live", "expected"),
    [
        pytest.param(_state(1, 4, (1, 2, 3)), (1, 2, 3), None, id="all live"),
        pytest.param(_state(1, 4, (1, 2)), (1, 2), None, id="a replica outside the ISR is dead"),
        pytest.param(_state(1, 4, (1, 2, 3)), (2, 3), (2, 5, (2, 3)), id="leader dead"),
        pytest.param(_state(1, 4, (3, 1)), (2, 3), (3, 5, (3,)), id="the live one is not in sync"),
        pytest.param(_state(1, 4, (1, 2, 3)), (1, 3), (1, 5, (1, 3)), id="follower dead"),
        pytest.param(_state(1, 4, (1,)), (2, 3), (NO_LEADER, 5, (1,)), id="the only one in sync"),
        pytest.param(_state(1, 4, (1, 2)), (3,), (NO_LEADER, 5, (1, 2)), id="all in sync dead"),
        pytest.param(_state(NO_LEADER, 5, (1, 2)), (3,), None, id="offline, nobody came back"),
        pytest.param(_state(NO_LEADER, 5, (1, 2)), (2, 3), (2, 6, (2,)), id="one came back"),
        pytest.param(_state(2, 4, (1, 2)), (1, 2), None, id="not the preferred one: stays"),
        pytest.param(_state(1, 4, (1, 9, 2)), (1, 2, 9), (1, 5, (1, 2)), id="not assigned"),
        pytest.param(_state(9, 4, (9, 2)), (2, 9), (2, 5, (2,)), id="leader not assigned"),
        pytest.param(_state(9, 4, (9,)), (1, 9), None, id="only one not assigned is in sync"),
    ],
)
def test_next_state(state: PartitionState, live: tuple[int, ...], expected: _Outcome) -> None:
    assert _next(state, live) == expected


@pytest.mark.parametrize(
    ("isr", "restarted", "expected"),
    [
        pytest.param((1,), (1,), (1, 5, (1,)), id="alone: leads on, in a new epoch"),
        pytest.param((1, 2), (1,), (2, 5, (2,)), id="leader: the unbroken one takes over"),
        pytest.param((1, 2), (2,), (1, 5, (1,)), id="follower: has to catch up first"),
        pytest.param((1, 2), (1, 2), (1, 5, (1, 2)), id="all: nobody is better than another"),
        pytest.param((1, 2), (3,), None, id="not in sync anyway"),
    ],
)
def test_a_restarted_broker_is_another_incarnation(
    isr: tuple[int, ...], restarted: tuple[int, ...], expected: _Outcome
) -> None:
    grounds = Grounds(restarted=_set(*restarted))
    assert _next(_state(1, 4, isr), grounds=grounds) == expected


@pytest.mark.parametrize(
    ("isr", "live", "expected"),
    [
        pytest.param((1, 2), (1, 2, 3), (2, 5, (2,)), id="another one takes over"),
        pytest.param((1, 2), (1, 3), (1, 5, (1,)), id="the other one is dead"),
        pytest.param((1,), (1, 2, 3), None, id="alone: serves what it can"),
    ],
)
def test_a_damaged_leader_is_replaced_where_another_one_is_in_sync(
    isr: tuple[int, ...], live: tuple[int, ...], expected: _Outcome
) -> None:
    assert _next(_state(1, 4, isr), live, grounds=Grounds(damaged=_set(1))) == expected


def test_a_restarted_replica_is_better_than_a_damaged_one() -> None:
    grounds = Grounds(restarted=_set(2), damaged=_set(1))
    assert _next(_state(1, 4, (1, 2)), grounds=grounds) == (2, 5, (2,))


@pytest.mark.parametrize(
    ("state", "leaving", "expected"),
    [
        pytest.param(_state(1, 4, (1, 2, 3)), (1,), (2, 5, (2, 3)), id="the leader"),
        pytest.param(_state(1, 4, (1, 2, 3)), (2,), (1, 5, (1, 3)), id="a follower"),
        pytest.param(_state(1, 4, (1,)), (1,), None, id="alone in sync: leads on"),
        pytest.param(_state(1, 4, (1, 2)), (1, 2), None, id="all leave: the leader leads on"),
        pytest.param(_state(1, 4, (1, 2, 3)), (1, 2), (3, 5, (3,)), id="two of three"),
        pytest.param(_state(NO_LEADER, 4, (2,)), (2,), (2, 5, (2,)), id="better than none"),
    ],
)
def test_a_broker_that_leaves(
    state: PartitionState, leaving: tuple[int, ...], expected: _Outcome
) -> None:
    grounds = Grounds(leaving=_set(*leaving))
    assert _next(state, leaving=leaving, grounds=grounds) == expected


def test_a_leaving_leader_goes_as_soon_as_another_one_is_in_sync() -> None:
    assert _next(_state(1, 4, (1, 2)), leaving=(1,)) == (2, 5, (1, 2))


def test_a_leaving_follower_whom_the_leader_took_back_is_left_to_the_leader() -> None:
    assert _next(_state(1, 4, (1, 2)), leaving=(2,)) is None


@pytest.mark.parametrize(
    ("state", "live", "leaving", "expected"),
    [
        pytest.param(_state(1, 4, (1,)), (2, 3), (), (2, 5, (2,)), id="the first live one, alone"),
        pytest.param(_state(NO_LEADER, 4, (1,)), (3,), (), (3, 5, (3,)), id="was offline before"),
        pytest.param(_state(1, 4, (1, 3)), (2, 3), (), (3, 5, (3,)), id="one in sync lives"),
        pytest.param(_state(NO_LEADER, 4, (1,)), (9,), (), None, id="no replica lives"),
        pytest.param(_state(1, 4, (1,)), (2, 3), (2,), (3, 5, (3,)), id="the first one leaves"),
    ],
)
def test_unclean_election(
    state: PartitionState, live: tuple[int, ...], leaving: tuple[int, ...], expected: _Outcome
) -> None:
    assert _next(state, live, leaving=leaving, unclean=True) == expected


def test_an_unclean_leader_is_not_one_that_has_only_begun_to_copy() -> None:
    topic = _topic((1, 2), target=(4, 2))
    state = _state(1, 4, (1,))
    assert _next(state, (2, 4), topic, unclean=True) == (2, 5, (2,))
    assert _next(state, (4,), topic, unclean=True) == (4, 5, (4,))


@pytest.mark.parametrize(
    ("state", "live", "leaving", "expected"),
    [
        pytest.param(_state(2, 4, (2, 1)), (1, 2), (), (1, 5, (2, 1)), id="in sync and alive"),
        pytest.param(_state(2, 4, (2, 1)), (2, 3), (), (2, 5, (2,)), id="dead"),
        pytest.param(_state(2, 4, (2, 3)), (1, 2, 3), (), None, id="not in sync"),
        pytest.param(_state(1, 4, (1, 2)), (1, 2), (), None, id="leads already"),
        pytest.param(_state(2, 4, (2, 1)), (1, 2), (1,), None, id="leaves"),
    ],
)
def test_the_preferred_leader_is_elected_when_it_is_wanted(
    state: PartitionState, live: tuple[int, ...], leaving: tuple[int, ...], expected: _Outcome
) -> None:
    assert _next(state, live, leaving=leaving, grounds=Grounds(preferred=True)) == expected


@pytest.mark.parametrize(
    ("isr", "live", "expected"),
    [
        pytest.param((1, 2, 4), (1, 2, 4, 5), None, id="5 is not in sync yet"),
        pytest.param((1, 2, 4, 5), (1, 2, 4, 5), (4, 5, (4, 5)), id="all that are added are"),
        pytest.param((1, 2, 4, 5), (1, 2, 4), (1, 5, (1, 2, 4)), id="5 died again"),
        pytest.param((1, 4, 5), (4, 5), (4, 5, (4, 5)), id="the old leader died"),
    ],
)
def test_a_reassignment_waits_for_its_target(
    isr: tuple[int, ...], live: tuple[int, ...], expected: _Outcome
) -> None:
    assert _next(_state(1, 4, isr), live, _topic((1, 2), target=(4, 5))) == expected


def test_a_leader_in_the_target_stays() -> None:
    topic = _topic((1, 2), target=(4, 2))
    assert _next(_state(2, 4, (1, 2, 4)), topic=topic) == (2, 5, (2, 4))


def test_a_target_that_was_started_anew_has_to_catch_up_first() -> None:
    topic = _topic((1,), target=(4,))
    grounds = Grounds(restarted=_set(4))
    assert _next(_state(1, 4, (1, 4)), topic=topic, grounds=grounds) == (1, 5, (1,))


@pytest.mark.parametrize(
    ("state", "live", "expected"),
    [
        pytest.param(_state(2, 4, (1, 2)), (1, 2), None, id="possible"),
        pytest.param(_state(1, 4, (1, 2)), (1, 2), ElectionNotNeededError, id="leads"),
        pytest.param(
            _state(2, 4, (1, 2)), (2,), PreferredLeaderNotAvailableError, id="preferred dead"
        ),
        pytest.param(
            _state(2, 4, (2,)), (1, 2), PreferredLeaderNotAvailableError, id="not in sync"
        ),
        pytest.param(None, (1, 2), PreferredLeaderNotAvailableError, id="no state yet"),
    ],
)
def test_preferred_verdict(
    state: PartitionState | None, live: tuple[int, ...], expected: type[LogError] | None
) -> None:
    assert preferred_verdict(state, Situation(_topic(), 0, _set(*live))) is expected


@pytest.mark.parametrize(
    ("state", "live", "expected"),
    [
        pytest.param(_state(NO_LEADER, 4, (1,)), (2,), None, id="possible"),
        pytest.param(_state(2, 4, (2,)), (1, 2), ElectionNotNeededError, id="has a leader"),
        pytest.param(
            _state(NO_LEADER, 4, (1,)), (9,), EligibleLeadersNotAvailableError, id="nobody lives"
        ),
    ],
)
def test_unclean_verdict(
    state: PartitionState, live: tuple[int, ...], expected: type[LogError] | None
) -> None:
    assert unclean_verdict(state, Situation(_topic(), 0, _set(*live))) is expected
