"""The partitions that this broker holds, kept in step with the cluster's picture."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from kafkalite.broker.leaderless import leaderless
from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_opening import PartitionOpening
from kafkalite.config.topic_config import TopicSettings
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import (
    KafkaStorageError,
    LogError,
    NotLeaderOrFollowerError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import NO_EPOCH, NO_LEADER, BrokerId, TopicPartition
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories

_OPENING_S: Final = 5.0
"""How long a request waits for a partition that is being opened."""

_NONE: Final[Mapping[int, Partition]] = MappingProxyType({})


class TopicCreator(Protocol):
    """Creates topics that someone produces to."""

    async def ensure(self, name: str) -> None:
        """Return once the topic exists; raises a LogError when it cannot be created."""


class PartitionTable:
    """Partition by topic and number, for those that this broker is a replica of.

    Follows the view between `start()` and `stop()`: tells partitions what the cluster's states say
    of them, and has the opening open what is assigned here and remove what no longer is. Lives on
    the loop.
    """

    def __init__(
        self,
        view: MetadataView,
        directories: LogDirectories,
        creator: TopicCreator,
        *,
        own_epoch: Callable[[], int | None],
        make_partition: Callable[[Log, TopicSettings], Partition],
        retire: Callable[[Partition], Awaitable[None]],
        settings_of: Callable[[Topic], TopicSettings],
        on_role: Callable[[Partition], None],
    ) -> None:
        """Assign only.

        Args:
            view: what it follows.
            directories: where logs are.
            creator: of topics that somebody produces to.
            own_epoch: of this broker's registration; None while it is not registered.
            make_partition: gives the partition of a log that is open.
            retire: returns once nothing works on a partition's log any more.
            settings_of: gives a topic's settings.
            on_role: told of a partition after all that may change whom it leads or follows.
        """
        self.own_id = NO_LEADER
        """Set before anything is adopted: the broker learns its id when it opens."""
        self._view = view
        self._creator = creator
        self._own_epoch = own_epoch
        self._make_partition = make_partition
        self._settings_of = settings_of
        self._on_role = on_role
        self._opening = PartitionOpening(self, directories, retire=retire, settings_of=settings_of)
        self._partitions: dict[str, dict[int, Partition]] = {}
        """By topic and number."""
        self._is_following = False
        self._may_lead = True
        """Not from the loss of the session until there is another."""
        self._former_epochs: dict[TopicPartition, int] = {}
        """Epochs of this broker's leadership in an earlier life, or session."""
        self._counts: dict[str, int] = {}
        """Partitions of a topic, of those that were asked for since the last change."""
        self._led: dict[str, list[int]] = {}
        """Numbers of the partitions led here, by topic; made when asked for, dropped on change."""

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
            if self.held(topic_partition) is None:
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
        return self._opening.failures

    @property
    def is_settled(self) -> bool:
        """Whether everything that the view names for this broker is open or has failed."""
        return self._opening.is_settled

    async def wait_until_settled(self, timeout_s: float) -> None:
        """Wait until that is so, or `timeout_s` has passed."""
        await self._opening.wait_until_settled(timeout_s)

    def _missing(self, topic_partition: TopicPartition) -> LogError:
        topic = self._view.topics.get(topic_partition.topic)
        if topic is None:
            return UnknownTopicOrPartitionError(f"Topic {topic_partition.topic} does not exist")
        if topic_partition.partition not in topic.assignment:
            return UnknownTopicOrPartitionError(
                f"Topic {topic.name} has {topic.partition_count} partitions, "
                f"not number {topic_partition.partition}"
            )
        failure = self._opening.failures.get(topic_partition)
        if failure is not None:
            return failure
        state = self._view.states.get(topic_partition)
        if state is None or state.leader in {NO_LEADER, self.own_id}:
            return leaderless(topic_partition, state)
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
        state = self._view.states.get(log.topic_partition)
        if not self._is_following and state is not None and state.leader == self.own_id:
            # Before this broker registered: whatever it led then is another life's.
            self._former_epochs[log.topic_partition] = state.leader_epoch
        self._on_role(partition)
        return partition

    def start(self) -> None:
        """Follow the view from now on, beginning with all that it holds."""
        self._is_following = True
        self._view.subscribe(self._on_change)
        self._follow_all()
        self._opening.start()

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
        if self._is_following:  # a start that failed never got here
            self._is_following = False
            self._view.unsubscribe(self._on_change)
            await self._opening.stop()
        self.step_down()

    def step_down(self) -> None:
        """Stop leading anything until `refresh`: the session is lost."""
        self._may_lead = False
        self._led.clear()
        for partition in self:
            partition.step_down()
            self._on_role(partition)

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
                if not partition.follows(self._view.states.get(partition.topic_partition)):
                    self.follow_state(partition)
        for topic_partition in change.partitions:
            held = self.held(topic_partition)
            if held is None:
                self._opening.note(topic_partition)
            else:
                self.follow_state(held)

    def _topic_changed(self, name: str) -> None:
        topic = self._view.topics.get(name)
        held = self._partitions.get(name, _NONE)
        if topic is None:
            for partition in held.values():
                self._let_go(partition)
            return
        settings = self._settings_of(topic)
        for partition in held.values():
            if self._belongs(partition.topic_partition, topic):
                partition.reconfigure(settings)
                self._assign(partition, topic)
            else:
                self._let_go(partition)
        for number in topic.assignment:
            topic_partition = TopicPartition(name, number)
            if number not in held and self._belongs(topic_partition, topic):
                self._opening.note(topic_partition)

    def _let_go(self, partition: Partition) -> None:
        """It belongs here no longer. At once: its files may have to wait for those of many others.

        Until then a namesake that is led here must not be taken for it.
        """
        self._opening.note(partition.topic_partition)
        partition.close(_gone(partition))
        self._on_role(partition)

    def _assign(self, partition: Partition, topic: Topic) -> None:
        replicas = topic.assignment[partition.topic_partition.partition]
        if partition.replicas != replicas:
            partition.assign(replicas)
            self._on_role(partition)

    # -- what the opening asks --------------------------------------------------------------------

    def topic_here(self, topic_partition: TopicPartition) -> Topic | None:
        """The topic, if this broker is to hold that partition of it."""
        topic = self._view.topics.get(topic_partition.topic)
        return topic if topic is not None and self._belongs(topic_partition, topic) else None

    def held(self, topic_partition: TopicPartition) -> Partition | None:
        """The partition, if it is open."""
        return self._partitions.get(topic_partition.topic, _NONE).get(topic_partition.partition)

    def _belongs(self, topic_partition: TopicPartition, topic: Topic) -> bool:
        """Whether this broker is a replica, of this topic and not of a namesake before it."""
        partition = self.held(topic_partition)
        if partition is not None and partition.log.topic_id != topic.topic_id:
            return False
        return self.own_id in topic.assignment.get(topic_partition.partition, ())

    def drop(self, partition: Partition) -> None:
        """Serve a partition no longer."""
        name, number = partition.topic_partition
        held = self._partitions[name]
        del held[number]
        if not held:
            del self._partitions[name]
        self._former_epochs.pop(partition.topic_partition, None)
        partition.close(_gone(partition))
        self._on_role(partition)

    def is_new(self, topic_partition: TopicPartition) -> bool:
        """Whether a log of it may begin here: we surely never had one, or nobody counts on it.

        The latter where others are in sync and we are not: they have all that ours may have had.
        For the former the topic has to be younger than this life of ours: of a partition's state
        nothing can be told, for leaders rewrite it.
        """
        state = self._view.states.get(topic_partition)
        if state is None or (state.isr and self.own_id not in state.isr):
            return True
        own_epoch = self._own_epoch()
        created = self._view.created_revision(topic_partition.topic)
        return own_epoch is not None and created is not None and created > own_epoch

    def follow_state(self, partition: Partition) -> None:
        """Let the partition act on the state that is known of it.

        Not on one that was written for an earlier life of this broker, nor on one of the same epoch
        that came later: it names this broker as the leader, but of an epoch in which it died and
        may have lost what others have. The controller is about to elect anew.
        """
        topic_partition = partition.topic_partition
        state = self._view.states.get(topic_partition)
        topic = self._view.topics.get(topic_partition.topic)
        if state is None or topic is None or not self._belongs(topic_partition, topic):
            return
        if state.leader == self.own_id and not self._may_lead_by(state, partition):
            return
        self._led.clear()
        partition.apply(state, topic.assignment[topic_partition.partition])
        self._on_role(partition)

    def _may_lead_by(self, state: PartitionState, partition: Partition) -> bool:
        topic_partition = partition.topic_partition
        own_epoch = self._own_epoch()
        written = self._view.state_revisions.get(topic_partition, -1)
        if own_epoch is None:
            return False  # looked at again by `refresh`, once there is a registration
        if written <= own_epoch:
            self._former_epochs[topic_partition] = state.leader_epoch
            return False
        return self._may_lead and state.leader_epoch > self._former_epochs.get(
            topic_partition, NO_EPOCH
        )

    def role_changed(self, partition: Partition) -> None:
        """A partition found out by itself that it leads no more."""
        self._led.clear()
        self._on_role(partition)


def _gone(partition: Partition) -> UnknownTopicOrPartitionError:
    return UnknownTopicOrPartitionError(f"{partition.topic_partition} is no longer on this broker")
