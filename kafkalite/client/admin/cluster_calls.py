"""The cluster as a whole, its brokers, and what they keep where."""

from collections.abc import Iterable

from kafkalite.client.admin.calls import Call, Calls, path, query
from kafkalite.wire.admin_messages import (
    BrokerDescription,
    BrokerList,
    ClusterDescription,
    ClusterHealth,
    LogDirList,
)


class ClusterCalls:
    """The part of AsyncAdminClient that is about brokers."""

    _calls: Calls

    async def describe_cluster(self) -> ClusterDescription:
        """The cluster's id, its controller and its live brokers."""
        return await self._calls.ask(Call("GET", path("cluster")), ClusterDescription)

    async def cluster_health(self) -> ClusterHealth:
        """How the cluster is, in a few numbers, as the broker sees it that answers."""
        return await self._calls.ask(Call("GET", path("cluster", "health")), ClusterHealth)

    async def list_brokers(self) -> list[BrokerDescription]:
        """The live brokers by id."""
        return (await self._calls.ask(Call("GET", path("brokers")), BrokerList)).brokers

    async def describe_broker(self, broker_id: int) -> BrokerDescription:
        """A live broker.

        Raises:
            PathNotFoundError: no live broker has this id.
        """
        return await self._calls.ask(Call("GET", path("brokers", broker_id)), BrokerDescription)

    async def describe_log_dirs(self, broker_id: int, topics: Iterable[str] = ()) -> LogDirList:
        """A live broker's log directories, and the partitions of `topics` there; none: all."""
        target = path("brokers", broker_id, "log-dirs") + query(("topic", each) for each in topics)
        return await self._calls.ask(Call("GET", target), LogDirList)
