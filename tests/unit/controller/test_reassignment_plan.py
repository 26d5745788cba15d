"""What is made of a list of moves that somebody wrote for the controller."""

import pytest

from kafkalite.controller.reassignment_plan import plan_reassignments
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.reassignment import complete, move

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_LIVE = frozenset(map(BrokerId, (1, 2, 3)))


def _ids(*brokers: int) -> tuple[BrokerId, ...]:
    return tuple(map(BrokerId, brokers))


_TOPIC = Topic("t", TopicId("A"), {0: _ids(1, 2), 1: _ids(2, 1)})


def test_moves_begin_topic_by_topic_and_stay_in_the_list() -> None:
    other = Topic("u", TopicId("U"), {0: _ids(1)})
    u0 = TopicPartition("u", 0)
    targets = {u0: _ids(2), _T1: _ids(3, 1), _T0: _ids(3)}
    plan = plan_reassignments(targets, {"t": _TOPIC, "u": other}, (), _LIVE)
    assert plan.begin == {"t": {0: _ids(3), 1: _ids(3, 1)}, "u": {0: _ids(2)}}
    assert plan.remaining(targets) == targets


def test_a_move_is_under_way_until_the_topic_has_its_target_only() -> None:
    targets = {_T0: _ids(3, 1)}
    moving = move(_TOPIC, 0, targets[_T0])
    plan = plan_reassignments(targets, {"t": moving}, (), _LIVE)
    assert (plan.begin, plan.under_way, plan.done) == ({}, {_T0}, set())
    assert plan.remaining(targets) == targets
    plan = plan_reassignments(targets, {"t": complete(moving, [0])}, (), _LIVE)
    assert (plan.begin, plan.under_way, plan.done) == ({}, set(), {_T0})
    assert plan.remaining(targets) == {}


def test_a_move_under_way_that_the_list_wants_elsewhere_begins_anew() -> None:
    moving = move(_TOPIC, 0, _ids(3, 1))
    plan = plan_reassignments({_T0: _ids(2, 3)}, {"t": moving}, (), _LIVE)
    assert plan.begin == {"t": {0: _ids(2, 3)}}


def test_a_move_under_way_goes_on_when_its_target_dies() -> None:
    targets = {_T0: _ids(3, 1)}
    plan = plan_reassignments(targets, {"t": move(_TOPIC, 0, _ids(3, 1))}, (), set(_ids(1, 2)))
    assert plan.under_way == {_T0}
    assert not plan.refused


@pytest.mark.parametrize(
    ("partition", "target", "deletions", "reason"),
    [
        (TopicPartition("nowhere", 0), (1,), (), "The partition does not exist."),
        (TopicPartition("t", 2), (1,), (), "The partition does not exist."),
        (TopicPartition("t", -1), (1,), (), "The partition does not exist."),
        (_T0, (3,), ("t",), "The topic is being deleted."),
        (_T0, (), (), "Empty replica list specified in partition reassignment."),
        (
            _T0,
            (3, 3),
            (),
            "Duplicate replica ids in partition reassignment replica list: 3,3",
        ),
        (
            _T0,
            (1, 9),
            (),
            "Replica assignment has brokers that are not alive. Replica list: 1,9, "
            "live broker list: 1,2,3",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_and_keeps_nothing_else_from_being_done(
    partition: TopicPartition, target: tuple[int, ...], deletions: tuple[str, ...], reason: str
) -> None:
    targets = {_T1: _ids(1, 2), partition: _ids(*target)}
    plan = plan_reassignments(targets, {"t": _TOPIC}, deletions, _LIVE)
    assert plan.refused[partition].detail == reason
    assert plan.begin == ({} if deletions else {"t": {1: _ids(1, 2)}})
    assert partition not in plan.remaining(targets)
