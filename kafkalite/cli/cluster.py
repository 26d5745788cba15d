"""The topic that kafka-e2e-latency measures with: looked for, and created where there is none."""

from collections.abc import Mapping, Sequence
from typing import Self

from kafkalite.cli.administration import Administration
from kafkalite.wire.admin_messages import TopicDescription


class Cluster:
    """A cluster's topics. Owned by one command; a context manager."""

    def __init__(self, urls: Sequence[str]) -> None:
        """`urls` are of brokers; any of them that is alive is enough."""
        self._admin = Administration(urls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()

    def topic(self, name: str) -> TopicDescription:
        """One topic; raises UnknownTopicOrPartitionError."""
        return self._admin.describe_topic(name)

    def create_topic(
        self,
        name: str,
        *,
        partitions: int | None,
        replication_factor: int | None,
        assignment: Sequence[Sequence[int]] | None,
        config: Mapping[str, str],
    ) -> None:
        """Create a topic; what is None is the brokers' choice."""
        self._admin.create_topic(
            name, partitions, replication_factor, replica_assignment=assignment, config=config
        )
