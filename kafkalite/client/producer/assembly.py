"""Puts a producer's core together with a cluster's picture and connections of its own."""

import asyncio
import random

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.cluster import Cluster
from kafkalite.client.connections import Connections
from kafkalite.client.producer.core import ProducerCore
from kafkalite.client.producer.settings import ProducerSettings
from kafkalite.client.system_clock import SystemClock


class Assembly:
    """A core and what it stands on; lives on the loop where it was made."""

    def __init__(
        self, core: "ProducerCore[BrokerAddress]", cluster: Cluster, connections: Connections
    ) -> None:
        self.core = core
        self._cluster = cluster
        self._connections = connections
        self._closing = asyncio.Lock()
        """Held by who closes: the core needs all else until it has sent the rest."""

    async def close(self, timeout_s: float | None) -> None:
        """Close the core, which sends what it holds, and then all else; once, others wait."""
        async with self._closing:
            try:
                await self.core.close(timeout_s)
            finally:
                await self._cluster.close()
                await self._connections.close()


async def assemble(settings: ProducerSettings) -> Assembly:
    """A producer's parts, at work on the running loop."""
    connections = Connections(settings)
    cluster = Cluster(settings, connections)
    core = ProducerCore(
        settings.core_options(),
        cluster,
        connections,
        clock=SystemClock(),
        backoff_s=settings.backoff_s,
        randrange=random.randrange,
    )
    core.open()
    return Assembly(core, cluster, connections)
