"""What went through the broker, and what was read to look for damage: counters and histograms."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from kafkalite.broker.probes import DataProbe, HistogramProbe

_COUNTERS: Final[tuple[tuple[str, str, Callable[[DataProbe], float]], ...]] = (
    ("produce_requests", "Produce requests.", lambda probe: probe.produce_requests),
    ("produce_records", "Records appended by producers.", lambda probe: probe.produce_records),
    ("produce_bytes", "Bytes of batches appended.", lambda probe: probe.produce_bytes),
    ("produce_errors", "Batches that were refused.", lambda probe: probe.produce_errors),
    (
        "produce_duplicates",
        "Retries of idempotent producers that were stored before.",
        lambda probe: probe.produce_duplicates,
    ),
    ("fetch_requests", "Fetch requests.", lambda probe: probe.fetch_requests),
    ("fetch_bytes", "Bytes of batches read.", lambda probe: probe.fetch_bytes),
    ("fetch_errors", "Reads that failed.", lambda probe: probe.fetch_errors),
    ("cold_reads", "Reads that had to wait for the disk.", lambda probe: probe.cold_reads),
    ("flushed_partitions", "Logs flushed.", lambda probe: probe.flush.partitions),
    ("scrubbed_bytes", "Bytes read to look for damage.", lambda probe: probe.scrub.bytes),
    ("scrubbed_segments", "Segments looked through.", lambda probe: probe.scrub.segments),
    ("scrub_rounds", "Times that all logs were read.", lambda probe: probe.scrub.rounds),
    ("scrub_errors", "Segments the disk did not give.", lambda probe: probe.scrub.errors),
)
"""Metric, meaning, where the number is kept."""

_HISTOGRAMS: Final[tuple[tuple[str, str, Callable[[DataProbe], HistogramProbe]], ...]] = (
    ("append", "How long acks=all took.", lambda probe: probe.append_seconds),
    ("read", "How long reading from a log took.", lambda probe: probe.read_seconds),
    ("flush", "How long a group commit took.", lambda probe: probe.flush.seconds),
)


def data_path_families(probe: DataProbe) -> Iterator[Metric]:
    """The metrics of what `probe` has counted."""
    for name, meaning, value in _COUNTERS:
        yield CounterMetricFamily(f"kafkalite_{name}", meaning, value=value(probe))
    for name, meaning, histogram in _HISTOGRAMS:
        yield _histogram(f"kafkalite_{name}_seconds", meaning, histogram(probe))
    yield GaugeMetricFamily(
        "kafkalite_waiting_fetches", "Fetches that wait for records.", value=probe.waiting_fetches
    )
    yield GaugeMetricFamily(
        "kafkalite_connections", "Open HTTP connections.", value=probe.connections
    )


def _histogram(name: str, meaning: str, probe: HistogramProbe) -> HistogramMetricFamily:
    buckets: list[tuple[str, float]] = []
    so_far = 0
    for bound, count in zip((*probe.bounds, float("inf")), probe.counts, strict=True):
        so_far += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), so_far))
    return HistogramMetricFamily(name, meaning, buckets=buckets, sum_value=probe.total)
