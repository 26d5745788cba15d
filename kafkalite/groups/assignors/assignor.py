"""What an assignor is asked, and what it must answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from kafkalite.groups.state import Partitions
from kafkalite.model.ids import TopicPartition


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A member, as an assignor sees it."""

    id: str
    topics: frozenset[str]
    """That it subscribes to and that exist."""
    instance_id: str | None = None
    rack: str | None = None
    target: Partitions = frozenset()
    """What it was to consume so far; perhaps of topics that are gone, or no longer its."""

    @property
    def rank(self) -> tuple[bool, str]:
        """Kafka's order: static members by instance id, then the others by id."""
        if self.instance_id is not None:
            return (False, self.instance_id)
        return (True, self.id)


@dataclass(frozen=True, slots=True)
class AssignmentTask:
    """The members and the partitions to be shared among them."""

    subscribers: tuple[Subscriber, ...]
    """At least one, in the order of their ranks."""
    partition_counts: Mapping[str, int]
    """The partitions of every topic that somebody subscribes to, in the order of names."""
    racks: Callable[[TopicPartition], frozenset[str]]
    """Where a partition's replicas are, where known."""

    def partitions(self) -> Iterator[TopicPartition]:
        """All of them, by topic and number."""
        for topic, count in self.partition_counts.items():
            for number in range(count):
                yield TopicPartition(topic, number)


Targets = dict[str, set[TopicPartition]]
"""Member id -> what it shall consume; every subscriber is named."""


class Assignor(Protocol):
    """One way to share partitions; the same task must lead to the same targets everywhere.

    Every partition goes to exactly one member, which subscribes to its topic.
    """

    @property
    def name(self) -> str:
        """By which members ask for it."""

    def assign(self, task: AssignmentTask) -> Targets:
        """Share the partitions."""
