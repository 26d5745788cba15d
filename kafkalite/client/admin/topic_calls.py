"""Topics: create, list, describe, extend, delete."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kafkalite.client.admin.calls import Call, Calls, given, of_each, path, query
from kafkalite.model.errors import LogError
from kafkalite.wire.admin_messages import TopicDescription, TopicList, TopicSummary


class NewTopic(msgspec.Struct, frozen=True):
    """A topic to create; what is None is the brokers' choice."""

    name: str
    partitions: int | None = None
    replication_factor: int | None = None
    replica_assignment: Sequence[Sequence[int]] | None = None
    """Broker ids of each partition, the preferred leader first; instead of the two numbers."""
    config: Mapping[str, str] | None = None
    """The topic's own settings."""


class TopicCalls:
    """The part of AsyncAdminClient that is about topics."""

    _calls: Calls

    async def create_topic(
        self,
        name: str,
        partitions: int | None = None,
        replication_factor: int | None = None,
        *,
        replica_assignment: Sequence[Sequence[int]] | None = None,
        config: Mapping[str, str] | None = None,
        validate_only: bool = False,
    ) -> TopicDescription:
        """Create a topic, and wait until it has leaders.

        Args:
            name: 1 to 249 of ASCII letters, digits, `.`, `_` and `-`.
            partitions: num.partitions where it is None.
            replication_factor: default.replication.factor where it is None.
            replica_assignment: broker ids of each partition, the preferred leader first; instead of
                the two numbers.
            config: the topic's own settings.
            validate_only: check everything, create nothing.

        Raises:
            TopicAlreadyExistsError: there is one of that name.
            LogError: it was refused otherwise; NetworkError and RequestTimedOutError: it may have
                been created.
        """
        body = given(
            name=name,
            partitions=partitions,
            replication_factor=replication_factor,
            replica_assignment=replica_assignment,
            config=config,
            validate_only=validate_only,
            timeout_ms=self._calls.timeout_ms,
        )
        call = Call("POST", path("topics"), body, is_idempotent=validate_only)
        return await self._calls.ask(call, TopicDescription)

    async def create_topics(
        self, topics: Iterable[NewTopic]
    ) -> dict[str, TopicDescription | LogError]:
        """Create several topics; gives the description of each, or why there is none."""
        wanted = {each.name: each for each in topics}

        async def create(name: str) -> TopicDescription:
            new = wanted[name]
            return await self.create_topic(
                name,
                new.partitions,
                new.replication_factor,
                replica_assignment=new.replica_assignment,
                config=new.config,
            )

        return await of_each(wanted, create)

    async def list_topics(self) -> list[TopicSummary]:
        """All topics by name, without their partitions."""
        return (await self._calls.ask(Call("GET", path("topics")), TopicList)).topics

    async def describe_topic(self, name: str) -> TopicDescription:
        """A topic, its own settings, and leader and replicas of each partition.

        Raises:
            UnknownTopicOrPartitionError: there is none.
        """
        return await self._calls.ask(Call("GET", path("topics", name)), TopicDescription)

    async def describe_topics(self, names: Iterable[str]) -> dict[str, TopicDescription | LogError]:
        """Several topics, each as `describe_topic` gives it, or why not."""
        return await of_each(names, self.describe_topic)

    async def add_partitions(
        self,
        name: str,
        partition_count: int,
        *,
        replica_assignment: Sequence[Sequence[int]] | None = None,
    ) -> TopicDescription:
        """Have a topic of `partition_count` partitions; keys may move to others.

        Args:
            name: the topic.
            partition_count: how many there shall be; more than there are.
            replica_assignment: broker ids of each partition that is added.

        Raises:
            LogError: it was refused; NetworkError and RequestTimedOutError: it may have been done.
        """
        body = given(
            partition_count=partition_count,
            replica_assignment=replica_assignment,
            timeout_ms=self._calls.timeout_ms,
        )
        call = Call("PATCH", path("topics", name), body, is_idempotent=False)
        return await self._calls.ask(call, TopicDescription)

    async def delete_topic(self, name: str) -> None:
        """Delete a topic with its records, and wait until it is gone.

        Raises:
            LogError: it was refused; NetworkError and RequestTimedOutError: it may have been done.
        """
        target = path("topics", name) + query([("timeout_ms", self._calls.timeout_ms)])
        await self._calls.tell(Call("DELETE", target, is_idempotent=False))

    async def delete_topics(self, names: Iterable[str]) -> dict[str, LogError | None]:
        """Delete several topics; gives why each one was not, None: it was."""
        return await of_each(names, self.delete_topic)
