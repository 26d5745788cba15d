"""The broker's numbers as Prometheus reads them; docs/reference/metrics.md says what they mean.

Counters are kept as plain numbers where things happen (`broker/probes.py`) and turned into metrics
only when somebody asks, so that nothing is paid for them a record.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from kafkalite.broker.broker import Broker
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe, HistogramProbe

MAX_PARTITION_SERIES: Final = 500
"""Partitions shown one by one. A broker that holds more shows its topics only."""
MAX_TOPIC_SERIES: Final = 500
"""Topics shown one by one. A broker that holds more shows only the sums over all of them."""

_COUNTERS: Final[tuple[tuple[str, str, Callable[[DataProbe], float]], ...]] = (
    ("produce_requests", "Produce requests.", lambda probe: probe.produce_requests),
    ("produce_records", "Records appended by producers.", lambda probe: probe.produce_records),
    ("produce_bytes", "Bytes of batches appended.", lambda probe: probe.produce_bytes),
    ("produce_errors", "Batches that were refused.", lambda probe: probe.produce_errors),
    ("fetch_requests", "Fetch requests.", lambda probe: probe.fetch_requests),
    ("fetch_bytes", "Bytes of batches read.", lambda probe: probe.fetch_bytes),
    ("fetch_errors", "Reads that failed.", lambda probe: probe.fetch_errors),
    ("cold_reads", "Reads that had to wait for the disk.", lambda probe: probe.cold_reads),
    ("flushed_partitions", "Logs flushed.", lambda probe: probe.flush.partitions),
)
"""Metric, meaning, where the number is kept."""


@dataclass(slots=True)
class _LogSums:
    """What the logs of some partitions come to."""

    partitions: int = 0
    size_bytes: int = 0
    start: int = 0
    high_watermark: int = 0
    end: int = 0

    def add(self, partition: Partition) -> None:
        offsets = partition.offsets
        self.partitions += 1
        self.size_bytes += partition.log.size_bytes
        self.start += offsets.start
        self.high_watermark += offsets.high_watermark
        self.end += offsets.end


_LOG_GAUGES: Final[tuple[tuple[str, str, Callable[[_LogSums], float]], ...]] = (
    ("log_size_bytes", "Bytes of record batches on disk.", lambda sums: sums.size_bytes),
    ("log_start_offset", "First readable offset.", lambda sums: sums.start),
    ("high_watermark", "Offset below which consumers read.", lambda sums: sums.high_watermark),
    ("log_end_offset", "Offset that the next record gets.", lambda sums: sums.end),
)
"""Metric, meaning, where the number is kept: of one partition, or summed over a topic's."""


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
        families = list(self._families())
        encode, media = choose_encoder(accept)
        return await asyncio.to_thread(encode, _registry(families, self._process)), media

    def _families(self) -> Iterator[Metric]:
        broker, probe = self._broker, self._broker.probe
        for name, meaning, value in _COUNTERS:
            yield CounterMetricFamily(f"kafkalite_{name}", meaning, value=value(probe))
        yield _histogram(
            "kafkalite_flush_seconds", "How long a group commit took.", probe.flush.seconds
        )
        yield GaugeMetricFamily(
            "kafkalite_waiting_fetches",
            "Fetches that wait for records.",
            value=probe.waiting_fetches,
        )
        yield GaugeMetricFamily(
            "kafkalite_connections", "Open HTTP connections.", value=probe.connections
        )
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
        yield from _partition_families(broker.partitions)


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


def _histogram(name: str, meaning: str, probe: HistogramProbe) -> HistogramMetricFamily:
    buckets: list[tuple[str, float]] = []
    so_far = 0
    for bound, count in zip((*probe.bounds, float("inf")), probe.counts, strict=True):
        so_far += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), so_far))
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=probe.total)


def _partition_families(partitions: Iterable[Partition]) -> Iterator[Metric]:
    held = list(partitions)
    everything = _LogSums()
    topics: dict[str, _LogSums] = {}
    leaders = damaged = 0
    for partition in held:
        everything.add(partition)
        topics.setdefault(partition.topic_partition.topic, _LogSums()).add(partition)
        leaders += partition.is_leader
        damaged += bool(partition.log.damaged)
    yield GaugeMetricFamily("kafkalite_topics", "Topics with a log here.", value=len(topics))
    yield GaugeMetricFamily("kafkalite_partitions", "Logs on this broker.", value=len(held))
    yield GaugeMetricFamily("kafkalite_led_partitions", "Of them, led by it.", value=leaders)
    yield GaugeMetricFamily(
        "kafkalite_damaged_partitions", "Logs with unreadable offsets.", value=damaged
    )
    yield GaugeMetricFamily(
        "kafkalite_logs_size_bytes",
        "Bytes of record batches on disk, of all logs.",
        value=everything.size_bytes,
    )
    if len(topics) <= MAX_TOPIC_SERIES:
        yield from _log_families("topic", ["topic"], [((name,), topics[name]) for name in topics])
    if len(held) <= MAX_PARTITION_SERIES:
        yield from _log_families("partition", ["topic", "partition"], _one_by_one(held))


def _one_by_one(held: list[Partition]) -> list[tuple[tuple[str, ...], _LogSums]]:
    rows: list[tuple[tuple[str, ...], _LogSums]] = []
    for partition in held:
        sums = _LogSums()
        sums.add(partition)
        topic, number = partition.topic_partition
        rows.append(((topic, str(number)), sums))
    return rows


def _log_families(
    level: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], _LogSums]]
) -> Iterator[Metric]:
    rows = sorted(rows, key=lambda row: row[0])
    for name, meaning, value in _LOG_GAUGES:
        family = GaugeMetricFamily(f"kafkalite_{level}_{name}", meaning, labels=labels)
        for label_values, sums in rows:
            family.add_metric(label_values, value(sums))
        yield family
