"""Shares as even as different subscriptions allow, from what members have.

Two members may not share a topic and still relieve each other: A gives to B, who gives to C. As
long as there is such a chain from a member to one that has two partitions less, moving one along
it makes the shares more even; when there is none, no assignment is more even.
"""

from typing import Final, NamedTuple

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets
from kafkalite.model.ids import TopicPartition

_RELIEF: Final = 2
"""A member gives to one that has so many less: less would only change places."""


class _Hop(NamedTuple):
    """One link of a chain: a partition of `topic` goes from `giver` on."""

    giver: str
    topic: str


class Balancing:
    """One computation; made for one task."""

    def __init__(self, task: AssignmentTask, kept: Targets) -> None:
        """Begin with what members keep; `kept` is changed and becomes the result."""
        self._task = task
        self._targets = kept
        self._home = {partition: member for member, has in kept.items() for partition in has}
        """Whose a partition was: nothing has to move that goes back there."""
        self._subscribers = {subscriber.id: subscriber for subscriber in task.subscribers}
        self._takers = {
            topic: [s.id for s in task.subscribers if topic in s.topics]
            for topic in task.partition_counts
        }
        self._by_topic: dict[str, dict[str, set[TopicPartition]]] = {member: {} for member in kept}
        for partition, member in self._home.items():
            self._by_topic[member].setdefault(partition.topic, set()).add(partition)

    def balance(self) -> Targets:
        """Share everything."""
        self._fill()
        self._level()
        self._bring_home()
        return self._targets

    def _load(self, member: str) -> int:
        return len(self._targets[member])

    def _put(self, partition: TopicPartition, member: str) -> None:
        self._targets[member].add(partition)
        self._by_topic[member].setdefault(partition.topic, set()).add(partition)

    def _move(self, partition: TopicPartition, giver: str, taker: str) -> None:
        self._targets[giver].remove(partition)
        of_topic = self._by_topic[giver][partition.topic]
        of_topic.remove(partition)
        if not of_topic:
            del self._by_topic[giver][partition.topic]
        self._put(partition, taker)

    # -- what nobody has ------------------------------------------------------------------------

    def _fill(self) -> None:
        free = [p for p in self._task.partitions() if p not in self._home]
        # What few can take comes first: the others have more choice.
        for partition in sorted(free, key=lambda p: (len(self._takers[p.topic]), p)):
            racks = self._task.racks(partition)
            taker = min(
                self._takers[partition.topic],
                key=lambda m: (self._load(m), self._subscribers[m].rack not in racks),
            )
            self._put(partition, taker)

    # -- even shares ----------------------------------------------------------------------------

    def _level(self) -> None:
        while any(self._relieve(member) for member in sorted(self._targets, key=self._by_load)):
            pass

    def _by_load(self, member: str) -> tuple[int, str]:
        return (-self._load(member), member)

    def _relieve(self, member: str) -> bool:
        """Move one partition along the shortest chain to somebody who has less; if there is one."""
        reached: dict[str, _Hop | None] = {member: None}
        seen_topics: set[str] = set()
        level = [member]
        while level:
            following: list[str] = []
            for giver in level:
                for topic in sorted(self._by_topic[giver].keys() - seen_topics):
                    seen_topics.add(topic)
                    for taker in self._takers[topic]:
                        if taker not in reached:
                            reached[taker] = _Hop(giver, topic)
                            following.append(taker)
            end = min(following, key=lambda m: (self._load(m), m), default=None)
            if end is not None and self._load(end) <= self._load(member) - _RELIEF:
                self._pass_along(reached, end)
                return True
            level = following
        return False

    def _pass_along(self, reached: dict[str, _Hop | None], end: str) -> None:
        taker = end
        while (hop := reached[taker]) is not None:
            self._move(self._choose(hop, taker), hop.giver, taker)
            taker = hop.giver

    def _choose(self, hop: _Hop, taker: str) -> TopicPartition:
        """What costs least: a partition that goes home, then one that has moved already."""
        rack = self._subscribers[taker].rack
        return min(
            self._by_topic[hop.giver][hop.topic],
            key=lambda p: (
                self._home.get(p) != taker,
                self._home.get(p) == hop.giver,
                rack not in self._task.racks(p),
                p,
            ),
        )

    # -- fewer moves ----------------------------------------------------------------------------

    def _bring_home(self) -> None:
        """Undo moves that the even shares do not need."""
        while any(self._brought_home(partition) for partition in sorted(self._home)):
            pass

    def _brought_home(self, partition: TopicPartition) -> bool:
        home = self._home[partition]
        if partition in self._targets[home]:
            return False
        owner = next(m for m in self._takers[partition.topic] if partition in self._targets[m])
        if self._load(home) < self._load(owner):
            self._move(partition, owner, home)
            return True
        back = next(
            (p for p in sorted(self._targets[home]) if self._may_swap(p, owner, home)), None
        )
        if back is None:
            return False
        self._move(partition, owner, home)
        self._move(back, home, owner)
        return True

    def _may_swap(self, partition: TopicPartition, owner: str, home: str) -> bool:
        return (
            self._home.get(partition) != home and partition.topic in self._subscribers[owner].topics
        )
