"""What one poll has found so far: rows of several partitions, within the bytes it may have."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.rest_records import EmbeddedFormat, OnError, PoisonRecordError, encode_rows

_FULL_BELOW: Final = 8
"""A page is full once less than this part of its bytes is left: asking again costs more."""


class ConsumerPage:
    """Filled by one poll; nothing of it counts as sent until the poll hands it out."""

    def __init__(
        self,
        wanted: EmbeddedFormat,
        max_bytes: int,
        on_error: OnError,
        max_records: int = sys.maxsize,
    ) -> None:
        """Begin empty; at least one record fits, however large."""
        self._format = wanted
        self._on_error = on_error
        self._least_left = max_bytes // _FULL_BELOW
        self._rows: dict[TopicPartition, list[bytes]] = {}
        self._counts: Counter[TopicPartition] = Counter()
        self.left = max_bytes
        self._records_left = max_records
        self.size = 0
        """Bytes of the keys, values and headers in it."""
        self.next_offsets: dict[TopicPartition, int] = {}
        """Of every partition that it brings forward: where it goes on."""
        self.is_closed = False
        """Whether it ends here: it is full, or a record stands next that cannot be sent."""
        self.poison: PoisonRecordError | None = None

    @property
    def is_empty(self) -> bool:
        return not self._rows

    def take(self, partition: TopicPartition, records: Sequence[Record], begin: int) -> int:
        """Take what fits of `records[begin:]`; gives the index of the first that is left."""
        budget = self.left if self._rows else max(self.left, 1)
        if len(records) - begin > self._records_left:
            offered = records[: begin + self._records_left]
        else:
            offered = records
        found = encode_rows(self._format, partition, offered, begin, budget, self._on_error)
        if found.rows:
            self._rows.setdefault(partition, []).extend(found.rows)
            self._counts[partition] += found.row_count
        self.left -= found.size
        self._records_left -= found.taken
        self.size += found.size
        end = begin + found.taken
        if found.taken:
            self.next_offsets[partition] = records[end - 1].offset + 1
        if found.poison is not None:
            self.is_closed = True
            self.poison = found.poison if self.is_empty else None
        elif end < len(records) or self.left <= self._least_left or not self._records_left:
            self.is_closed = not self.is_empty
        return end

    def rows_of(self, is_ours: Callable[[TopicPartition], bool]) -> list[bytes]:
        """The rows of the partitions that are still ours; the others are taken out.

        There may be several in one, with commas between them.
        """
        for partition in [each for each in self._rows if not is_ours(each)]:
            del self._rows[partition], self._counts[partition]
        return [row for rows in self._rows.values() for row in rows]

    @property
    def counts(self) -> dict[TopicPartition, int]:
        """How many rows there are of each partition that has any."""
        return dict(self._counts)

    @property
    def partitions(self) -> list[TopicPartition]:
        """Those with rows."""
        return list(self._rows)
