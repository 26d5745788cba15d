"""Moving a partition to other brokers: what is written about it, and when it is done. Pure.

Of a partition that moves, the topic says three things, and all else follows from them:

    assignment   the target, in its order, then all others that have or had to do with the partition
    adding       those of the assignment that the partition did not have before it moved
    removing     those of the assignment that it will not have afterwards
    target = assignment - removing              origin = assignment - adding

A replica leaves the assignment only when a reassignment completes, that is after the state said
that neither leader nor in-sync replicas are among those that go. So whatever is replaced or
cancelled on the way, no replica is given up that holds what no other one holds. A reassignment that
is replaced by another one may leave replicas that are both adding and removing; to cancel is to
move back to the origin.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId


def origin(topic: Topic, number: int) -> tuple[BrokerId, ...]:
    """The replicas that a partition had before its reassignment, if there is one, began.

    Those that it keeps come first, as they are ordered in the target: the order that they had
    before is not written anywhere (nor is it by Kafka).
    """
    added = topic.adding.get(number, ())
    return tuple(replica for replica in topic.assignment[number] if replica not in added)


def move(topic: Topic, number: int, target: Iterable[BrokerId]) -> Topic:
    """The topic with a partition that is to move to `target`, whatever it was doing before.

    Where that only changes the order of the replicas, it is done with this.
    """
    wanted = tuple(target)
    before = origin(topic, number)
    replicas = tuple(dict.fromkeys((*wanted, *topic.assignment[number])))
    return _with(
        topic,
        number,
        replicas,
        tuple(replica for replica in replicas if replica not in before),
        tuple(replica for replica in replicas if replica not in wanted),
    )


def cancel(topic: Topic, number: int) -> Topic:
    """The topic with a partition that is to move back to where it was."""
    return move(topic, number, origin(topic, number))


def may_complete(topic: Topic, number: int, isr: Collection[BrokerId]) -> bool:
    """Whether the replicas that go can be taken out of the leadership and the in-sync replicas.

    All that were added are in sync, and somebody that stays is. A replica that stays and that was
    out of sync before holds nothing up.
    """
    if number not in topic.moving:
        return False
    target = topic.target(number)
    added = set(topic.adding.get(number, ())).intersection(target)
    return added.issubset(isr) and not set(isr).isdisjoint(target)


def is_complete(topic: Topic, number: int, state: PartitionState) -> bool:
    """Whether nobody needs the replicas that go any more: what `complete` waits for."""
    target = topic.target(number)
    return (
        may_complete(topic, number, state.isr)
        and state.leader in target
        and set(state.isr).issubset(target)
    )


def complete(topic: Topic, numbers: Iterable[int]) -> Topic:
    """The topic with partitions that have moved: their targets are their only replicas."""
    for number in numbers:
        topic = _with(topic, number, topic.target(number), (), ())
    return topic


def _with(
    topic: Topic,
    number: int,
    replicas: tuple[BrokerId, ...],
    adding: tuple[BrokerId, ...],
    removing: tuple[BrokerId, ...],
) -> Topic:
    adding_all = {**topic.adding, number: adding}
    removing_all = {**topic.removing, number: removing}
    return replace(
        topic,
        assignment={**topic.assignment, number: replicas},
        adding={key: ids for key, ids in sorted(adding_all.items()) if ids},
        removing={key: ids for key, ids in sorted(removing_all.items()) if ids},
    )
