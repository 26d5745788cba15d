"""Shares as even as different subscriptions allow, from what members have.

Two members may not share a topic and still relieve each other: A gives to B, who gives to C. As
long as there is such a chain from a member to one that has two partitions less, moving one along
it makes the shares more even; when there is none, no assignment is more even.
"""

from collections.abc import Callable, Set
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
        self._kept = {member: frozenset(has) for member, has in kept.items()}
        """The same, by member."""
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
        """Move one partition along a chain to somebody who has less; gives whether there is one."""
        enough = self._load(member) - _RELIEF
        return self._pass_along(member, lambda end: self._load(end) <= enough)

    def _pass_along(
        self, start: str, is_end: Callable[[str], bool], *, spares_kept: bool = False
    ) -> bool:
        """Move one partition along the shortest chain from a member to an end; if there is one.

        Args:
            start: has one less afterwards; it is an end itself where nothing has to be moved.
            is_end: who may have one more.
            spares_kept: move nothing away from where it was.
        """
        reached: dict[str, _Hop | None] = {start: None}
        seen_topics: set[str] = set()
        level = [start]
        while level:
            end = min(filter(is_end, level), key=lambda m: (self._load(m), m), default=None)
            if end is not None:
                self._move_along(reached, end)
                return True
            following: list[str] = []
            for giver in level:
                for topic in sorted(self._givable(giver, spares_kept=spares_kept) - seen_topics):
                    seen_topics.add(topic)
                    for taker in self._takers[topic]:
                        if taker not in reached:
                            reached[taker] = _Hop(giver, topic)
                            following.append(taker)
            level = following
        return False

    def _givable(self, giver: str, *, spares_kept: bool) -> Set[str]:
        by_topic = self._by_topic[giver]
        if not spares_kept:
            return by_topic.keys()
        return {topic for topic, has in by_topic.items() if not has <= self._kept[giver]}

    def _move_along(self, reached: dict[str, _Hop | None], end: str) -> None:
        taker = end
        while (hop := reached[taker]) is not None:
            self._move(self._choose(hop, taker), hop.giver, taker)
            taker = hop.giver

    def _choose(self, hop: _Hop, taker: str) -> TopicPartition:
        """What costs least: a partition that goes home, then one that has moved already."""
        has = self._by_topic[hop.giver][hop.topic]
        choice = has & self._kept[taker] or has - self._kept[hop.giver] or has
        rack = self._subscribers[taker].rack
        if rack is not None:
            choice = {p for p in choice if rack in self._task.racks(p)} or choice
        return min(choice)

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
        less = self._load(owner)
        # Home has one too many then, which the owner, or somebody who has less than it, can take.
        has_room = self._pass_along(
            home, lambda end: end == owner or self._load(end) < less, spares_kept=True
        )
        if has_room:
            self._move(partition, owner, home)
        return has_room
