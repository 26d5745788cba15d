"""The follower's side of one fetch session: what its leader knows of it, and what it must hear.

No IO and no tasks; `FetchLoop` sends what is composed here.
"""

import random
from collections.abc import Iterator
from typing import Final

from kafkalite.broker.partition import Partition
from kafkalite.model.ids import TopicPartition
from kafkalite.replication.position import Position
from kafkalite.wire.messages import (
    FIRST_OF_SESSION,
    FetchPartition,
    ForgottenPartition,
)

MAX_NAMED: Final = 1_000
"""Partitions named in one request; the next one names more."""
_FIRST_BACKOFF_MS: Final = 25


def backoff_ms(failures: int, longest_ms: int, chance: random.Random) -> int:
    """How long to pause after so many failures in a row: twice as long each time, with jitter."""
    pause = min(_FIRST_BACKOFF_MS << min(failures - 1, 16), longest_ms)
    return max(int(pause * chance.uniform(0.5, 1.0)), 1)


class Followed:
    """One partition in the session."""

    __slots__ = ("failures", "held_until_ms", "must_be_named", "named", "partition")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.named: Position | None = None
        """Where the leader takes it to be; None: it has yet to be told."""
        self.must_be_named = False
        """Even where it has not moved: the leader says no more of it until it is asked again."""
        self.held_until_ms = 0
        """It is not named before, monotonic."""
        self.failures = 0
        """In a row."""


class FollowerSession:
    """What to say to one leader. Owned by a FetchLoop, on the event loop."""

    def __init__(self) -> None:
        self.epoch = FIRST_OF_SESSION
        """Of the next request."""
        self._followed: dict[TopicPartition, Followed] = {}
        self._changed: dict[TopicPartition, Followed] = {}
        """To be named, in this order, unless their positions are known."""
        self._forgotten: dict[TopicPartition, None] = {}
        self._may_be_held = False
        """Whether the leader may hold partitions in a session that was given up."""

    def __len__(self) -> int:
        return len(self._followed)

    @property
    def has_something_to_say(self) -> bool:
        """Whether there is anything to fetch, to forget, or a session that was given up to end."""
        return bool(self._followed or self._forgotten) or self._may_be_held

    def get(self, topic_partition: TopicPartition) -> Followed | None:
        return self._followed.get(topic_partition)

    def follow(self, partition: Partition) -> bool:
        """Follow a partition, or see where it stands by now; whether the leader must hear of it."""
        topic_partition = partition.topic_partition
        followed = self._followed.get(topic_partition)
        if followed is None or followed.partition is not partition:
            followed = self._followed[topic_partition] = Followed(partition)
            self._forgotten.pop(topic_partition, None)
        elif followed.named == partition.position() or topic_partition in self._changed:
            return False
        self._changed[topic_partition] = followed
        return True

    def drop(self, topic_partition: TopicPartition) -> None:
        """Follow it no more."""
        followed = self._followed.pop(topic_partition, None)
        self._changed.pop(topic_partition, None)
        if followed is not None and self.epoch != FIRST_OF_SESSION:
            self._forgotten[topic_partition] = None

    def begin_anew(self) -> None:
        """The leader knows nothing of the session, or another thing than it should."""
        self.epoch = FIRST_OF_SESSION
        self._forgotten.clear()
        self._may_be_held = True
        for topic_partition, followed in self._followed.items():
            followed.named = None
            self._changed[topic_partition] = followed

    # -- a request ------------------------------------------------------------------------------

    def take_forgotten(self) -> list[ForgottenPartition]:
        """What the next request takes out of the session."""
        taken = list(self._forgotten)[:MAX_NAMED]
        for topic_partition in taken:
            del self._forgotten[topic_partition]
        return [ForgottenPartition(*topic_partition) for topic_partition in taken]

    def take_named(self, max_bytes: int, now_ms: int) -> list[FetchPartition]:
        """What the next request names, as it stands now, each with a bound of `max_bytes`."""
        named = []
        for topic_partition, followed in list(self._changed.items()):
            if followed.held_until_ms > now_ms:
                continue
            del self._changed[topic_partition]
            position = followed.partition.position()
            if position == followed.named and not followed.must_be_named:
                continue
            followed.named, followed.must_be_named = position, False
            named.append(
                FetchPartition(
                    *topic_partition,
                    position.offset,
                    max_bytes,
                    position.leader_epoch,
                    position.last_fetched_epoch,
                    followed.partition.log.topic_id,
                    position.is_damaged,
                )
            )
            if len(named) == MAX_NAMED:
                break
        return named

    def next_due_ms(self) -> int | None:
        """When the first of those that are to be named may be, monotonic; None: there is none."""
        return min((each.held_until_ms for each in self._changed.values()), default=None)

    # -- an answer ------------------------------------------------------------------------------

    def answered(self) -> None:
        """The leader answered the request: the session is what it should be."""
        self.epoch += 1
        self._may_be_held = False

    def progressed(self, followed: Followed, held_until_ms: int) -> None:
        """Its position moved: it is to be named, but not before a time."""
        followed.failures = 0
        self._hold(followed, held_until_ms)

    def failed(
        self, followed: Followed, longest_ms: int, chance: random.Random, now_ms: int
    ) -> None:
        """Nothing came of an answer: it is named again, as it stands then, after a pause."""
        followed.failures += 1
        followed.must_be_named = True
        self._hold(followed, now_ms + backoff_ms(followed.failures, longest_ms, chance))

    def _hold(self, followed: Followed, until_ms: int) -> None:
        topic_partition = followed.partition.topic_partition
        if self._followed.get(topic_partition) is followed:
            followed.held_until_ms = until_ms
            self._changed[topic_partition] = followed

    def __iter__(self) -> Iterator[Followed]:
        return iter(list(self._followed.values()))
