"""One segment: the batches from a base offset on, and the two indexes beside them.

<base offset, 20 digits>.log         { batch }            ; wire/batch.py, back to back
<base offset, 20 digits>.index       offset_index.py
<base offset, 20 digits>.timeindex   time_index.py
any of them + ".deleted"             ; waits to be removed
"""

import errno
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kafkalite.config.views import LogOptions
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.storage import index_file, offset_index, time_index
from kafkalite.storage.files import OpenFile, write_all
from kafkalite.storage.leader_epochs import EpochStart
from kafkalite.storage.offset_index import Entry, OffsetIndex
from kafkalite.storage.open_files import OpenFiles
from kafkalite.storage.retention import SegmentAge
from kafkalite.storage.scan import (
    Batch,
    BrokenBatchError,
    Damage,
    DamagedStretch,
    DamageTally,
    Scanner,
    walk,
)
from kafkalite.storage.time_index import TimeIndex
from kafkalite.wire.batch import HEADER_SIZE, BatchHeader, Buffer, read_header

LOG_SUFFIX: Final = ".log"
INDEX_SUFFIX: Final = ".index"
TIME_INDEX_SUFFIX: Final = ".timeindex"
DELETED_SUFFIX: Final = ".deleted"
SUFFIXES: Final = (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX)

_MAX_OFFSET_DELTA: Final = 2**31 - 1

_OPEN_FLAGS: Final = os.O_RDWR | os.O_APPEND
_KEPT_ENTRIES: Final = 1024
"""An index up to this long stays in memory when its segment's file is closed."""

_COUNTED: Final = (
    "_indexed_size", "_indexes", "_saved_entries", "end_offset", "first_timestamp",
    "max_timestamp", "max_timestamp_offset", "size",
)  # fmt: skip
"""What is counted from the batches."""

_log = logging.getLogger(__name__)


def segment_path(directory: Path, base_offset: int, suffix: str) -> Path:
    return directory / f"{base_offset:020d}{suffix}"


class Segment:
    """Appends to and finds batches in one file.

    Owned by a log, with its thread rule. The offset of the next segment, or of the next append, is
    `end_offset`. Indexes are loaded when first needed, and made again from the batches when their
    files are not sound.
    """

    __slots__ = (
        "_directory",
        "_file",
        "_indexed_size",
        "_indexes",
        "_interval",
        "_open_files",
        "_saved_entries",
        "base_offset",
        "end_offset",
        "first_timestamp",
        "max_timestamp",
        "max_timestamp_offset",
        "recently_used",
        "size",
    )  # fmt: skip

    def __init__(
        self,
        directory: Path,
        base_offset: int,
        open_files: OpenFiles,
        index_interval_bytes: int,
        *,
        size: int = 0,
        end_offset: int | None = None,
    ) -> None:
        self.base_offset = base_offset
        self.end_offset = base_offset if end_offset is None else end_offset
        self.size = size
        """Bytes of whole batches; what a failed write left behind them does not count."""
        self.first_timestamp = NO_TIMESTAMP
        """Largest timestamp of the first batch: from it the age of the segment counts."""
        self.max_timestamp = NO_TIMESTAMP
        self.max_timestamp_offset = base_offset
        """Base offset of the first batch that holds `max_timestamp`."""
        self.recently_used = False
        self._directory = directory
        self._open_files = open_files
        self._interval = index_interval_bytes
        self._file: OpenFile | None = None
        self._indexes: tuple[OffsetIndex, TimeIndex] | None = None
        self._indexed_size = 0
        """Position of the last indexed batch."""
        self._saved_entries = 0
        """Entries that the index files hold."""

    # -- files ----------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        return segment_path(self._directory, self.base_offset, LOG_SUFFIX)

    @property
    def file(self) -> OpenFile:
        """The open segment file; whoever keeps it may use it after the segment let go of it."""
        file = self._file
        if file is None:
            self._open_files.admit(self)
            file = self._file = OpenFile(self._open_files.disk, self.path, _OPEN_FLAGS)
        self.recently_used = True
        return file

    @property
    def open_file(self) -> OpenFile | None:
        """The file if it happens to be open."""
        return self._file

    def create(self) -> None:
        """Make the file; what an earlier one of this name held is gone. Raises OSError."""
        OpenFile(self._open_files.disk, self.path, _OPEN_FLAGS | os.O_CREAT | os.O_TRUNC)
        self._indexes = OffsetIndex(), TimeIndex()

    def release(self) -> None:
        """Let go of the open file, and of indexes that are large; both come back when needed."""
        self._file = None
        if self._indexes and len(self._indexes[0]) > _KEPT_ENTRIES and self.save_indexes():
            self._indexes = None

    def close(self) -> None:
        """Let go of the file for good."""
        self._file = None
        self._open_files.forget(self)

    def rename_deleted(self) -> list[Path]:
        """Mark the files as deleted; gives their new names. Raises OSError."""
        self.close()
        renamed = []
        for suffix in SUFFIXES:
            path = segment_path(self._directory, self.base_offset, suffix)
            target = path.with_name(path.name + DELETED_SUFFIX)
            try:
                self._open_files.disk.rename(path, target)
            except FileNotFoundError:
                continue
            renamed.append(target)
        return renamed

    # -- writing --------------------------------------------------------------------------------

    def write(self, buffers: Sequence[Buffer], size: int) -> None:
        """Write `size` bytes of whole batches at the end; `note` each of them afterwards.

        Raises:
            OSError: nothing was added; `cut_back` removes what may stand behind the end.
        """
        descriptor = self.file.descriptor
        disk = self._open_files.disk
        written = disk.writev(descriptor, buffers)
        if written != size:
            # The rest, for the sake of the error that cut it short.
            write_all(disk, descriptor, memoryview(b"".join(buffers))[written:])

    def write_many(self, buffers: Sequence[Buffer], at_once: int) -> None:
        """As `write`, of more buffers than one call takes. Raises OSError."""
        descriptor = self.file.descriptor
        for start in range(0, len(buffers), at_once):
            write_all(self._open_files.disk, descriptor, b"".join(buffers[start : start + at_once]))

    def cut_back(self) -> None:
        """Cut the file to its whole batches. Raises OSError."""
        self._open_files.disk.truncate(self.file.descriptor, self.size)

    def note(self, base_offset: int, next_offset: int, size: int, max_timestamp: int) -> None:
        """Count a batch that stands at the end of the segment: sizes, timestamps, indexes."""
        position = self.size
        if position - self._indexed_size >= self._interval:
            self.index_at(base_offset)
        if max_timestamp > self.max_timestamp:
            self.max_timestamp = max_timestamp
            self.max_timestamp_offset = base_offset
        if not position:
            self.first_timestamp = max_timestamp
        self.size = position + size
        self.end_offset = next_offset

    def index_at(self, base_offset: int) -> None:
        """Index the batch about to be counted, and the largest timestamp before it."""
        offsets, times = self.indexes
        offsets.append(base_offset - self.base_offset, self.size)
        if self.max_timestamp != NO_TIMESTAMP:
            times.append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
        self._indexed_size = self.size

    def is_full(self, size: int, next_offset: int, max_timestamp: int, options: LogOptions) -> bool:
        """Whether batches of `size` bytes, up to such an offset and time, belong in a new one."""
        if self.size + size > options.segment_bytes:
            return True
        if not self.size:
            return False
        return (
            max_timestamp - self.first_timestamp > options.segment_ms
            or next_offset - self.base_offset > _MAX_OFFSET_DELTA
            or self._indexes_are_full(options.segment_index_bytes)
        )

    def _indexes_are_full(self, limit_bytes: int) -> bool:
        if self._indexes is None:
            return False
        offsets, times = self._indexes
        return (
            len(offsets) >= limit_bytes // offset_index.ENTRY_SIZE
            or len(times) >= limit_bytes // time_index.ENTRY_SIZE
        )

    # -- indexes --------------------------------------------------------------------------------

    @property
    def indexes(self) -> tuple[OffsetIndex, TimeIndex]:
        """The two indexes; from their files, or else from the batches. Raises OSError."""
        if self._indexes is None and not self.load_indexes(self.file):
            self.rebuild()
        assert self._indexes is not None
        return self._indexes

    def load_indexes(self, file: OpenFile) -> bool:
        """Take the indexes from their files; False, and nothing taken, unless both are sound.

        Sound is: whole, ascending, and with a batch of this segment where the last entry says.
        """
        files = []
        for suffix, entry_size in (
            (INDEX_SUFFIX, offset_index.ENTRY_SIZE),
            (TIME_INDEX_SUFFIX, time_index.ENTRY_SIZE),
        ):
            path = segment_path(self._directory, self.base_offset, suffix)
            entries = index_file.read_index(self._open_files.disk, path, entry_size)
            if entries is None:
                return False
            files.append(entries)
        offsets, times = OffsetIndex.decode(files[0], self.size), TimeIndex.decode(files[1])
        if offsets is None or times is None or not self._leads_to_batch(offsets.last, file):
            return False
        self._indexes = offsets, times
        self._saved_entries = len(offsets) + len(times)
        if times.last is not None and self.max_timestamp == NO_TIMESTAMP:
            self.max_timestamp, relative_offset = times.last
            self.max_timestamp_offset = self.base_offset + relative_offset
        return True

    def _leads_to_batch(self, entry: Entry, file: OpenFile) -> bool:
        if entry.position == self.size:
            return True
        head = self._open_files.disk.pread(file.descriptor, HEADER_SIZE, entry.position)
        if len(head) < HEADER_SIZE:
            return False
        return read_header(head).base_offset == self.base_offset + entry.relative_offset

    def save_indexes(self) -> bool:
        """Write the indexes to their files; False when the disk refused, which harms nobody.

        Another thread than the owner's may do so while the segment grows.
        """
        if self._indexes is None:
            return True
        offsets, times = self._indexes
        entries = len(offsets) + len(times)
        if entries == self._saved_entries:
            return True
        disk = self._open_files.disk
        try:
            for suffix, index, size in (
                (INDEX_SUFFIX, offsets.encode(), offset_index.ENTRY_SIZE),
                (TIME_INDEX_SUFFIX, times.encode(), time_index.ENTRY_SIZE),
            ):
                path = segment_path(self._directory, self.base_offset, suffix)
                index_file.write_index(disk, path, index, size)
        except OSError as error:
            _log.warning("The indexes of %s cannot be written: %s", self.path, error)
            return False
        self._saved_entries = entries
        return True

    @property
    def unsaved_entries(self) -> int:
        """Index entries that only memory holds."""
        if self._indexes is None:
            return 0
        return len(self._indexes[0]) + len(self._indexes[1]) - self._saved_entries

    def seal(self) -> None:
        """No more batches will come: complete the time index and write both."""
        _, times = self.indexes
        if self.max_timestamp != NO_TIMESTAMP:
            times.append(self.max_timestamp, self.max_timestamp_offset - self.base_offset)
        self.save_indexes()

    def rebuild(self) -> None:
        """Make the indexes of a closed segment anew from its batches. Raises OSError."""
        _log.warning("The indexes of %s are not sound and are made anew", self.path)
        size, end_offset = self.size, self.end_offset
        before = {name: getattr(self, name) for name in _COUNTED}
        try:
            for _ in self.rescan(self.file, size, self.base_offset, offset_limit=end_offset):
                pass
        except OSError:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        self.size, self.end_offset = size, end_offset
        self.seal()

    def inspect(self, offset: int, epochs: Sequence[EpochStart]) -> list[DamagedStretch]:
        """Check the batches around `offset`, and from there both ways until sound ones follow.

        That is what lies between two entries of the index, so it takes no time that others would
        feel, unless much is damaged. Raises OSError.
        """
        offsets, _ = self.indexes
        entry = offsets.at_or_below(offset - self.base_offset)
        found = self._inspect_from(entry, epochs)
        damaged = found
        while found and entry.position and found[0].offsets.start == self._offset_of(entry):
            entry = offsets.at_or_below(entry.relative_offset - 1)
            found = self._inspect_from(entry, epochs)
            damaged = found + damaged
        following = offsets.at_or_below(offset - self.base_offset)
        while damaged and following.position < self.size:
            after = offsets.after(following.position)
            if after is None or damaged[-1].offsets.end != self._offset_of(after):
                break
            following = after
            damaged = damaged + self._inspect_from(following, epochs)
        return damaged

    def _inspect_from(self, entry: Entry, epochs: Sequence[EpochStart]) -> list[DamagedStretch]:
        """What is damaged from an entry of the index up to the next one."""
        offsets, _ = self.indexes
        begin, end, limit = self._offset_of(entry), self.size, self.end_offset
        following = offsets.after(entry.position)
        if following is not None:
            end, limit = following.position, self._offset_of(following)
        tally = DamageTally(begin, limit)
        disk, descriptor = self._open_files.disk, self.file.descriptor
        scanner = Scanner(disk, descriptor, end, offset_limit=limit, epochs=epochs)
        for found in scanner.scan(entry.position, begin):
            tally.take(found)
        return tally.finish(end)

    def _offset_of(self, entry: Entry) -> int:
        return self.base_offset + entry.relative_offset

    def pass_over(self, damage: DamagedStretch) -> None:
        """See that no look-up has to cross a damaged stretch."""
        offsets, times = self.indexes
        relative_offset = damage.offsets.end - self.base_offset
        self._indexes = offsets.with_entry(relative_offset, damage.end_position), times
        self._indexed_size = max(self._indexed_size, damage.end_position)

    def rescan(
        self,
        file: OpenFile,
        file_size: int,
        offset: int,
        *,
        offset_limit: int | None = None,
        epoch_after: int | None = None,
    ) -> Iterator[Batch | Damage]:
        """Count the batches anew from the last indexed one at or below `offset`, checking each.

        What is damaged is given before it is skipped: `size` and `end_offset` are then where it
        begins. Whoever stops there leaves a segment that ends there.

        Args:
            file: the segment's; another thread than the owner's brings its own.
            file_size: bytes to look at.
            offset: where to begin, or the segment's base offset for all of it.
            offset_limit: base offset of the next segment.
            epoch_after: with which the next segment begins.
        """
        disk = self._open_files.disk
        position, start = self._restart(offset, file)
        if position:
            head = disk.pread(file.descriptor, HEADER_SIZE, 0)
            if len(head) == HEADER_SIZE:
                self.first_timestamp = read_header(head).max_timestamp
        scanner = Scanner(
            disk, file.descriptor, file_size, offset_limit=offset_limit, epoch_after=epoch_after
        )
        for found in scanner.scan(position, start):
            if isinstance(found, Batch):
                header = found.header
                self.note(header.base_offset, header.next_offset, header.size, header.max_timestamp)
                yield found
                continue
            yield found
            self.size = found.end_position
            resumes = found.next_offset if found.next_offset is not None else offset_limit
            if resumes is not None:
                # So that no look-up has to cross the damage.
                self.index_at(resumes)
                self.end_offset = resumes

    def _restart(self, offset: int, file: OpenFile) -> tuple[int, int]:
        """Forget what is counted from the last indexed batch at or below `offset` on.

        Gives the position and the offset of that batch.
        """
        if offset <= self.base_offset or (self._indexes is None and not self.load_indexes(file)):
            self._indexes = OffsetIndex(), TimeIndex()
        assert self._indexes is not None
        offsets, times = self._indexes
        entry = offsets.at_or_below(offset - self.base_offset)
        offsets.truncate(entry.relative_offset + 1)
        times.truncate(entry.relative_offset)
        self._saved_entries = min(self._saved_entries, len(offsets) + len(times))
        self.size = self._indexed_size = entry.position
        self.end_offset = self.base_offset + entry.relative_offset
        last = times.last
        self.max_timestamp = last.timestamp if last else NO_TIMESTAMP
        self.max_timestamp_offset = self.base_offset + (last.relative_offset if last else 0)
        self.first_timestamp = NO_TIMESTAMP
        return entry.position, self.end_offset

    # -- finding --------------------------------------------------------------------------------

    def find(self, offset: int) -> Batch:
        """The batch that holds `offset`, which is below the end.

        Raises:
            BrokenBatchError: the way to it is not sound batches.
        """
        offsets, _ = self.indexes
        entry = offsets.at_or_below(offset - self.base_offset)
        for batch in self.batches_from(entry.position, self.base_offset + entry.relative_offset):
            if batch.header.next_offset > offset:
                return batch
        raise BrokenBatchError(self.size)

    def batches_from(self, position: int, offset: int) -> Iterator[Batch]:
        """Batches from `position`, where `offset` begins, by their headers; as `scan.walk`."""
        return walk(self._open_files.disk, self.file.descriptor, position, self.size, offset)

    def headers_from(self, file: OpenFile, offset: int) -> Iterator[BatchHeader]:
        """The headers of the batches that begin at `offset` or above; damage is passed over.

        Args:
            file: the segment's; another thread than the owner's brings its own.
            offset: where to begin.

        Raises:
            OSError: the disk failed.
        """
        if self._indexes is None and not self.load_indexes(file):
            offsets = OffsetIndex()
        else:
            assert self._indexes is not None
            offsets = self._indexes[0]
        entry: Entry | None = offsets.at_or_below(max(offset - self.base_offset, 0))
        while entry is not None:
            begin = self._offset_of(entry)
            try:
                for _, header in walk(
                    self._open_files.disk, file.descriptor, entry.position, self.size, begin
                ):
                    if header.base_offset >= offset:
                        yield header
            except BrokenBatchError as error:
                entry = offsets.after(error.position)
            else:
                return

    def boundary(self, start: int, offset: int, max_bytes: int, limit: int) -> tuple[int, int]:
        """Where a read from `start`, where `offset` begins, may end: a position and its offset.

        The last batch boundary that the index knows within `max_bytes` and not above the offset
        `limit`; where it knows none, as many batches as fit, at least one.

        Raises:
            BrokenBatchError: what follows `start` is not sound batches.
        """
        offsets, _ = self.indexes
        entry = offsets.last_within(limit - self.base_offset, start + max_bytes)
        if entry.position > start:
            return entry.position, self.base_offset + entry.relative_offset
        end, next_offset = start, offset
        for batch in self.batches_from(start, offset):
            header = batch.header
            after = batch.position + header.size
            if header.next_offset > limit or (after > start + max_bytes and end > start):
                break
            end, next_offset = after, header.next_offset
            if next_offset >= limit or end >= start + max_bytes:
                break  # what follows may be damaged, and is of no interest
        return end, next_offset

    def boundary_at(self, offset: int) -> tuple[int, int]:
        """Position and offset of the last batch boundary at or below `offset`.

        Raises:
            OSError: the disk failed, or the way to it is not sound batches.
        """
        offsets, _ = self.indexes
        entry = offsets.at_or_below(offset - self.base_offset)
        position, boundary = entry.position, self.base_offset + entry.relative_offset
        try:
            for batch in self.batches_from(position, boundary):
                if batch.header.next_offset > offset:
                    break
                position, boundary = batch.position + batch.header.size, batch.header.next_offset
        except BrokenBatchError as error:
            if boundary != offset:
                raise OSError(errno.EIO, f"no batch boundary at offset {offset}") from error
        return position, boundary

    def cut(self, position: int, offset: int) -> None:
        """Drop what is behind a batch boundary, durably but for the directory. Raises OSError."""
        disk, file = self._open_files.disk, self.file
        _ = self.indexes
        # Their files would mislead about the batches to come; the caller syncs the directory.
        self._unlink(INDEX_SUFFIX, TIME_INDEX_SUFFIX)
        self._saved_entries = 0
        disk.truncate(file.descriptor, position)
        disk.sync(file.descriptor)
        for _ in self.rescan(file, position, offset, offset_limit=offset):
            pass
        self.size, self.end_offset = position, offset

    def remove(self) -> None:
        """Remove the files. Raises OSError."""
        self.close()
        self._unlink(*SUFFIXES)

    def _unlink(self, *suffixes: str) -> None:
        for suffix in suffixes:
            try:
                self._open_files.disk.unlink(
                    segment_path(self._directory, self.base_offset, suffix)
                )
            except FileNotFoundError:
                continue

    def batches_reaching(self, timestamp: int) -> Iterator[Batch]:
        """The batches, from early to late, that hold a timestamp at or above `timestamp`.

        What is damaged is passed over. Raises OSError.
        """
        offsets, times = self.indexes
        entry: Entry | None = offsets.at_or_below(times.below(timestamp))
        while entry is not None:
            offset = self.base_offset + entry.relative_offset
            try:
                for batch in self.batches_from(entry.position, offset):
                    if batch.header.max_timestamp >= timestamp:
                        yield batch
            except BrokenBatchError as error:
                entry = offsets.after(error.position)
            else:
                return

    def read(self, batch: Batch) -> bytes:
        """The bytes of one batch. Raises OSError."""
        size = batch.header.size
        return self._open_files.disk.pread(self.file.descriptor, size, batch.position)

    def age(self) -> SegmentAge:
        """What retention looks at. Raises OSError."""
        self.load_timestamps()
        return SegmentAge(self.end_offset, self.size, self.max_timestamp)

    def load_timestamps(self) -> None:
        """See that `max_timestamp` is known of a segment that was closed before this start."""
        if self.max_timestamp == NO_TIMESTAMP and self.size:
            _ = self.indexes
