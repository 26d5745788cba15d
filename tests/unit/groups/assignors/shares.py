"""Assignments as short texts, for tests: `{"c0": "t0-0 t0-1"}`."""

from collections.abc import Mapping

from kafkalite.groups.assignors.assignor import AssignmentTask, Assignor, Subscriber
from kafkalite.model.ids import TopicPartition

Racks = Mapping[TopicPartition, frozenset[str]]


def subscriber(name: str, topics: str, has: str = "", rack: str | None = None) -> Subscriber:
    """A member: `c0`, or `i0@c0` for instance i0; the topics that it wants, and what it had."""
    instance, _, member = name.rpartition("@")
    return Subscriber(
        member, frozenset(topics.split()), instance or None, rack, frozenset(partitions(has))
    )


def partitions(text: str) -> set[TopicPartition]:
    split = (word.rsplit("-", 1) for word in text.split())
    return {TopicPartition(topic, int(number)) for topic, number in split}


def share(
    assignor: Assignor,
    counts: Mapping[str, int],
    *subscribers: Subscriber,
    racks: Racks | None = None,
) -> dict[str, str]:
    """What each member gets."""
    known = racks or {}
    task = AssignmentTask(
        tuple(sorted(subscribers, key=lambda s: s.rank)),
        dict(sorted(counts.items())),
        lambda partition: known.get(partition, frozenset()),
    )
    targets = assignor.assign(task)
    assert sorted(p for target in targets.values() for p in target) == list(task.partitions())
    return {member: " ".join(map(str, sorted(target))) for member, target in targets.items()}
