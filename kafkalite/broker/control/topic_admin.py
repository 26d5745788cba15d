"""Creating, changing and deleting topics and configurations, on whatever broker is asked."""

import base64
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeVar

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.ports import Assignment, MetadataStore, StoreError
from kafkalite.config.broker_config import check_broker_config
from kafkalite.config.topic_config import check_topic_config
from kafkalite.controller.assignment import check_assignment, spread
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    InvalidConfigError,
    InvalidPartitionsError,
    InvalidRequestError,
    InvalidTopicError,
    LogError,
    ReassignmentInProgressError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicDeletionDisabledError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.topic_name import check_topic_name, colliding_topics

MAX_PARTITIONS: Final = 10_000
"""Of one topic: its assignment is one znode, and a znode has to fit into one packet."""
MAX_CONFIG_CHARACTERS: Final = 65_536
"""Of all overrides of one topic or broker together."""
DEFAULT_ENTITY: Final = "<default>"
"""Stands for all brokers where a broker's configuration is meant."""
_CONFIG_TIMEOUT_S: Final = 10.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TopicDefaults:
    """What a topic gets for which nothing was said."""

    partitions: int
    replication_factor: int


class TopicAdmin:
    """Runs administrative requests: checks them, writes them, waits until this broker sees them.

    Any broker does; the controller then elects leaders or removes what is to be deleted. Lives on
    the event loop; owns no task.
    """

    def __init__(
        self,
        view: MetadataView,
        store: MetadataStore,
        *,
        defaults: Callable[[], TopicDefaults],
        deletes_topics: Callable[[], bool],
        random: Random,
    ) -> None:
        """Build.

        Args:
            view: where to look, and where the results appear.
            store: where to write.
            defaults: num.partitions and default.replication.factor, as they are now.
            deletes_topics: delete.topic.enable.
            random: chooses where a topic's first partition goes, and topic ids.
        """
        self._view = view
        self._store = store
        self._defaults = defaults
        self._deletes_topics = deletes_topics
        self._random = random

    async def create_topic(
        self,
        name: str,
        partitions: int | None,
        replication_factor: int | None,
        assignment: Mapping[int, Sequence[int]] | None,
        config: Mapping[str, str],
        *,
        timeout_ms: int,
        validate_only: bool = False,
    ) -> Topic:
        """Create a topic, and wait until all its partitions have leaders.

        Args:
            name: the topic.
            partitions: how many; None: the default.
            replication_factor: replicas a partition; None: the default.
            assignment: partition -> replicas, instead of the two numbers.
            config: the topic's overrides.
            timeout_ms: how long to wait; the topic may appear later all the same.
            validate_only: check, write nothing.

        Raises:
            LogError: refused (the text is Kafka's), or RequestTimedOutError.
        """
        check_topic_name(name)
        await self._looking_twice(lambda: self._check_is_free(name))
        placed = await self._looking_twice(
            lambda: self._place(partitions, replication_factor, assignment)
        )
        _check_config(config, check_topic_config)
        topic = Topic(name, self._new_topic_id(), placed, dict(config))
        if validate_only:
            return topic
        await self._writing(self._store.create_topic(topic))
        await self._wait(
            lambda: self._has_leaders(topic),
            timeout_ms / 1000,
            f"Topic '{name}' is written, but not all of its partitions have a leader yet",
        )
        return topic

    async def create_partitions(
        self,
        name: str,
        count: int,
        assignment: Mapping[int, Sequence[int]] | None = None,
        *,
        timeout_ms: int,
    ) -> Topic:
        """Raise a topic's number of partitions, and wait until the new ones have leaders.

        Args:
            name: the topic.
            count: partitions altogether.
            assignment: new partition -> replicas; None: spread as Kafka does.
            timeout_ms: how long to wait; shorter where the topic is deleted in the meantime.

        Raises:
            LogError: refused (the text is Kafka's), or RequestTimedOutError.
        """
        await self._existing(name)

        def grow(topic: Topic) -> Topic:
            more = self._more_partitions(topic, count, assignment)
            return replace(topic, assignment={**topic.assignment, **more})

        written = await self._writing(self._store.update_topic(name, grow))
        await self._wait(
            lambda: name not in self._view.topics or self._has_leaders(written),
            timeout_ms / 1000,
            f"Topic '{name}' has {count} partitions, but not all of them have a leader yet",
        )
        if name not in self._view.topics:
            raise UnknownTopicOrPartitionError(f"Topic '{name}' was deleted meanwhile")
        return self._view.topics[name]

    async def alter_topic_config(self, name: str, changes: Mapping[str, str | None]) -> Topic:
        """Set overrides, or remove those whose value is None; gives the topic as it is then.

        Raises:
            LogError: unknown topic or key, or a value that is not allowed.
        """
        topic = await self._existing(name)

        def update(before: Mapping[str, str]) -> Mapping[str, str]:
            return _changed(before, changes, check_topic_config)

        written = await self._writing(self._store.update_topic_config(name, update))
        await self._wait(
            lambda: self._has_config(name, written),
            _CONFIG_TIMEOUT_S,
            f"The configuration of topic '{name}' is written, but not in effect yet",
        )
        return replace(self._view.topics.get(name, topic), config=written)

    async def alter_broker_config(self, entity: str, changes: Mapping[str, str | None]) -> None:
        """Set or (None) remove dynamic overrides of one broker, or of all as `<default>`.

        Raises:
            LogError: the entity is neither, a key cannot be changed, or a value is not allowed.
        """
        if entity != DEFAULT_ENTITY and not (entity.isascii() and entity.isdecimal()):
            raise InvalidRequestError(f"'{entity}' is neither a broker id nor {DEFAULT_ENTITY}")
        if entity != DEFAULT_ENTITY:
            entity = str(int(entity))

        def update(before: Mapping[str, str]) -> Mapping[str, str]:
            return _changed(before, changes, check_broker_config)

        written = await self._writing(self._store.update_broker_config(entity, update))
        await self._wait(
            lambda: self._view.broker_configs.get(entity, {}) == written,
            _CONFIG_TIMEOUT_S,
            f"The configuration of broker {entity} is written, but not in effect yet",
        )

    async def delete_topic(self, name: str, *, timeout_ms: int) -> None:
        """Delete a topic and wait until it is gone.

        Raises:
            LogError: unknown, TopicDeletionDisabledError, or RequestTimedOutError: it goes once the
                brokers of all its replicas are alive.
        """
        topic = await self._existing(name)
        if not self._deletes_topics():
            raise TopicDeletionDisabledError
        await self._writing(self._store.request_topic_deletion(name))
        await self._wait(
            lambda: self._is_gone(topic),
            timeout_ms / 1000,
            f"Topic '{name}' is marked for deletion; it goes when all brokers that hold it are up",
        )

    # -- checks ---------------------------------------------------------------------------------

    def _check_is_free(self, name: str) -> None:
        if name in self._view.topics:
            what = "is marked for deletion" if name in self._view.deletions else "already exists"
            raise TopicAlreadyExistsError(f"Topic '{name}' {what}.")
        collisions = colliding_topics(name, list(self._view.topics))
        if collisions:
            raise InvalidTopicError(
                f"Topic '{name}' collides with existing topics: {', '.join(collisions)}"
            )

    async def _existing(self, name: str) -> Topic:
        return await self._looking_twice(lambda: self._check_exists(name))

    async def _looking_twice(self, check: Callable[[], _T]) -> _T:
        """Refuse nothing because of a view that is a moment behind what another broker did."""
        try:
            return check()
        except LogError:
            await self._writing(self._store.catch_up())
            return check()

    def _check_exists(self, name: str) -> Topic:
        topic = self._view.topics.get(name)
        if topic is None:
            raise UnknownTopicOrPartitionError(f"Topic '{name}' does not exist")
        return topic

    def _place(
        self,
        partitions: int | None,
        replication_factor: int | None,
        assignment: Mapping[int, Sequence[int]] | None,
    ) -> Assignment:
        brokers = self._view.brokers
        if assignment is not None:
            if partitions is not None or replication_factor is not None:
                raise InvalidRequestError(
                    "Both a replica assignment and a number of partitions or a replication factor "
                    "were given. Both cannot be used at the same time."
                )
            _check_count(len(assignment))
            return check_assignment(assignment, brokers)
        defaults = self._defaults()
        count = defaults.partitions if partitions is None else partitions
        _check_count(count)
        return spread(
            self._racks(),
            count,
            defaults.replication_factor if replication_factor is None else replication_factor,
            start=self._random.randrange(max(1, len(brokers))),
            shift=self._random.randrange(max(1, len(brokers))),
        )

    def _more_partitions(
        self, topic: Topic, count: int, assignment: Mapping[int, Sequence[int]] | None
    ) -> Assignment:
        existing = topic.partition_count
        if count < existing:
            raise InvalidPartitionsError(
                f"Topic currently has {existing} partitions, which is higher than the requested "
                f"{count}."
            )
        if topic.moving:
            raise ReassignmentInProgressError(
                f"A partition reassignment is in progress for the topic '{topic.name}'"
            )
        if count == existing:
            raise InvalidPartitionsError(f"Topic already has {existing} partitions.")
        _check_count(count)
        if assignment is not None:
            if len(assignment) != count - existing:
                raise InvalidRequestError(
                    f"Increasing the number of partitions by {count - existing} but "
                    f"{len(assignment)} assignments provided."
                )
            return check_assignment(assignment, self._view.brokers, existing)
        # Go on where the topic's first partition began, so that the leaders still go round.
        row = sorted(self._view.brokers)
        first = topic.assignment[0][0]
        start = row.index(first) if first in row else 0
        return spread(
            self._racks(),
            count - existing,
            topic.replication_factor,
            start=start,
            shift=start,
            first_partition=existing,
        )

    def _racks(self) -> dict[BrokerId, str | None]:
        return {broker.id: broker.rack for broker in self._view.brokers.values()}

    def _new_topic_id(self) -> TopicId:
        made = uuid.UUID(int=self._random.getrandbits(128), version=4)
        return TopicId(base64.urlsafe_b64encode(made.bytes).decode().rstrip("="))

    # -- writing and waiting --------------------------------------------------------------------

    async def _writing(self, write: Awaitable[_T]) -> _T:
        try:
            return await write
        except StoreError as error:
            raise RequestTimedOutError(f"The change could not be confirmed: {error}") from error

    async def _wait(self, predicate: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
        if not await self._view.wait_until(predicate, timeout_s):
            raise RequestTimedOutError(otherwise)

    def _has_leaders(self, topic: Topic) -> bool:
        states = self._view.states
        for number in topic.assignment:
            state = states.get(TopicPartition(topic.name, number))
            if state is None or state.is_offline:
                return False
        known = self._view.topics.get(topic.name)
        return known is not None and known.topic_id == topic.topic_id

    def _has_config(self, name: str, config: Mapping[str, str]) -> bool:
        topic = self._view.topics.get(name)
        return topic is None or topic.config == config

    def _is_gone(self, topic: Topic) -> bool:
        known = self._view.topics.get(topic.name)
        return known is None or known.topic_id != topic.topic_id


def _check_count(count: int) -> None:
    if count < 1:
        raise InvalidPartitionsError("The partitions must be greater than 0")
    if count > MAX_PARTITIONS:
        raise InvalidPartitionsError(
            f"A topic can have at most {MAX_PARTITIONS} partitions, not {count}"
        )


def _check_config(config: Mapping[str, str], check: Callable[[Mapping[str, str]], None]) -> None:
    size = sum(len(key) + len(value) for key, value in config.items())
    if size > MAX_CONFIG_CHARACTERS:
        raise InvalidConfigError(
            f"The configuration has {size} characters; at most {MAX_CONFIG_CHARACTERS} are allowed"
        )
    check(config)


def _changed(
    before: Mapping[str, str],
    changes: Mapping[str, str | None],
    check: Callable[[Mapping[str, str]], None],
) -> Mapping[str, str]:
    """Overrides after `changes`; what is set is checked, what was there is not in the way."""
    added = {key: value for key, value in changes.items() if value is not None}
    check(added)
    after = {key: value for key, value in before.items() if key not in changes} | added
    _check_config(after, check)
    return after
