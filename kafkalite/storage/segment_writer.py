"""Writing at the end of a log: whole batches or nothing, into the active segment or a new one."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import KafkaStorageError, RecordListTooLargeError
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.open_files import OpenFiles
from kafkalite.storage.segment import Segment
from kafkalite.storage.segments import Segments
from kafkalite.wire.batch import Buffer

_BATCHES_A_WRITE: Final = 512
"""Two buffers each: within every system's bound on buffers of one writev."""


class FailureOf(Protocol):
    """What to raise for an error of the disk, which fails the log unless the trouble passes."""

    def __call__(self, error: OSError, *, is_final: bool = False) -> KafkaStorageError: ...


class SegmentWriter:
    """Makes and writes the segments of one log, whose owner and thread it shares.

    It knows of bytes only: the log counts the batches that were written.
    """

    __slots__ = ("_directory", "_failed", "_open_files", "_segments", "index_interval_bytes")

    def __init__(
        self,
        directory: Path,
        open_files: OpenFiles,
        segments: Segments,
        index_interval_bytes: int,
        failed: FailureOf,
    ) -> None:
        self.index_interval_bytes = index_interval_bytes
        """Of the segments to be made."""
        self._directory = directory
        self._open_files = open_files
        self._segments = segments
        self._failed = failed

    def ready(self) -> Segment:
        """The active segment, of which nothing has to be read any more once bytes were written.

        A batch that stands in the file and could not be counted would be in the way of the next.

        Raises:
            KafkaStorageError: the disk failed.
        """
        segment = self._segments.active
        try:
            _ = segment.indexes
        except OSError as error:
            raise self._failed(error) from error
        return segment

    def write(self, segment: Segment, buffers: Sequence[Buffer], size: int) -> None:
        """Write `size` bytes of whole batches at the end of a segment.

        Raises:
            KafkaStorageError: the disk is full or failed; nothing was written.
        """
        try:
            if len(buffers) <= 2 * _BATCHES_A_WRITE:
                segment.write(buffers, size)
            else:
                segment.write_many(buffers, 2 * _BATCHES_A_WRITE)
        except OSError as error:
            try:
                segment.cut_back()
            except OSError as cut_error:
                # Torn bytes stand where the next batch belongs.
                raise self._failed(cut_error, is_final=True) from error
            raise self._failed(error) from error

    def write_first(self, base_offset: int, batch: Buffer) -> Segment:
        """A segment that begins with `batch` and is not among the log's yet.

        Raises:
            KafkaStorageError: the disk is full or failed; there is no such file.
        """
        segment = self.new_segment(base_offset)
        try:
            segment.create()
            segment.write((batch,), len(batch))
        except OSError as error:
            with contextlib.suppress(OSError):
                segment.remove()
            raise self._failed(error) from error
        return segment

    def roll(self, end_offset: int, before: Callable[[int, int], None]) -> bool:
        """Go on in a new segment at the log's end; False: the present one is still empty.

        Args:
            end_offset: of the log.
            before: called first with the base offsets of the new segment and the present one, to
                write what has to be there with it. May raise OSError.

        Raises:
            KafkaStorageError: the disk is full or failed; all is as it was.
        """
        if not self._segments.active.size:
            return False
        closed = self.ready()
        segment = self.new_segment(end_offset)
        try:
            before(end_offset, closed.base_offset)
            segment.create()
        except OSError as error:
            raise self._failed(error) from error
        closed.seal()
        self._segments.add(segment)
        return True

    def new_segment(self, base_offset: int) -> Segment:
        """One that has no file yet."""
        return Segment(self._directory, base_offset, self._open_files, self.index_interval_bytes)


def check_size(size: int, options: LogOptions, topic_partition: TopicPartition) -> None:
    """Raise RecordListTooLargeError if so many bytes of batches do not fit any segment."""
    if size > options.segment_bytes:
        raise RecordListTooLargeError(
            f"{size} bytes of batches are more than a segment of {topic_partition} holds, "
            f"{options.segment_bytes} (segment.bytes)"
        )
