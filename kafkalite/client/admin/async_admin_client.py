"""Administration for programs that run an event loop; also the core of the one for others."""

from functools import partial
from typing import Any, Never, Self

from kafkalite.client.admin.calls import Calls
from kafkalite.client.admin.cluster_calls import ClusterCalls
from kafkalite.client.admin.config_calls import ConfigCalls
from kafkalite.client.admin.group_calls import GroupCalls
from kafkalite.client.admin.partition_calls import PartitionCalls
from kafkalite.client.admin.patience import Patience
from kafkalite.client.admin.topic_calls import TopicCalls
from kafkalite.client.backoff import Backoff
from kafkalite.client.cluster import Cluster
from kafkalite.client.connections import Connections
from kafkalite.client.settings import AdminSettings, keywords_only
from kafkalite.client.system_clock import SystemClock


class AsyncAdminClient(TopicCalls, ConfigCalls, PartitionCalls, GroupCalls, ClusterCalls):
    """Administers a cluster through any of its brokers.

        async with AsyncAdminClient(bootstrap_servers="localhost:9092") as admin:
            await admin.create_topic("flights", partitions=3)

    Takes Kafka's settings, with underscores for dots: docs/client/admin.md. For one loop. Nothing
    is connected before the first call; `close` is needed after it.
    """

    def __init__(self, *given: Never, **settings: Any) -> None:  # noqa: ANN401 - of many types
        """Check the settings.

        Raises:
            ConfigError: a setting is wrong.
        """
        keywords_only("AsyncAdminClient", given)
        found = AdminSettings.of(settings)
        patience = Patience(found.retries, found.default_api_timeout_ms)
        self._assemble(found, Connections(found), patience)

    def _assemble(
        self, settings: AdminSettings, connections: Connections, patience: Patience
    ) -> None:
        self._connections = connections
        self._cluster = Cluster(settings, connections)
        self._calls = Calls(
            settings,
            self._cluster,
            connections,
            SystemClock(),
            partial(Backoff, settings.retry_backoff_ms, settings.retry_backoff_max_ms),
            patience,
        )

    async def close(self) -> None:
        """Close the connections; calls that wait fail. A second time it does nothing."""
        await self._cluster.close()
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
