"""Moving partitions: what the topic says about it, and when it is done."""

from collections.abc import Sequence

import pytest

from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId
from kafkalite.model.reassignment import cancel, complete, is_complete, may_complete, move, origin


def _ids(brokers: Sequence[int]) -> tuple[BrokerId, ...]:
    return tuple(BrokerId(broker) for broker in brokers)


def _topic(*replicas: int) -> Topic:
    return Topic("t", TopicId("A"), {0: _ids(replicas), 1: _ids((7,))})


def _state(leader: int, *isr: int) -> PartitionState:
    return PartitionState(BrokerId(leader), LeaderEpoch(3), _ids(isr), ControllerEpoch(1))


def _said(topic: Topic) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    return topic.assignment[0], topic.adding.get(0, ()), topic.removing.get(0, ())


@pytest.mark.parametrize(
    ("before", "target", "said"),
    [
        ((0, 1), (2, 3), ((2, 3, 0, 1), (2, 3), (0, 1))),
        ((0, 1), (1, 2), ((1, 2, 0), (2,), (0,))),
        ((0,), (0, 1), ((0, 1), (1,), ())),
        ((0, 1), (1,), ((1, 0), (), (0,))),
    ],
)
def test_a_moving_partition_has_its_target_first(
    before: tuple[int, ...], target: tuple[int, ...], said: tuple[Sequence[int], ...]
) -> None:
    moving = move(_topic(*before), 0, _ids(target))
    assert _said(moving) == said
    assert moving.target(0) == target
    assert sorted(origin(moving, 0)) == sorted(before)
    assert moving.moving == {0}
    assert moving.assignment[1] == moving.target(1) == (7,)


def test_another_order_is_no_move() -> None:
    moved = move(_topic(0, 1), 0, _ids((1, 0)))
    assert _said(moved) == ((1, 0), (), ())
    assert not moved.moving


def test_a_replaced_move_keeps_every_replica_until_it_is_done() -> None:
    first = move(_topic(0), 0, _ids((1,)))
    second = move(first, 0, _ids((2,)))
    # 1 may be the only one in sync by now: it goes when 2 has all, and not before.
    assert _said(second) == ((2, 1, 0), (2, 1), (1, 0))
    assert second.target(0) == (2,)
    assert origin(second, 0) == (0,)
    assert not may_complete(second, 0, _ids((1,)))
    assert may_complete(second, 0, _ids((1, 2)))


def test_a_cancelled_move_goes_back_and_keeps_every_replica_until_it_is_done() -> None:
    back = cancel(move(_topic(0, 1), 0, _ids((2, 0))), 0)
    assert back.target(0) == origin(back, 0) == (0, 1)
    assert set(back.assignment[0]) == {0, 1, 2}
    assert back.moving == {0}
    assert cancel(back, 0) == back
    # One of the origin's own is down, and need not be waited for; but somebody has to be there.
    assert may_complete(back, 0, _ids((1, 2)))
    assert not may_complete(back, 0, _ids((2,)))
    assert complete(back, [0]) == _topic(0, 1)


def test_what_was_added_has_to_be_in_sync_first() -> None:
    moving = move(_topic(0, 1), 0, _ids((2, 3)))
    assert not may_complete(moving, 0, _ids((0, 1, 2)))
    assert may_complete(moving, 0, _ids((0, 2, 3)))
    assert not may_complete(moving, 1, _ids((7,)))


def test_it_is_complete_when_nobody_needs_those_that_go() -> None:
    moving = move(_topic(0, 1), 0, _ids((2, 1)))
    assert is_complete(moving, 0, _state(1, 1, 2))
    assert not is_complete(moving, 0, _state(0, 1, 2))
    assert not is_complete(moving, 0, _state(-1, 1, 2))
    assert not is_complete(moving, 0, _state(2, 0, 2))
    assert not is_complete(moving, 0, _state(1, 1))
    assert not is_complete(_topic(0, 1), 0, _state(0, 0, 1))


def test_completing_leaves_the_target_and_other_partitions_alone() -> None:
    moving = move(move(_topic(0, 1), 0, _ids((2, 1))), 1, _ids((8,)))
    done = complete(moving, [0])
    assert _said(done) == ((2, 1), (), ())
    assert done.moving == {1}
    assert done.assignment[1] == (8, 7)
