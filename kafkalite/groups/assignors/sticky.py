"""The sticky assignor: even shares first, then as few moves as possible, then near replicas.

Where all members subscribe to the same topics, their counts differ by one at most, and no
assignment that even moves fewer partitions. Where they do not: `balancing`.
"""

from collections import deque
from collections.abc import Iterable

from kafkalite.groups.assignors.assignor import AssignmentTask, Subscriber, Targets
from kafkalite.groups.assignors.balancing import Balancing
from kafkalite.model.ids import TopicPartition


class StickyAssignor:
    """Lets members keep what they were to consume so far, unless somebody would have too little."""

    name = "sticky"

    def assign(self, task: AssignmentTask) -> Targets:
        """Share the partitions."""
        kept = {subscriber.id: _keepable(subscriber, task) for subscriber in task.subscribers}
        everything = task.subscribers[0].topics
        if all(subscriber.topics == everything for subscriber in task.subscribers):
            return _Dealing(task, kept).deal()
        return Balancing(task, kept).balance()


def _keepable(subscriber: Subscriber, task: AssignmentTask) -> set[TopicPartition]:
    return {
        partition
        for partition in subscriber.target
        if partition.topic in subscriber.topics
        and partition.partition < task.partition_counts[partition.topic]
    }


class _Dealing:
    """Even shares, where everybody takes everything: who has too much gives, the rest is dealt."""

    def __init__(self, task: AssignmentTask, kept: Targets) -> None:
        self._task = task
        self._targets = kept
        self._room: dict[str, int] = {}
        """How many more each is to get."""

    def deal(self) -> Targets:
        partitions = list(self._task.partitions())
        share, more = divmod(len(partitions), len(self._targets))
        # One more for those who have more: the fewest moves.
        by_count = sorted(self._task.subscribers, key=lambda s: -len(self._targets[s.id]))
        for position, subscriber in enumerate(by_count):
            self._fit(subscriber, share + (position < more))
        taken = set().union(*self._targets.values())
        free = [partition for partition in partitions if partition not in taken]
        if any(subscriber.rack for subscriber in self._task.subscribers):
            free = self._deal_by_rack(free)
        takers = deque(s for s in self._task.subscribers if self._room[s.id])
        for partition in free:
            self._give(partition, takers)
        return self._targets

    def _fit(self, subscriber: Subscriber, quota: int) -> None:
        """Take away what is above its quota, what is far from it first."""
        target = self._targets[subscriber.id]
        surplus = len(target) - quota
        self._room[subscriber.id] = max(0, -surplus)
        if surplus > 0:
            racks = self._task.racks
            rack = subscriber.rack
            target.difference_update(
                sorted(target, key=lambda p: (rack is None or rack not in racks(p), p))[-surplus:]
            )

    def _deal_by_rack(self, free: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Give what can be given to members in the rack of a replica; gives what is left."""
        near: dict[str, deque[Subscriber]] = {}
        for subscriber in self._task.subscribers:
            if subscriber.rack and self._room[subscriber.id]:
                near.setdefault(subscriber.rack, deque()).append(subscriber)
        left = []
        racks = {partition: self._task.racks(partition) & near.keys() for partition in free}
        # Who has little choice comes first.
        for partition in sorted(racks, key=lambda p: (len(racks[p]), p)):
            takers = max((near[rack] for rack in sorted(racks[partition])), key=len, default=None)
            if takers:
                self._give(partition, takers)
            else:
                left.append(partition)
        return left

    def _give(self, partition: TopicPartition, takers: deque[Subscriber]) -> None:
        taker = takers.popleft()
        self._targets[taker.id].add(partition)
        self._room[taker.id] -= 1
        if self._room[taker.id]:
            takers.append(taker)
