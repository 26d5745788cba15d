"""Records on their way to partitions, gathered into batches."""

import random
from collections.abc import Sequence
from typing import Final

from kafkalite.model.partitioning import partition_for_key
from kafkalite.model.record import Record

_RECORD_OVERHEAD: Final = 16
"""About what a record takes in a batch beside its key, value and headers."""


class PartitionBatch:
    """Records for one partition, in order, and the input lines that they came from."""

    __slots__ = ("attempts", "is_settled", "lines", "partition", "records", "size")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.records: list[Record] = []
        self.lines: list[int] = []
        self.size = 0
        self.attempts = 0
        """How often it was sent without success."""
        self.is_settled = False
        """Whether it is known what became of its records."""

    def halves(self) -> tuple["PartitionBatch", "PartitionBatch"]:
        """The same records as two batches, for a broker that finds one too large."""
        middle = len(self.records) // 2
        first, second = PartitionBatch(self.partition), PartitionBatch(self.partition)
        first.records, second.records = self.records[:middle], self.records[middle:]
        first.lines, second.lines = self.lines[:middle], self.lines[middle:]
        return first, second


class PartitionBatches:
    """The batches being filled, one a partition.

    A record with a key goes where Kafka's hash says. Others stay together on one partition until
    its batch is taken, then another one has its turn (KIP-480).
    """

    def __init__(self, partition_count: int, batch_bytes: int, batch_records: int) -> None:
        """A batch is full with `batch_bytes` or `batch_records`, whichever comes first."""
        self.partition_count = partition_count
        self._batch_bytes = batch_bytes
        self._batch_records = batch_records
        self._open: dict[int, PartitionBatch] = {}
        self._sticky: int | None = None
        self.available: Sequence[int] = range(partition_count)
        """Partitions for records without a key: those that have a leader."""
        self.size = 0
        """Bytes in all batches that are being filled, about."""

    def add(self, record: Record, line: int) -> PartitionBatch | None:
        """Take a record in; gives its batch once that is full."""
        value, key, _, headers, _ = record
        size = len(value or b"") + len(key or b"") + _RECORD_OVERHEAD
        for name, data in headers:
            size += len(name) + len(data or b"") + _RECORD_OVERHEAD
        if key is not None:
            partition = partition_for_key(key, self.partition_count)
        else:
            partition = self._sticky_partition()
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = PartitionBatch(partition)
        batch.records.append(record)
        batch.lines.append(line)
        batch.size += size
        self.size += size
        if batch.size >= self._batch_bytes or len(batch.records) >= self._batch_records:
            return self._take(partition)
        return None

    def take_all(self) -> list[PartitionBatch]:
        """All batches as far as they are filled; none is left then."""
        return [self._take(partition) for partition in list(self._open)]

    def _take(self, partition: int) -> PartitionBatch:
        batch = self._open.pop(partition)
        self.size -= batch.size
        if partition == self._sticky:
            self._sticky = None
        return batch

    def _sticky_partition(self) -> int:
        if self._sticky is None:
            self._sticky = random.choice(self.available or range(self.partition_count))
        return self._sticky
