"""All that replicates: what followers fetch here, what is fetched from leaders, who is in sync."""

import asyncio
from collections.abc import Callable

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.ports import MetadataStore, Peers
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.broker.replication.isr_keeper import IsrKeeper
from kafkalite.broker.replication.replica_fetcher import ReplicaFetchers
from kafkalite.broker.replication.replica_sessions import ReplicaSessions
from kafkalite.config.keys import BrokerSettings
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId


class Replication:
    """Keeps the replicas of a broker's partitions in step, between `start()` and `stop()`.

    Owned by the broker. Followers may fetch before `start()` already, and until `stop_waiting()`.
    """

    def __init__(
        self,
        partitions: PartitionTable,
        view: MetadataView,
        store: MetadataStore,
        peers: Peers,
        clock: Clock,
        *,
        settings: Callable[[], BrokerSettings],
        own_id: Callable[[], BrokerId],
        on_refused: Callable[[Broker], None],
    ) -> None:
        """Put the parts together.

        Args:
            partitions: those that this broker holds.
            view: the cluster.
            store: where the in-sync replicas are written.
            peers: the way to the leaders.
            clock: for what lags.
            settings: of the broker, as they are now.
            own_id: of this broker, which may not be known yet.
            on_refused: told of a broker that refuses connections.
        """
        self.probe = ReplicationProbe()
        fixed = settings()
        self.sessions = ReplicaSessions(
            partitions,
            view,
            clock,
            self.probe,
            max_bytes=fixed.replica_fetch_response_max_bytes,
            max_wait_ms=fixed.fetch_max_wait_ms,
            throttled_rate=lambda: settings().leader_replication_throttled_rate,
        )
        self._fetchers = ReplicaFetchers(
            view,
            peers,
            clock,
            self.probe,
            own_id=own_id,
            options=fixed.replica_options,
            throttled_rate=lambda: settings().follower_replication_throttled_rate,
            on_refused=on_refused,
        )
        self._isr = IsrKeeper(
            partitions,
            store,
            view,
            clock,
            self.sessions.last_fetch_ms,
            lag_ms=fixed.replica_lag_time_max_ms,
            probe=self.probe,
        )

    def role_changed(self, partition: Partition) -> None:
        """A partition leads, follows, or does neither, since now."""
        self._fetchers.update(partition)

    def isr_due(self, partition: Partition) -> None:
        """The in-sync replicas of a partition may have to change."""
        self._isr.due(partition)

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        self.sessions.start()
        self._fetchers.start()
        self._isr.start()

    def suspend(self) -> None:
        """The connection to ZooKeeper broke: the in-sync replicas stay as they are."""
        self._isr.suspend()

    def resume(self) -> None:
        self._isr.resume()

    async def stop_following(self) -> None:
        """Fetch no more, so that no leader takes this broker for in sync again."""
        await self._fetchers.stop()

    def stop_waiting(self) -> None:
        """Answer the followers that wait for records."""
        self.sessions.stop_waiting()

    async def stop(self) -> None:
        """End all tasks."""
        await asyncio.gather(self._fetchers.stop(), self._isr.stop())
        self.sessions.close()
