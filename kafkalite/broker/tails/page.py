"""What one look of a tail has found: records of several partitions, within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record

_FULL_BELOW: Final = 8
"""A page is full once less than this part of its bytes is left: asking again costs more."""


@dataclass(frozen=True, slots=True)
class TailRecords:
    """Records to send."""

    parts: Sequence[tuple[TopicPartition, Sequence[Record]]]
    mark: str
    """The id of all that was sent once these are."""
    encoded: dict[object, bytes] = field(default_factory=dict)
    """As they were sent to somebody, by the form: many may get the same."""


class TailPage:
    """A ReadPage whose records stay as they are. Filled by one look."""

    def __init__(self, max_bytes: int, max_records: int) -> None:
        """Begin empty; at least one record fits, however large."""
        self.parts: list[tuple[TopicPartition, Sequence[Record]]] = []
        """In the order in which they were read."""
        self.left = max_bytes
        self.size = 0
        self.next_offsets: dict[TopicPartition, int] = {}
        self.is_closed = False
        self._least_left = max_bytes // _FULL_BELOW
        self._records_left = max_records

    @property
    def is_empty(self) -> bool:
        return not self.parts

    def take(self, partition: TopicPartition, records: Sequence[Record], begin: int) -> int:
        """See ReadPage."""
        end, most = begin, min(len(records), begin + self._records_left)
        while end < most:
            record = records[end]
            size = len(record.value or b"") + len(record.key or b"")
            if size > self.left and (end > begin or self.parts):
                break
            self.left -= size
            self.size += size
            end += 1
        if end > begin:
            self.parts.append((partition, records[begin:end]))
            self._records_left -= end - begin
            self.next_offsets[partition] = records[end - 1].offset + 1
        if end < len(records) or self.left <= self._least_left or not self._records_left:
            self.is_closed = not self.is_empty
        return end
