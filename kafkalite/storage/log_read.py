"""Reading a log: which bytes of which segment hold the batches that are asked for."""

import errno
from collections.abc import Sequence
from typing import Final

from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.storage.files import Disk, OpenFile
from kafkalite.storage.flush import Mark
from kafkalite.storage.segment import Segment
from kafkalite.storage.segments import Segments

_REMEMBERED: Final = 16


class LogRead:
    """Whole batches, found but not yet read; holds the segment's file until it is dropped.

    `read` may run in any thread, `try_read` on the log's own.
    """

    __slots__ = ("_disk", "_file", "_position", "next_offset", "size")

    buffers = ()
    """None of it is in memory."""

    def __init__(
        self, disk: Disk, file: OpenFile, position: int, size: int, next_offset: int
    ) -> None:
        self.size = size
        """Bytes."""
        self.next_offset = next_offset
        """The offset after the last one read."""
        self._disk = disk
        self._file = file
        self._position = position

    def try_read(self) -> bytes | None:
        """The bytes if they can be had without waiting for the disk, else None. Raises OSError."""
        return self._disk.pread_cached(self._file.descriptor, self.size, self._position)

    def read(self) -> bytes:
        """The bytes, however long it takes. Raises OSError."""
        data = self._disk.pread(self._file.descriptor, self.size, self._position)
        if len(data) < self.size:
            raise OSError(errno.EIO, "the segment file is shorter than its batches")
        return data


class LogReader:
    """Finds batches in the segments of one log, whose owner and thread it shares.

    It remembers where the latest reads ended, so that a reader in sequence needs no look-up.
    """

    __slots__ = ("_cursors", "_disk", "_segments", "_topic_partition")

    def __init__(self, disk: Disk, topic_partition: TopicPartition, segments: Segments) -> None:
        self._disk = disk
        self._topic_partition = topic_partition
        self._segments = segments
        self._cursors: dict[int, tuple[Segment, int]] = {}

    def forget(self) -> None:
        """Segments were cut or removed."""
        self._cursors.clear()

    def find(
        self,
        offset: int,
        max_bytes: int,
        end_offset: int,
        *,
        damaged: Sequence[OffsetRange],
        durable: Mark,
    ) -> LogRead:
        """As `Log.read`, of an offset that the log holds.

        Args:
            offset: what the first batch holds.
            max_bytes: a limit, but for the first batch.
            end_offset: above what may be read, at most the log's end.
            damaged: what cannot be read, ascending.
            durable: a place known beforehand; most reads end there.

        Raises:
            CorruptMessageError: the offset is in a damaged range.
            BrokenBatchError: there are no sound batches where they should be.
            OSError: the disk failed.
        """
        for damage in damaged:
            if offset in damage:
                raise CorruptMessageError(
                    f"Offsets {damage} of {self._topic_partition} are damaged on this broker; "
                    f"what follows can be read from {damage.end}",
                    damaged_start=damage.start,
                    damaged_end=damage.end,
                )
            if offset < damage.start:
                end_offset = min(end_offset, damage.start)
                break
        segment, start = self._cursors.pop(offset, (None, 0))
        first_offset = offset
        # Where a read ended with the active segment, the next one may have begun since.
        if segment is None or start >= segment.size:
            segment = self._segments.holding(offset)
            batch = segment.find(offset)
            start, first_offset = batch.position, batch.header.base_offset
        if end_offset >= segment.end_offset and segment.size - start <= max_bytes:
            end, next_offset = segment.size, segment.end_offset
        elif (
            durable.offset == end_offset
            and durable.segment is segment
            and durable.position - start <= max_bytes
        ):
            end, next_offset = durable.position, end_offset
        else:
            limit = min(end_offset, segment.end_offset)
            end, next_offset = segment.boundary(start, first_offset, max_bytes, limit)
        self._remember(next_offset, segment, end)
        return LogRead(self._disk, segment.file, start, end - start, next_offset)

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        if position < segment.size or segment is self._segments.active:
            if len(self._cursors) >= _REMEMBERED:
                del self._cursors[next(iter(self._cursors))]
            self._cursors[offset] = segment, position
