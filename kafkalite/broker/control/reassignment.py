"""Moving partitions to other brokers, on whatever broker is asked."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import Assignment, MetadataStore, StoreError
from kafkalite.controller.assignment import spread
from kafkalite.controller.reassignment_plan import check_target, plan_reassignments
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    InvalidReplicaAssignmentError,
    LogError,
    NoReassignmentInProgressError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.reassignment import cancel, move

_TOPICS_AT_ONCE: Final = 8
"""Topics that one request writes at the same time."""

Outcomes = Mapping[TopicPartition, LogError | None]
"""What became of each partition that was asked for: why it was refused, or None."""
_Change = Callable[[Topic, int], Topic]


class Move(NamedTuple):
    """One reassignment in progress."""

    partition: TopicPartition
    replicas: tuple[BrokerId, ...]
    """All that have to do with it: where it goes, then what it leaves."""
    adding: tuple[BrokerId, ...]
    removing: tuple[BrokerId, ...]


class ReassignmentAdmin:
    """Writes where partitions shall be; the controller sees to it that they get there.

    Lives on the event loop; owns no task.
    """

    def __init__(self, view: MetadataView, store: MetadataStore, random: Random) -> None:
        """Build; `random` chooses where a proposal begins."""
        self._view = view
        self._store = store
        self._random = random

    async def execute(self, targets: Mapping[TopicPartition, Sequence[int]]) -> Outcomes:
        """Begin to move partitions, each to its target, the preferred leader first.

        A partition that moves already moves to the new target instead. Each is taken or refused by
        itself. Returns when what is taken is written, and this broker's view shows it.
        """

        def begin(topic: Topic, number: int) -> Topic:
            target = tuple(
                BrokerId(broker) for broker in targets[TopicPartition(topic.name, number)]
            )
            check_target(topic, number, target, self._view.deletions, self._view.brokers)
            return move(topic, number, target)

        # The view may be a moment behind a broker that has just been started.
        await self._confirming(self._store.catch_up())
        refused = plan_reassignments(
            {name: tuple(map(BrokerId, target)) for name, target in targets.items()},
            self._view.topics,
            self._view.deletions,
            self._view.brokers,
        ).refused
        await self._withdraw(targets.keys() - refused)
        return await self._change(targets, begin)

    async def cancel(
        self, partitions: Collection[TopicPartition] | None, *, timeout_ms: int
    ) -> Outcomes:
        """Move partitions back to where they were; None: all that move.

        Waits a while until they are there, which takes no longer than an election as long as a
        replica that they had before is in sync.
        """

        def undo(topic: Topic, number: int) -> Topic:
            if number not in topic.moving:
                raise NoReassignmentInProgressError
            return cancel(topic, number)

        if partitions is None:
            partitions = [found.partition for found in await self.moves()]
        await self._withdraw(partitions)
        outcomes = await self._change(partitions, undo)
        undone = {partition for partition, error in outcomes.items() if error is None}
        await self._view.wait_until(
            lambda: undone.isdisjoint(found.partition for found in self._in_progress()),
            timeout_ms / 1000,
        )
        return outcomes

    async def moves(self) -> list[Move]:
        """The reassignments in progress, by topic and partition, as of now.

        Whoever asks here what was begun elsewhere a moment ago must not be told that it is over.
        """
        await self._confirming(self._store.catch_up())
        return self._in_progress()

    def _in_progress(self) -> list[Move]:
        return [
            Move(
                TopicPartition(name, number),
                topic.assignment[number],
                topic.adding.get(number, ()),
                topic.removing.get(number, ()),
            )
            for name, topic in sorted(self._view.topics.items())
            for number in sorted(topic.moving)
        ]

    def propose(
        self, topics: Sequence[str], brokers: Sequence[int], *, rack_aware: bool
    ) -> dict[str, Assignment]:
        """Spread whole topics over `brokers` as if they were created there; writes nothing.

        Raises:
            UnknownTopicOrPartitionError: one of the topics does not exist.
            InvalidReplicaAssignmentError: one of the brokers does not live, or they are to be
                spread over racks that only some of them have.
            InvalidReplicationFactorError: there are fewer brokers than replicas.
        """
        live = self._view.brokers
        racks: dict[BrokerId, str | None] = {}
        for broker in map(BrokerId, brokers):
            if broker not in live:
                raise InvalidReplicaAssignmentError(f"Unknown broker id {broker}")
            racks[broker] = live[broker].rack if rack_aware else None
        if None in racks.values() and set(racks.values()) != {None}:
            raise InvalidReplicaAssignmentError(
                "Not all brokers have rack information. Add --disable-rack-aware in command line "
                "to make replica assignment without rack information."
            )
        proposed: dict[str, Assignment] = {}
        for name in topics:
            topic = self._view.topics.get(name)
            if topic is None:
                raise UnknownTopicOrPartitionError(f"Topic {name} not found.")
            proposed[name] = spread(
                racks,
                topic.partition_count,
                len(topic.target(0)),
                start=self._random.randrange(max(1, len(racks))),
                shift=self._random.randrange(max(1, len(racks))),
            )
        return proposed

    # -- writing -------------------------------------------------------------------

    async def _withdraw(self, partitions: Collection[TopicPartition]) -> None:
        """See to it that what tools wrote for the controller is not carried out after this."""
        await self._confirming(self._store.withdraw_reassignments(partitions))

    async def _change(self, partitions: Collection[TopicPartition], change: _Change) -> Outcomes:
        by_topic: dict[str, list[int]] = {}
        for topic, number in partitions:
            by_topic.setdefault(topic, []).append(number)
        slots = asyncio.Semaphore(_TOPICS_AT_ONCE)

        async def change_topic(name: str) -> Outcomes:
            async with slots:
                return await self._change_topic(name, by_topic[name], change)

        found: dict[TopicPartition, LogError | None] = {}
        for outcomes in await asyncio.gather(*map(change_topic, by_topic)):
            found |= outcomes
        await self._confirming(self._store.catch_up())
        return {partition: found[partition] for partition in sorted(found)}

    async def _change_topic(self, name: str, numbers: list[int], change: _Change) -> Outcomes:
        """Change what can be changed of one topic, in one write."""
        partitions = [TopicPartition(name, number) for number in numbers]
        outcomes: dict[TopicPartition, LogError | None] = {}

        def update(topic: Topic) -> Topic:
            for partition in partitions:
                number = partition.partition
                outcomes[partition] = None
                try:
                    if number not in topic.assignment:
                        raise UnknownTopicOrPartitionError("The partition does not exist.")
                    topic = change(topic, number)
                except LogError as error:
                    outcomes[partition] = error
            refused = [error for error in outcomes.values() if error is not None]
            if len(refused) == len(numbers):
                raise refused[0]  # there is nothing to write
            return topic

        try:
            await self._confirming(self._store.update_topic(name, update))
        except UnknownTopicOrPartitionError:
            gone = UnknownTopicOrPartitionError("The partition does not exist.")
            return {partition: outcomes.get(partition) or gone for partition in partitions}
        except LogError as error:
            return {partition: outcomes.get(partition) or error for partition in partitions}
        return outcomes

    async def _confirming(self, work: Awaitable[object]) -> None:
        try:
            await work
        except StoreError as error:
            raise RequestTimedOutError(f"The change could not be confirmed: {error}") from error
