"""Opening a log: what of its files can be trusted, what was torn, and what is damaged.

docs/design/storage-format.md argues the rules; in short, with `bound` the offset below which data
is known to have been durable (recovery point, high watermark) and X the first offset that cannot be
read:
  - X below `bound`: damage. It is marked, what follows is kept, and its offsets are not used again.
  - nothing readable follows: the torn end of the last writes. It is cut.
  - readable batches follow and bytes between are missing: a crash of the machine lost writes that
    were never durable, so nothing after them was either. It is cut there.
  - readable batches follow and nothing is missing: altered bytes, as in the first case.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from kafkalite.model.offsets import OffsetRange
from kafkalite.storage.checkpoint import CheckpointError
from kafkalite.storage.damage import DamagedRanges
from kafkalite.storage.files import OpenFile
from kafkalite.storage.leader_epochs import LeaderEpochs
from kafkalite.storage.open_files import OpenFiles
from kafkalite.storage.scan import Batch, Damage
from kafkalite.storage.segment import DELETED_SUFFIX, LOG_SUFFIX, SUFFIXES, Segment, segment_path
from kafkalite.wire.batch import HEADER_SIZE, MAGIC, read_header

_log = logging.getLogger(__name__)


class KnownOffsets(NamedTuple):
    """What the checkpoints say of a log, 0 where they say nothing."""

    start: int = 0
    recovery_point: int = 0
    """Below it everything was durable when the checkpoint was written."""
    high_watermark: int = 0

    @property
    def bound(self) -> int:
        """What cannot be read below here was once durable."""
        return max(self.recovery_point, self.high_watermark)


@dataclass(slots=True)
class Recovered:
    """A log as it was found and made sound; there is at least one segment."""

    segments: list[Segment] = field(default_factory=list)
    start_offset: int = 0
    end_offset: int = 0


class Recovery:
    """Reads the files of one log directory once. May run in any thread, one log in each."""

    def __init__(
        self,
        directory: Path,
        open_files: OpenFiles,
        index_interval_bytes: int,
        epochs: LeaderEpochs,
        damage: DamagedRanges,
        known: KnownOffsets,
        *,
        is_clean: bool,
    ) -> None:
        self._directory = directory
        self._open_files = open_files
        self._disk = open_files.disk
        self._interval = index_interval_bytes
        self._epochs = epochs
        self._damage = damage
        self._known = known
        self._is_clean = is_clean
        self._found = Recovered()
        self._directory_changed = False

    def run(self) -> Recovered:
        """Make the log sound; on return all that it holds is durable. Raises OSError."""
        sizes = self._list_segments()
        bases = sorted(sizes)
        scan_from = self._load_epochs(bases)
        self._damage.load()
        found = self._found
        expected = bases[0] if bases else self._known.start
        for index, base_offset in enumerate(bases):
            next_base = bases[index + 1] if index + 1 < len(bases) else None
            if base_offset > expected and not self._bridge(expected, base_offset):
                self._remove(bases[index:])
                break
            segment = self._segment(base_offset, sizes[base_offset])
            found.segments.append(segment)
            if next_base is not None and next_base <= scan_from:
                segment.end_offset = next_base
            elif not self._verify(segment, sizes[base_offset], scan_from, next_base):
                self._remove(bases[index + 1 :])
                expected = segment.end_offset
                break
            expected = segment.end_offset
        found.start_offset = max(self._known.start, bases[0] if bases else 0)
        self._finish(expected)
        return found

    # -- what there is --------------------------------------------------------------------------

    def _list_segments(self) -> dict[int, int]:
        """Size of each segment file by base offset; leftovers of deletions are removed."""
        sizes = {}
        for entry in self._disk.list_directory(self._directory):
            stem, dot, extension = entry.name.rpartition(".")
            suffix = dot + extension
            if suffix in {DELETED_SUFFIX, ".tmp"}:
                self._disk.unlink(self._directory / entry.name)
            elif suffix == LOG_SUFFIX and len(stem) == 20 and stem.isascii() and stem.isdigit():
                sizes[int(stem)] = entry.size
        # A start offset is durable before the segments below it are deleted.
        bases = sorted(sizes)
        gone = [base for base, end in pairwise(bases) if end <= self._known.start]
        self._remove(gone)
        for base_offset in gone:
            del sizes[base_offset]
        return sizes

    def _load_epochs(self, bases: list[int]) -> int:
        """Read the epochs; gives the offset to verify batches from."""
        try:
            self._epochs.load()
        except CheckpointError as error:
            _log.warning("%s; the epochs are read from the batches", error)
        if not self._epochs.entries and bases:
            return bases[0]
        # Those above are found in the batches: what they began with may have been cut since, and an
        # older epoch gone on there.
        self._epochs.truncate_to(self._known.recovery_point)
        return self._known.recovery_point

    def _segment(self, base_offset: int, size: int) -> Segment:
        return Segment(self._directory, base_offset, self._open_files, self._interval, size=size)

    # -- what of it holds -----------------------------------------------------------------------

    def _verify(
        self, segment: Segment, file_size: int, scan_from: int, next_base: int | None
    ) -> bool:
        """Read a segment's batches; False when the log ends in it and it was cut there."""
        file = OpenFile(self._disk, segment.path, os.O_RDWR)
        if not self._is_clean:
            # What is checked shall be what the disk holds, not what the cache remembers: after a
            # failed write-back the two differ.
            self._disk.sync(file.descriptor)
            self._disk.drop_cached(file.descriptor)
        following = None if next_base is None else self._first_epoch(next_base)
        for found in segment.rescan(
            file, file_size, scan_from, offset_limit=next_base, epoch_after=following
        ):
            if isinstance(found, Batch):
                self._epochs.assign(found.header.leader_epoch, found.header.base_offset)
            elif self._is_torn(segment.end_offset, found, has_next_segment=next_base is not None):
                _log.warning(
                    "%s: the last %d bytes were never durable and are cut, at offset %d",
                    segment.path, file_size - segment.size, segment.end_offset,
                )  # fmt: skip
                self._cut(segment, file)
                return False
            else:
                resumes = found.next_offset if found.next_offset is not None else next_base
                self._mark(segment.end_offset, resumes or self._known.bound)
        if next_base is not None:
            # Where the segment ends early, `_bridge` looks at the gap.
            segment.seal()
        elif segment.end_offset > self._known.recovery_point:
            self._disk.sync(file.descriptor)
        return True

    def _first_epoch(self, base_offset: int) -> int | None:
        """The epoch with which a segment begins, None where its first batch cannot be told."""
        path = segment_path(self._directory, base_offset, LOG_SUFFIX)
        file = OpenFile(self._disk, path, os.O_RDONLY)
        head = self._disk.pread(file.descriptor, HEADER_SIZE, 0)
        if len(head) < HEADER_SIZE:
            return None
        header = read_header(head)
        is_first = header.base_offset == base_offset and header.magic == MAGIC
        return header.leader_epoch if is_first else None

    def _is_torn(self, offset: int, damage: Damage, *, has_next_segment: bool) -> bool:
        if offset < self._known.bound:
            return False
        return damage.is_lost or (damage.next_offset is None and not has_next_segment)

    def _cut(self, segment: Segment, file: OpenFile) -> None:
        self._disk.truncate(file.descriptor, segment.size)
        self._disk.sync(file.descriptor)

    def _bridge(self, offset: int, next_base: int) -> bool:
        """Account for the offsets missing before a segment; False when they were never durable."""
        if self._damage.covers(offset, next_base):
            return True
        if offset >= self._known.bound:
            return False
        self._mark(offset, next_base)
        self._found.segments[-1].end_offset = next_base
        return True

    def _mark(self, start: int, end: int) -> None:
        _log.error("%s: offsets %d to %d are damaged", self._directory, start, end - 1)
        self._damage.add([OffsetRange(start, end)])

    def _remove(self, bases: Iterable[int]) -> None:
        for base_offset in bases:
            _log.warning("%s: segment %d goes", self._directory, base_offset)
            for suffix in SUFFIXES:
                try:
                    self._disk.unlink(segment_path(self._directory, base_offset, suffix))
                except FileNotFoundError:
                    continue
            self._directory_changed = True

    # -- its end --------------------------------------------------------------------------------

    def _finish(self, end_offset: int) -> None:
        found = self._found
        floor = max(found.start_offset, self._known.bound)
        if end_offset < floor:
            # These offsets have been given to records that are gone. No other record gets them.
            if end_offset < self._known.bound:
                self._mark(max(end_offset, found.start_offset), self._known.bound)
            end_offset = floor
        if not found.segments or found.segments[-1].end_offset < end_offset:
            if found.segments:
                closed = found.segments[-1]
                closed.end_offset = end_offset
                closed.seal()
            active = self._segment(end_offset, 0)
            active.create()
            found.segments.append(active)
            self._directory_changed = True
        found.end_offset = end_offset
        self._damage.clip(found.start_offset, end_offset)
        self._epochs.truncate_to(end_offset)
        self._epochs.drop_before(found.start_offset)
        if self._directory_changed or not self._is_clean:
            self._disk.sync_directory(self._directory)
        self._epochs.save(end_offset)
        self._damage.save()
