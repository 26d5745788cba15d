"""Shares as even as different subscriptions allow, from what members have.

Two members may not share a topic and still relieve each other: A gives to B, who gives to C. As
long as there is such a chain from a member to one that has two partitions less, moving one along
it makes the shares more even; when there is none, no assignment is more even.
"""

from collections.abc import Mapping
from typing import Final

from kafkalite.groups.assignors.assignor import AssignmentTask, Targets
from kafkalite.groups.assignors.loads import Loads, members_of
from kafkalite.model.ids import TopicPartition

_RELIEF: Final = 2
"""A member gives to one that has so many less: less would only change places."""


class Balancing:
    """One computation; made for one task."""

    def __init__(self, task: AssignmentTask, kept: Targets) -> None:
        """Begin with what members keep; `kept` is changed and becomes the result."""
        self._task = task
        self._targets = kept
        self._loads = Loads(task, kept)
        self._home = dict(self._loads.owner)
        """Whose a partition was: nothing has to move that goes back there."""
        self._has_racks = any(rack is not None for rack in self._loads.racks)

    def balance(self) -> Targets:
        """Share everything."""
        self._fill()
        self._level()
        self._bring_home()
        return self._targets

    # -- what nobody has ------------------------------------------------------------------------

    def _fill(self) -> None:
        loads = self._loads
        free = [p for p in self._task.partitions() if p not in self._home]
        everything = len(free) + len(self._home)
        # What few can take comes first: the others have more choice.
        for partition in sorted(free, key=lambda p: (loads.takers[p.topic].bit_count(), p)):
            takers = loads.takers[partition.topic]
            taker = loads.least_loaded(takers, everything)
            assert taker is not None, "every topic has a subscriber"
            if self._has_racks:
                taker = self._near(partition, takers & loads.with_same_load(taker), taker)
            loads.put(partition, taker)

    def _near(self, partition: TopicPartition, takers: int, default: int) -> int:
        """The first of some members in the rack of a replica."""
        racks, here = self._loads.racks, self._task.racks(partition)
        return next((member for member in members_of(takers) if racks[member] in here), default)

    # -- even shares ----------------------------------------------------------------------------

    def _level(self) -> None:
        stuck: list[int] = []
        """Members of whom none finds relief, as long as nothing moves among them."""
        while (moved := self._relieve_one(stuck)) is not None:
            stuck = [some for some in stuck if not some & moved]

    def _relieve_one(self, stuck: list[int]) -> int | None:
        """Have somebody who has most pass one partition along; gives who took part, if anybody."""
        loads = self._loads
        for member in loads.by_load():
            enough = loads.loads[member] - _RELIEF
            if enough < loads.least:
                return None
            if any(some >> member & 1 for some in stuck):
                continue
            levels, end = self._search(member, loads.givers, enough)
            if end is not None:
                return self._move_along(levels, end, loads.givers)
            # Whom it reaches has as little hope, and is looked at later, having no more than it.
            stuck.append(sum(levels))
        return None

    def _search(
        self, start: int, givers: Mapping[str, int], most: int, *, or_to: int | None = None
    ) -> tuple[list[int], int | None]:
        """Look for the shortest chain from a member to one that may have one more.

        Args:
            start: has one less afterwards; it is an end itself where nothing has to be moved.
            givers: of each topic, who may give something of it.
            most: who has no more than that is an end.
            or_to: is one, too.

        Gives whom it reaches by each number of hops, and who of the last ones is the end, if any.
        """
        takers, least_loaded = self._loads.takers, self._loads.least_loaded
        reached = level = 1 << start
        levels = []
        unseen = list(takers)
        while level:
            levels.append(level)
            end = least_loaded(level, most)
            if end is None and or_to is not None and level >> or_to & 1:
                end = or_to
            if end is not None:
                return levels, end
            following, still_unseen = 0, []
            for topic in unseen:
                if givers[topic] & level:
                    following |= takers[topic]
                else:
                    still_unseen.append(topic)
            unseen = still_unseen
            level = following & ~reached
            reached |= level
        return levels, None

    def _move_along(self, levels: list[int], end: int, givers: Mapping[str, int]) -> int:
        """Move one partition along a chain; gives who took part."""
        hops: list[tuple[int, str, int]] = []
        taker = end
        for level in levels[-2::-1]:
            topic, able = next(
                (topic, able)
                for topic in self._loads.topics[taker]
                if (able := givers[topic] & level)
            )
            giver = (able & -able).bit_length() - 1
            hops.append((giver, topic, taker))
            taker = giver
        chain = 1 << end
        for giver, topic, receiver in hops:
            self._loads.move(self._choose(giver, topic, receiver), receiver)
            chain |= 1 << giver
        return chain

    def _choose(self, giver: int, topic: str, taker: int) -> TopicPartition:
        """What costs least: a partition that goes home, then one that has moved already."""
        loads = self._loads
        has = loads.of_topic(giver, topic)
        choice = has & loads.kept[taker] or has - loads.kept[giver] or has
        rack = loads.racks[taker]
        if rack is not None:
            choice = {p for p in choice if rack in self._task.racks(p)} or choice
        return min(choice)

    # -- fewer moves ----------------------------------------------------------------------------

    def _bring_home(self) -> None:
        """Undo moves that the even shares do not need."""
        places = sorted(self._home)
        hopeless: set[tuple[int, int]] = set()
        """Homes and owners between which nothing can be undone, as long as nothing moves."""
        is_done = False
        while not is_done:
            is_done = True
            for partition in places:
                way = self._home[partition], self._loads.owner[partition]
                if way[0] == way[1] or way in hopeless:
                    continue
                if self._brought_home(partition, *way):
                    hopeless.clear()
                    is_done = False
                else:
                    hopeless.add(way)

    def _brought_home(self, partition: TopicPartition, home: int, owner: int) -> bool:
        loads = self._loads
        # Home has one too many then, which the owner, or somebody who has less than it, can take.
        less = loads.loads[owner] - 1
        levels, end = self._search(home, loads.spares, less, or_to=owner)
        if end is None:
            return False
        self._move_along(levels, end, loads.spares)
        loads.move(partition, home)
        return True
