"""The partitions that this broker holds, kept in step with the cluster's picture."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
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

_NONE: Final[Mapping[int, Partition]] = MappingProxyType({})

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
        self._partitions: dict[str, dict[int, Partition]] = {}
        """By topic and number."""
        self._leaving: dict[TopicPartition, Partition] = {}
        """Those that belong here no longer and whose files are not gone yet."""
        self._may_lead = True
        """Not from the loss of the session until there is another."""
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
        for held in self._partitions.values():
            yield from held.values()

    def __len__(self) -> int:
        return sum(map(len, self._partitions.values()))

    def get(self, topic: str, number: int) -> Partition:
        """The partition, led by this broker or not.

        Raises:
            LogError: it does not exist, lives elsewhere, or its log cannot be used.
        """
        partition = self._partitions.get(topic, _NONE).get(number)
        if partition is None:
            raise self._missing(TopicPartition(topic, number))
        return partition

    async def find(self, topic: str, number: int) -> Partition:
        """As `get`, but a topic that does not exist is created where the settings allow it."""
        partition = self._partitions.get(topic, _NONE).get(number)
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
            if self._held(topic_partition) is None:
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

    def known_count(self, topic: str) -> int | None:
        """How many partitions a topic has, where someone has asked `partition_count` before."""
        return self._counts.get(topic)

    def led_partitions(self, topic: str) -> list[int]:
        """Numbers of the topic's partitions that this broker leads."""
        led = self._led.get(topic)
        if led is None:
            led = self._led[topic] = [
                number
                for number, partition in self._partitions.get(topic, _NONE).items()
                if partition.is_leader
            ]
        return led

    def wake_readers(self) -> None:
        """Let everyone who waits for records look again."""
        for partition in self:
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
        settings = self._settings_of(topic)
        partition = self._make_partition(log, settings)
        partition.reconfigure(settings)  # the log may have been opened with what held before
        name, number = log.topic_partition
        self._partitions.setdefault(name, {})[number] = partition
        return partition

    def start(self) -> None:
        """Follow the view from now on, beginning with all that it holds."""
        self._view.subscribe(self._on_change)
        self._follow_all()
        self._task = asyncio.create_task(self._follow(), name="partition-table")

    def refresh(self) -> None:
        """Follow all that the view holds, anew, and lead what it says: there is a session."""
        self._may_lead = True
        self._follow_all()

    def _follow_all(self) -> None:
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
        """Stop leading anything until `refresh`: the session is lost."""
        self._may_lead = False
        self._led.clear()
        for partition in self:
            partition.step_down()

    def reconfigure(self) -> None:
        """The broker's own settings changed: derive every partition's anew."""
        for name, held in self._partitions.items():
            topic = self._view.topics.get(name)
            if topic is not None:
                settings = self._settings_of(topic)
                for partition in held.values():
                    partition.reconfigure(settings)

    def _on_change(self, change: MetadataChange) -> None:
        self._led.clear()
        self._counts.clear()
        for name in change.topics:
            self._topic_changed(name)
        if change.brokers:
            # A state that came before our own registration did may count now.
            for partition in self:
                known = self._view.states.get(partition.topic_partition)
                if known is not None and not partition.follows(known):
                    self._apply(partition, known)
        for topic_partition in change.partitions:
            held = self._held(topic_partition)
            state = self._view.states.get(topic_partition)
            if held is None:
                self._note(topic_partition)
            elif state is not None:
                self._apply(held, state)

    def _topic_changed(self, name: str) -> None:
        topic = self._view.topics.get(name)
        held = self._partitions.get(name, _NONE)
        if topic is None:
            for partition in held.values():
                self._note(partition.topic_partition)
            return
        settings = self._settings_of(topic)
        for partition in held.values():
            if self._belongs(partition.topic_partition, topic):
                partition.reconfigure(settings)
            else:
                self._note(partition.topic_partition)
        for number in topic.assignment:
            topic_partition = TopicPartition(name, number)
            if number not in held and self._belongs(topic_partition, topic):
                self._note(topic_partition)

    def _held(self, topic_partition: TopicPartition) -> Partition | None:
        return self._partitions.get(topic_partition.topic, _NONE).get(topic_partition.partition)

    def _belongs(self, topic_partition: TopicPartition, topic: Topic) -> bool:
        """Whether this broker is a replica, of this topic and not of a namesake before it."""
        partition = self._held(topic_partition)
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
                # Before the work begins: what is noted during it is news that it may have missed.
                del self._pending[topic_partition]
                try:
                    await self._settle(topic_partition)
                except Exception as error:  # noqa: BLE001 - the others have to be looked at too
                    self._fail(topic_partition, error)
                    failed.append(topic_partition)
            self._settled.set()
            if failed:
                asyncio.get_running_loop().call_later(_RETRY_S, self._note_all, failed)
            await self._news.wait()

    def _note_all(self, topic_partitions: list[TopicPartition]) -> None:
        for topic_partition in topic_partitions:
            self._note(topic_partition)

    def _fail(self, topic_partition: TopicPartition, error: Exception) -> None:
        if topic_partition not in self._failures:
            is_foreseen = isinstance(error, OSError | KafkaStorageError)
            _log.error(
                "%s cannot be served: %s",
                topic_partition,
                error,
                exc_info=None if is_foreseen else error,
            )
        self._failures[topic_partition] = (
            error
            if isinstance(error, KafkaStorageError)
            else KafkaStorageError(f"The log of {topic_partition} cannot be used: {error}")
        )

    async def _settle(self, topic_partition: TopicPartition) -> None:
        """Open or remove one partition, as the view says now."""
        partition = self._held(topic_partition)
        topic = self._view.topics.get(topic_partition.topic)
        if partition is not None and (topic is None or not self._belongs(topic_partition, topic)):
            self._leaving[topic_partition] = self._drop(partition)
            partition = None
        if topic_partition in self._leaving:
            await self._remove(self._leaving[topic_partition])
            topic = self._view.topics.get(topic_partition.topic)
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
            current = self._view.topics.get(topic_partition.topic)
            partition = self.adopt(log, current or topic)
            self._failures.pop(topic_partition, None)
            if current is None or not self._belongs(topic_partition, current):
                self._note(topic_partition)  # it went, or came anew, meanwhile
                return
        state = self._view.states.get(topic_partition)
        if state is not None:
            self._apply(partition, state)

    def _drop(self, partition: Partition) -> Partition:
        """Serve a partition no longer."""
        name, number = partition.topic_partition
        held = self._partitions[name]
        del held[number]
        if not held:
            del self._partitions[name]
        partition.close(
            UnknownTopicOrPartitionError(f"{name}-{number} is no longer on this broker")
        )
        return partition

    async def _remove(self, partition: Partition) -> None:
        """Delete the files of a partition that left; until then no namesake may take its place."""
        await self._retire(partition)
        # Not found: an earlier try came as far as to rename them, and the next start ends it.
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self._directories.remove_log, partition.log)
        del self._leaving[partition.topic_partition]

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
            if not self._may_lead or own is None or written <= own.epoch:
                return
        partition.apply(state)
