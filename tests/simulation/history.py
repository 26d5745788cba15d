"""What clients were told, and what that promises: the outside view of a cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kafkalite.model.ids import TopicPartition


class Acknowledged(NamedTuple):
    """One record that a producer was told of."""

    value: bytes
    acks_all: bool


@dataclass(slots=True)
class PartitionHistory:
    """All that was seen of one partition."""

    acknowledged: dict[int, Acknowledged] = field(default_factory=dict)
    """Offset -> the record that a producer was told is there."""
    seen: dict[int, bytes] = field(default_factory=dict)
    """Offset -> the record that some consumer has read there."""
    safe_end: int = 0
    """Every acknowledged (acks=all) and every seen record is below it."""
    start: int = 0
    """Below it records may be gone, by retention."""


class History:
    """Everything that clients know. `fail` hears of contradictions."""

    def __init__(self, fail: Callable[[str], None]) -> None:
        self._fail = fail
        self.partitions: dict[TopicPartition, PartitionHistory] = {}
        self.deleted: set[str] = set()
        """Topics that somebody asked to delete: nothing is promised of them any more."""
        self.sent = 0
        self.acknowledged = 0
        self.consumed = 0

    def of(self, partition: TopicPartition) -> PartitionHistory:
        found = self.partitions.get(partition)
        if found is None:
            found = self.partitions[partition] = PartitionHistory()
        return found

    def begin_anew(self, topic: str, number: int | None = None) -> None:
        """Nothing is promised any more of what was, in a topic or in one partition of it."""
        for partition in [each for each in self.partitions if each.topic == topic]:
            if number in {None, partition.partition}:
                del self.partitions[partition]
        if number is None:
            self.deleted.discard(topic)

    def live(self) -> Mapping[TopicPartition, PartitionHistory]:
        """Partitions of topics that nobody asked to delete."""
        return {
            partition: history
            for partition, history in self.partitions.items()
            if partition.topic not in self.deleted
        }

    def acked(
        self, partition: TopicPartition, base_offset: int, values: list[bytes], *, acks_all: bool
    ) -> None:
        """A producer was told that its records are there, from `base_offset` on."""
        if partition.topic in self.deleted:
            return
        history = self.of(partition)
        self.acknowledged += len(values)
        for offset, value in enumerate(values, base_offset):
            before = history.acknowledged.get(offset)
            if before is not None and acks_all and before.acks_all:
                self._fail(
                    f"INV-2 {partition} gave offset {offset} to {before.value!r} and to {value!r}"
                )
            seen = history.seen.get(offset)
            if acks_all and seen is not None and seen != value:
                self._fail(f"INV-4 {partition}@{offset} was read as {seen!r}, now it is {value!r}")
            if before is None or acks_all:
                history.acknowledged[offset] = Acknowledged(value, acks_all)
        if acks_all:
            history.safe_end = max(history.safe_end, base_offset + len(values))

    def read(self, partition: TopicPartition, offset: int, value: bytes) -> None:
        """A consumer has read a record."""
        if partition.topic in self.deleted:
            return
        history = self.of(partition)
        self.consumed += 1
        seen = history.seen.get(offset)
        if seen is not None and seen != value:
            self._fail(f"INV-4 {partition}@{offset} was read as {seen!r} and as {value!r}")
        acknowledged = history.acknowledged.get(offset)
        if acknowledged is not None and acknowledged.acks_all and acknowledged.value != value:
            self._fail(
                f"INV-1 {partition}@{offset} holds {value!r}, but {acknowledged.value!r} was "
                "acknowledged there"
            )
        history.seen[offset] = value
        history.safe_end = max(history.safe_end, offset + 1)

    def contradict(self, text: str) -> None:
        """A client was told what cannot be."""
        self._fail(text)

    def promised(self, partition: TopicPartition) -> dict[int, bytes]:
        """Offset -> the record that must be there, for ever where there is no retention."""
        history = self.of(partition)
        promised = {
            offset: record.value
            for offset, record in history.acknowledged.items()
            if record.acks_all
        }
        promised |= history.seen
        return {offset: value for offset, value in promised.items() if offset >= history.start}
