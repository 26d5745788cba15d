"""What the logs on a broker hold: all of them, each topic's, and each one's while they are few."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from kafkalite.broker.partition import Partition

MAX_PARTITION_SERIES: Final = 500
"""Partitions shown one by one. A broker that holds more shows its topics only."""
MAX_TOPIC_SERIES: Final = 500
"""Topics shown one by one. A broker that holds more shows only the sums over all of them."""


@dataclass(slots=True)
class _LogSums:
    """What the logs of some partitions come to."""

    partitions: int = 0
    led: int = 0
    damaged: int = 0
    damaged_ranges: int = 0
    failed: int = 0
    size_bytes: int = 0
    producer_ids: int = 0
    start: int = 0
    high_watermark: int = 0
    end: int = 0

    def add(self, partition: Partition) -> None:
        log, offsets = partition.log, partition.offsets
        self.partitions += 1
        self.led += partition.is_leader
        self.damaged += bool(log.damaged)
        self.damaged_ranges += len(log.damaged)
        self.failed += log.failure is not None
        self.size_bytes += log.size_bytes
        self.producer_ids += len(log.producers)
        self.start += offsets.start
        self.high_watermark += offsets.high_watermark
        self.end += offsets.end


_Gauges = tuple[tuple[str, str, Callable[[_LogSums], float]], ...]

_OF_ALL: Final[_Gauges] = (
    ("partitions", "Logs on this broker.", lambda sums: sums.partitions),
    ("led_partitions", "Of them, led by it.", lambda sums: sums.led),
    ("damaged_partitions", "Logs with unreadable offsets.", lambda sums: sums.damaged),
    ("damaged_ranges", "Stretches of such offsets.", lambda sums: sums.damaged_ranges),
    ("failed_partitions", "Logs in directories that failed.", lambda sums: sums.failed),
    (
        "logs_size_bytes",
        "Bytes of record batches on disk, of all logs.",
        lambda sums: sums.size_bytes,
    ),
    (
        "producer_ids",
        "Idempotent producers that the logs remember, one counted for each log.",
        lambda sums: sums.producer_ids,
    ),
)
"""Metric, meaning, where the number is kept."""
_OF_EACH: Final[_Gauges] = (
    ("log_size_bytes", "Bytes of record batches on disk.", lambda sums: sums.size_bytes),
    ("log_start_offset", "First readable offset.", lambda sums: sums.start),
    ("high_watermark", "Offset below which consumers read.", lambda sums: sums.high_watermark),
    ("log_end_offset", "Offset that the next record gets.", lambda sums: sums.end),
)
"""The same of one partition, or summed over a topic's."""


def log_families(held: list[Partition], unopened: int) -> Iterator[Metric]:
    """The metrics of the logs of `held`; `unopened` more that belong here could not be opened."""
    everything = _LogSums(failed=unopened)
    topics: dict[str, _LogSums] = {}
    for partition in held:
        everything.add(partition)
        topics.setdefault(partition.topic_partition.topic, _LogSums()).add(partition)
    yield GaugeMetricFamily("kafkalite_topics", "Topics with a log here.", value=len(topics))
    for name, meaning, value in _OF_ALL:
        yield GaugeMetricFamily(f"kafkalite_{name}", meaning, value=value(everything))
    if len(topics) <= MAX_TOPIC_SERIES:
        yield from _series("topic", ["topic"], [((name,), topics[name]) for name in topics])
    if len(held) <= MAX_PARTITION_SERIES:
        yield from _series("partition", ["topic", "partition"], _one_by_one(held))


def _one_by_one(held: list[Partition]) -> list[tuple[tuple[str, ...], _LogSums]]:
    rows: list[tuple[tuple[str, ...], _LogSums]] = []
    for partition in held:
        sums = _LogSums()
        sums.add(partition)
        topic, number = partition.topic_partition
        rows.append(((topic, str(number)), sums))
    return rows


def _series(
    level: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], _LogSums]]
) -> Iterator[Metric]:
    rows = sorted(rows, key=lambda row: row[0])
    for name, meaning, value in _OF_EACH:
        family = GaugeMetricFamily(f"kafkalite_{level}_{name}", meaning, labels=labels)
        for label_values, sums in rows:
            family.add_metric(label_values, value(sums))
        yield family
