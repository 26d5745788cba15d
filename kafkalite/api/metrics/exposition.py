"""The broker's numbers as Prometheus reads them; docs/reference/metrics.md says what they mean.

Counters are kept as plain numbers where things happen (`broker/probes.py`) and turned into metrics
only when somebody asks, so that nothing is paid for them a record.
"""

import asyncio
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from kafkalite.api.metrics.data_path import data_path_families
from kafkalite.api.metrics.logs import log_families
from kafkalite.api.metrics.replication import (
    ClusterThen,
    cluster_families,
    replication_families,
)
from kafkalite.api.metrics.streams import stream_families
from kafkalite.broker.broker import Broker


class MetricsPage:
    """Makes the page for `GET /metrics`. One a broker; lives on the event loop."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._process = ProcessCollector(registry=None)

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its media type, in the form that the Accept header prefers.

        The numbers are read at once, on the loop, that owns them; writing them down takes a
        thread, since thousands of lines would be felt by other requests.
        """
        broker = self._broker
        families = list(self._families())
        rules = broker.view.controller == broker.id
        cluster = ClusterThen.of(broker.view) if rules else None
        settings = broker.settings
        encode, media = choose_encoder(accept)

        def write() -> bytes:
            if cluster is not None:
                families.extend(cluster_families(cluster, settings))
            return encode(_registry(families, self._process))

        return await asyncio.to_thread(write), media

    def _families(self) -> Iterator[Metric]:
        broker = self._broker
        held = list(broker.partitions)
        yield from data_path_families(broker.probe)
        yield from stream_families(
            len(broker.streams), len(broker.tails), len(broker.record_streams)
        )
        yield from self._broker_families()
        yield from log_families(held, len(broker.partitions.failures))
        yield from replication_families(held, broker.view, broker.replication.probe)

    def _broker_families(self) -> Iterator[Metric]:
        broker = self._broker
        yield GaugeMetricFamily(
            "kafkalite_ready", "Whether requests are taken.", value=not broker.not_ready_reasons()
        )
        yield GaugeMetricFamily(
            "kafkalite_controller",
            "Whether this broker is the controller.",
            value=broker.view.controller == broker.id,
        )
        yield GaugeMetricFamily(
            "kafkalite_live_brokers",
            "Brokers registered in the cluster.",
            value=len(broker.view.brokers),
        )
        yield CounterMetricFamily(
            "kafkalite_leader_elections",
            "Leaders elected by this broker as the controller.",
            value=broker.controller.elections,
        )
        yield CounterMetricFamily(
            "kafkalite_unclean_leader_elections",
            "Of them, not in sync: records were lost.",
            value=broker.controller.unclean_elections,
        )


def _registry(families: list[Metric], process: ProcessCollector) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    registry.register(process)
    return registry


class _Collected:
    """What a registry asks for, read beforehand."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
