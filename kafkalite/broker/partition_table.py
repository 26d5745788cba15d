"""The partitions that this broker holds, kept in step with the cluster's picture."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.config.topic_config import TopicSettings
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import (
    KafkaStorageError,
    LeaderNotAvailableError,
    LogError,
    NotLeaderOrFollowerError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import NO_LEADER, BrokerId, TopicPartition
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories

_RETRY_S: Final = 5.0
"""How long to wait before a log that could not be made or removed is tried again."""
_OPENING_S: Final = 5.0
"""How long a request waits for a partition that is being opened."""

_log = logging.getLogger(__name__)


class TopicCreator(Protocol):
    """Creates topics that someone produces to."""

    async def ensure(self, name: str) -> None:
        """Return once the topic exists; raises a LogError when it cannot be created."""


class PartitionTable:
    """Partition by topic and number, for those that this broker is a replica of.

    Follows the view: what is assigned to this broker is opened, what no longer is goes away. Lives
    on the loop; logs are made and removed in a thread by one task, between `start()` and `stop()`.
    """

    def __init__(
        self,
        view: MetadataView,
        directories: LogDirectories,
        creator: TopicCreator,
        *,
        make_partition: Callable[[Log, TopicSettings], Partition],
        retire: Callable[[Partition], Awaitable[None]],
        settings_of: Callable[[Topic], TopicSettings],
    ) -> None:
        """Assign only; `retire` returns once nothing works on a partition's log any more."""
        self.own_id = NO_LEADER
        """Set before anything is adopted: the broker learns its id when it opens."""
        self._view = view
        self._directories = directories
        self._creator = creator
        self._make_partition = make_partition
        self._retire = retire
        self._settings_of = settings_of
        self._partitions: dict[tuple[str, int], Partition] = {}
        """By TopicPartition; a plain tuple equals one and costs less to make for a look-up."""
        self._failures: dict[TopicPartition, KafkaStorageError] = {}
        self._pending: dict[TopicPartition, None] = {}
        """Partitions to look at, in the order in which they were noted."""
        self._counts: dict[str, int] = {}
        """Partitions of a topic, of those that were asked for since the last change."""
        self._led: dict[str, list[int]] = {}
        """Numbers of the partitions led here, by topic; made when asked for, dropped on change."""
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # -- looking --------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Partition]:
        return iter(self._partitions.values())

    def __len__(self) -> int:
        return len(self._partitions)

    def get(self, topic: str, number: int) -> Partition:
        """The partition, led by this broker or not.

        Raises:
            LogError: it does not exist, lives elsewhere, or its log cannot be used.
        """
        partition = self._partitions.get((topic, number))
        if partition is None:
            raise self._missing(TopicPartition(topic, number))
        return partition

    async def find(self, topic: str, number: int) -> Partition:
        """As `get`, but a topic that does not exist is created where the settings allow it."""
        partition = self._partitions.get((topic, number))
        if partition is not None and partition.leader_epoch >= 0:
            return partition
        if topic not in self._view.topics:
            await self._creator.ensure(topic)
        return await self.get_opened(topic, number)

    async def get_opened(self, topic: str, number: int) -> Partition:
        """As `get`, but waits a while for the leader, and the log, of a topic that is brand-new."""
        topic_partition = TopicPartition(topic, number)
        known = self._view.topics.get(topic)
        if known is not None and self._belongs(topic_partition, known):
            if topic_partition not in self._view.states:
                await self._view.wait_until(
                    lambda: topic_partition in self._view.states, _OPENING_S
                )
            if topic_partition not in self._partitions:
                await self.wait_until_settled(_OPENING_S)
        return self.get(topic, number)

    async def partition_count(self, topic: str) -> int:
        """How many partitions a topic has; creates it as `find` does."""
        count = self._counts.get(topic)
        if count is not None:
            return count
        known = self._view.topics.get(topic)
        if known is None:
            await self._creator.ensure(topic)
            known = self._view.topics.get(topic)
            if known is None:
                raise UnknownTopicOrPartitionError(f"Topic {topic} does not exist")
        self._counts[topic] = known.partition_count
        return known.partition_count

    def led_partitions(self, topic: str) -> list[int]:
        """Numbers of the topic's partitions that this broker leads."""
        led = self._led.get(topic)
        if led is None:
            led = self._led[topic] = [
                partition.topic_partition.partition
                for partition in self._partitions.values()
                if partition.topic_partition.topic == topic and partition.is_leader
            ]
        return led

    def wake_readers(self) -> None:
        """Let everyone who waits for records look again."""
        for partition in self._partitions.values():
            partition.readers.wake()

    @property
    def failures(self) -> dict[TopicPartition, KafkaStorageError]:
        """Partitions that belong here but cannot be served."""
        return self._failures

    @property
    def is_settled(self) -> bool:
        """Whether everything that the view names for this broker is open or has failed."""
        return self._settled.is_set()

    async def wait_until_settled(self, timeout_s: float) -> None:
        """Wait until that is so, or `timeout_s` has passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), timeout_s)

    def _missing(self, topic_partition: TopicPartition) -> LogError:
        topic = self._view.topics.get(topic_partition.topic)
        if topic is None:
            return UnknownTopicOrPartitionError(f"Topic {topic_partition.topic} does not exist")
        if topic_partition.partition not in topic.assignment:
            return UnknownTopicOrPartitionError(
                f"Topic {topic.name} has {topic.partition_count} partitions, "
                f"not number {topic_partition.partition}"
            )
        failure = self._failures.get(topic_partition)
        if failure is not None:
            return failure
        state = self._view.states.get(topic_partition)
        if state is None or state.leader in {NO_LEADER, self.own_id}:
            return LeaderNotAvailableError(f"{topic_partition} has no leader at the moment")
        return self.not_leader(topic_partition, state.leader)

    def not_leader(
        self, topic_partition: TopicPartition, leader: BrokerId
    ) -> NotLeaderOrFollowerError:
        """The refusal of a partition that another broker leads, telling who and where."""
        broker = self._view.brokers.get(leader)
        return NotLeaderOrFollowerError(
            f"{topic_partition} is led by broker {leader}",
            leader_id=leader,
            **({"leader_url": broker.url} if broker else {}),
        )

    # -- following ------------------------------------------------------------------------------

    def adopt(self, log: Log, topic: Topic) -> Partition:
        """Take in a log that was opened at the start."""
        partition = self._make_partition(log, self._settings_of(topic))
        self._partitions[log.topic_partition] = partition
        return partition

    def start(self) -> None:
        """Follow the view from now on, beginning with all that it holds."""
        self._view.subscribe(self._on_change)
        self.refresh()
        self._task = asyncio.create_task(self._follow(), name="partition-table")

    def refresh(self) -> None:
        """Follow all that the view holds, anew."""
        self._on_change(
            MetadataChange(frozenset(self._view.topics), frozenset(self._view.states), brokers=True)
        )

    async def stop(self) -> None:
        """Follow no longer and lead no more; logs stay open."""
        if self._task is not None:  # a start that failed never got here
            self._view.unsubscribe(self._on_change)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.step_down()

    def step_down(self) -> None:
        """Stop leading anything until the view says so anew: the session is lost."""
        self._led.clear()
        for partition in self._partitions.values():
            partition.step_down()

    def reconfigure(self) -> None:
        """The broker's own settings changed: derive every partition's anew."""
        for partition in self._partitions.values():
            topic_partition = partition.topic_partition
            topic = self._view.topics.get(topic_partition.topic)
            if topic is not None:
                partition.reconfigure(self._settings_of(topic))

    def _on_change(self, change: MetadataChange) -> None:
        self._led.clear()
        self._counts.clear()
        for name in change.topics:
            self._topic_changed(name)
        if change.brokers:
            # A state that came before our own registration did may count now.
            for partition in self._partitions.values():
                known = self._view.states.get(partition.topic_partition)
                if known is not None and not partition.follows(known):
                    self._apply(partition, known)
        for topic_partition in change.partitions:
            held = self._partitions.get(topic_partition)
            state = self._view.states.get(topic_partition)
            if held is None:
                self._note(topic_partition)
            elif state is not None:
                self._apply(held, state)

    def _topic_changed(self, name: str) -> None:
        topic = self._view.topics.get(name)
        held = [
            each.topic_partition
            for each in self._partitions.values()
            if each.topic_partition.topic == name
        ]
        if topic is None:
            for topic_partition in held:
                self._note(topic_partition)
            return
        settings = self._settings_of(topic)
        for topic_partition in held:
            if self._belongs(topic_partition, topic):
                self._partitions[topic_partition].reconfigure(settings)
            else:
                self._note(topic_partition)
        for number in topic.assignment:
            topic_partition = TopicPartition(name, number)
            if topic_partition not in self._partitions and self._belongs(topic_partition, topic):
                self._note(topic_partition)

    def _belongs(self, topic_partition: TopicPartition, topic: Topic) -> bool:
        """Whether this broker is a replica, of this topic and not of a namesake before it."""
        partition = self._partitions.get(topic_partition)
        if partition is not None and partition.log.topic_id != topic.topic_id:
            return False
        return self.own_id in topic.assignment.get(topic_partition.partition, ())

    def _note(self, topic_partition: TopicPartition) -> None:
        self._pending[topic_partition] = None
        self._settled.clear()
        self._news.set()

    async def _follow(self) -> None:
        while True:
            self._news.clear()
            failed: list[TopicPartition] = []
            while self._pending:
                topic_partition = next(iter(self._pending))
                try:
                    await self._settle(topic_partition)
                except OSError as error:
                    self._fail(topic_partition, error)
                    failed.append(topic_partition)
                except KafkaStorageError as error:
                    self._fail(topic_partition, error)
                    failed.append(topic_partition)
                self._pending.pop(topic_partition, None)
            self._settled.set()
            if failed:
                asyncio.get_running_loop().call_later(_RETRY_S, self._note_all, failed)
            await self._news.wait()

    def _note_all(self, topic_partitions: list[TopicPartition]) -> None:
        for topic_partition in topic_partitions:
            self._note(topic_partition)

    def _fail(self, topic_partition: TopicPartition, error: Exception) -> None:
        if topic_partition not in self._failures:
            _log.error("%s cannot be served: %s", topic_partition, error)
        self._failures[topic_partition] = (
            error
            if isinstance(error, KafkaStorageError)
            else KafkaStorageError(f"The log of {topic_partition} cannot be used: {error}")
        )

    async def _settle(self, topic_partition: TopicPartition) -> None:
        """Open or remove one partition, as the view says now."""
        topic = self._view.topics.get(topic_partition.topic)
        partition = self._partitions.get(topic_partition)
        if partition is not None and (topic is None or not self._belongs(topic_partition, topic)):
            del self._partitions[topic_partition]
            partition.close(
                UnknownTopicOrPartitionError(f"{topic_partition} is no longer on this broker")
            )
            await self._retire(partition)
            await asyncio.to_thread(self._directories.remove_log, partition.log)
            partition = None
        if topic is None or not self._belongs(topic_partition, topic):
            self._failures.pop(topic_partition, None)
            return
        if partition is None:
            log = await asyncio.to_thread(
                self._directories.create_log,
                topic_partition,
                topic.topic_id,
                self._settings_of(topic).log_options,
                is_new=self._is_new(topic_partition),
            )
            partition = self.adopt(log, topic)
            self._failures.pop(topic_partition, None)
        state = self._view.states.get(topic_partition)
        if state is not None:
            self._apply(partition, state)

    def _is_new(self, topic_partition: TopicPartition) -> bool:
        """Whether nobody led it before we registered: we surely never had a log of it."""
        state = self._view.states.get(topic_partition)
        if state is None:
            return True
        own = self._view.brokers.get(self.own_id)
        written = self._view.state_revisions.get(topic_partition, -1)
        return state.leader_epoch == 0 and own is not None and written > own.epoch

    def _apply(self, partition: Partition, state: PartitionState) -> None:
        """Let the partition follow a state, unless it was written for an earlier life of ours.

        Such a state names this broker as the leader, but of an epoch in which it died; the
        controller is about to elect anew.
        """
        self._led.clear()
        if state.leader == self.own_id:
            own = self._view.brokers.get(self.own_id)
            written = self._view.state_revisions.get(partition.topic_partition, -1)
            if own is None or written <= own.epoch:
                return
        partition.apply(state)
