"""Who has what while partitions are being shared, so that the next to give or take is found fast.

Members are numbers, in the order of their ranks, and sets of members are integers with a bit for
each: which of them take a topic and have least is a few operations, however many there are.
"""

from collections.abc import Iterator
from typing import Final

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets
from kafkalite.model.ids import TopicPartition

_FAR: Final = 64
"""Beyond so many different loads it is faster to look at the members one by one."""


def members_of(mask: int) -> Iterator[int]:
    """The numbers whose bits are set, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class Loads:
    """Targets as they grow and change. Made for one computation."""

    def __init__(self, task: AssignmentTask, kept: Targets) -> None:
        """Begin with what members keep; `kept` is changed with every move."""
        self.names = [subscriber.id for subscriber in task.subscribers]
        self.racks = [subscriber.rack for subscriber in task.subscribers]
        self.topics = [sorted(subscriber.topics) for subscriber in task.subscribers]
        """Of each member: what it subscribes to."""
        self.targets = [kept[name] for name in self.names]
        self.kept = [frozenset(target) for target in self.targets]
        """Nothing has to move that stays there."""
        self.owner: dict[TopicPartition, int] = {}
        self.loads = [0] * len(self.names)
        self.least = 0
        """The smallest load."""
        self._with_load: dict[int, int] = {0: (1 << len(self.names)) - 1}
        self.takers = dict.fromkeys(task.partition_counts, 0)
        """Of each topic: who subscribes to it."""
        for member, topics in enumerate(self.topics):
            for topic in topics:
                self.takers[topic] |= 1 << member
        self.givers = dict.fromkeys(task.partition_counts, 0)
        """Of each topic: who has something of it."""
        self.spares = dict.fromkeys(task.partition_counts, 0)
        """Of each topic: who has something of it that it did not have before."""
        self._by_topic: list[dict[str, set[TopicPartition]]] = [{} for _ in self.names]
        for member, has in enumerate(self.kept):
            for partition in has:
                self.put(partition, member)

    def of_topic(self, member: int, topic: str) -> set[TopicPartition]:
        """What a member has of a topic."""
        return self._by_topic[member].get(topic, set())

    def put(self, partition: TopicPartition, member: int) -> None:
        """Give a member what nobody has."""
        self.owner[partition] = member
        self.targets[member].add(partition)
        self._by_topic[member].setdefault(partition.topic, set()).add(partition)
        self._note(member, partition.topic, 1)

    def move(self, partition: TopicPartition, taker: int) -> None:
        """Give a member what another one has."""
        giver = self.owner[partition]
        self.targets[giver].remove(partition)
        self._by_topic[giver][partition.topic].remove(partition)
        self._note(giver, partition.topic, -1)
        self.put(partition, taker)

    def by_load(self) -> Iterator[int]:
        """All members, who has most first."""
        for load in sorted(self._with_load, reverse=True):
            yield from members_of(self._with_load[load])

    def least_loaded(self, mask: int, most: int) -> int | None:
        """Who of some members has least; None where all of them have more than `most`."""
        if most - self.least <= _FAR:
            for load in range(self.least, most + 1):
                found = self._with_load.get(load, 0) & mask
                if found:
                    return (found & -found).bit_length() - 1
            return None
        loads = self.loads
        able = (member for member in members_of(mask) if loads[member] <= most)
        return min(able, key=loads.__getitem__, default=None)

    def with_same_load(self, member: int) -> int:
        """Who has as many as a member, itself included."""
        return self._with_load[self.loads[member]]

    def _note(self, member: int, topic: str, more: int) -> None:
        """Keep up with what a member has `more`."""
        bit = 1 << member
        has = self._by_topic[member][topic]
        self.givers[topic] = self.givers[topic] | bit if has else self.givers[topic] & ~bit
        is_spare = not has <= self.kept[member]
        self.spares[topic] = self.spares[topic] | bit if is_spare else self.spares[topic] & ~bit
        before = self.loads[member]
        after = self.loads[member] = before + more
        left = self._with_load[before] & ~bit
        if left:
            self._with_load[before] = left
        else:
            del self._with_load[before]
        self._with_load[after] = self._with_load.get(after, 0) | bit
        if after < self.least or (before == self.least and not left):
            self.least = after
