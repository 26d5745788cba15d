"""Kafka's range assignor: of each topic a block of neighbours, so that topics alike go together.

Where members say in which racks they are, blocks bend a little (KIP-881): partitions first go to
members beside a replica of theirs, as far as everybody's share of the topic allows. Topics with the
same members and as many partitions stay together: a partition of all of them goes to one member,
or by ranges.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from kafkalite.groups.assignors.assignor import AssignmentTask, Subscriber, Targets
from kafkalite.model.ids import TopicPartition

_ALONE: Final = 1


class RangeAssignor:
    """Topic by topic; where a topic cannot be shared evenly, the first members get one more."""

    name = "range"

    def assign(self, task: AssignmentTask) -> Targets:
        """Share the partitions."""
        targets: Targets = {subscriber.id: set() for subscriber in task.subscribers}
        topics = [
            _TopicShares(
                topic,
                count,
                [s for s in task.subscribers if topic in s.topics],
                targets,
                task.racks,
            )
            for topic, count in task.partition_counts.items()
        ]
        if any(topic.may_be_nearer for topic in topics):
            for together in _alike(topics):
                if len(together) > _ALONE:
                    _deal_together(together)
                elif together[0].may_be_nearer:
                    together[0].deal(only_near=True)
        for topic in topics:
            topic.deal(only_near=False)
        return targets


class _TopicShares:
    """One topic while it is dealt: who may have how many, and what is left."""

    def __init__(
        self,
        topic: str,
        count: int,
        takers: Sequence[Subscriber],
        targets: Targets,
        racks: Callable[[TopicPartition], frozenset[str]],
    ) -> None:
        self.topic = topic
        self.count = count
        self.takers = takers
        self._targets = targets
        self._share, self._more = divmod(count, len(takers))
        """`_more` members may still have one more than their share."""
        self._has = dict.fromkeys((taker.id for taker in takers), 0)
        self._left = dict.fromkeys(range(count))
        self._racks: list[frozenset[str]] = []
        self.may_be_nearer = False
        """Whether it matters to racks who gets which partition."""
        near = {taker.rack for taker in takers if taker.rack is not None}
        if near:
            self._racks = [racks(TopicPartition(topic, number)) for number in range(count)]
            everywhere = frozenset().union(*self._racks)
            is_same = all(each == everywhere for each in self._racks)
            self.may_be_nearer = not (near.isdisjoint(everywhere) or is_same)

    def is_near(self, taker: Subscriber, number: int) -> bool:
        """Whether a partition has a replica in a member's rack, or the member has none."""
        return taker.rack is None or taker.rack in self._racks[number]

    def room(self, taker: Subscriber) -> int:
        """How many more a member may have."""
        return self._share + (self._more > 0) - self._has[taker.id]

    def give(self, taker: Subscriber, numbers: Sequence[int]) -> None:
        """Let a member have partitions, not more than it has room for."""
        for number in numbers:
            del self._left[number]
            self._targets[taker.id].add(TopicPartition(self.topic, number))
            self._has[taker.id] += 1
        if numbers and self._has[taker.id] > self._share:
            self._more -= 1

    def deal(self, *, only_near: bool) -> None:
        """Give each member in turn the first partitions that are left, or those that are near."""
        for taker in self.takers:
            able: Iterable[int] = self._left
            if only_near:
                able = (number for number in self._left if self.is_near(taker, number))
            self.give(taker, list(islice(able, max(self.room(taker), 0))))


def _alike(topics: Iterable[_TopicShares]) -> Iterable[list[_TopicShares]]:
    """Topics that have the same members and as many partitions."""
    alike: defaultdict[tuple[int, tuple[str, ...]], list[_TopicShares]] = defaultdict(list)
    for topic in topics:
        alike[topic.count, tuple(taker.id for taker in topic.takers)].append(topic)
    return alike.values()


def _deal_together(topics: Sequence[_TopicShares]) -> None:
    """Give the partitions of one number to one member that is near to all of them."""
    first = topics[0]
    for number in range(first.count):
        for taker in first.takers:
            if first.room(taker) > 0 and all(topic.is_near(taker, number) for topic in topics):
                for topic in topics:
                    topic.give(taker, [number])
                break
