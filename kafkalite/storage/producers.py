"""The idempotent producers of one log, kept through rolls, truncations, retention and restarts.

What is known follows from the batches of the log, and snapshots keep it when those are gone and
make it quick to know again. There is one at the base offset of each segment, written before the
segment begins; one at the end after a clean stop; and some within a long active segment.
"""

import contextlib
import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.storage import producer_snapshot
from kafkalite.storage.files import Disk, OpenFile, read_whole, replace_file
from kafkalite.storage.producer_snapshot import SNAPSHOT_SUFFIX, SnapshotError
from kafkalite.storage.producer_state import Producer, ProducerState
from kafkalite.storage.segment import Segment, segment_path

_BYTES_A_SNAPSHOT: Final = 16 << 20
"""So much further in the active segment there is another one: less is read after a kill."""
_SNAPSHOTS_WITHIN_SEGMENT: Final = 2
"""The newest; the one before it is for a log that is cut below that."""

_log = logging.getLogger(__name__)


class _DueSnapshot(NamedTuple):
    """What `save` is to write."""

    offset: int
    producers: dict[int, Producer]
    segment_base: int


class Producers:
    """Owned by a log, with its thread rule; only `save` may run on another thread."""

    __slots__ = (
        "_covered",
        "_directory",
        "_disk",
        "_due",
        "_mutex",
        "_offsets",
        "_state",
        "_unsynced",
    )

    def __init__(self, disk: Disk, directory: Path, state: ProducerState) -> None:
        self._state = state
        self._disk = disk
        self._directory = directory
        self._mutex = threading.Lock()
        """Guards the files and what is known of them; never held for longer than one write."""
        self._offsets: list[int] = []
        """Of the snapshots on disk, ascending."""
        self._due: _DueSnapshot | None = None
        self._covered = 0
        """Bytes of the active segment below the newest snapshot."""
        self._unsynced: list[Path] = []

    # -- knowing it again -----------------------------------------------------------------------

    def open(self, segments: Iterable[Segment], end_offset: int) -> None:
        """Read what is on disk, of a log whose batches are sound and which ends at `end_offset`.

        May run in any thread, as long as the log does.

        Raises:
            OSError: the disk failed.
        """
        self._offsets = self._list()
        has_later = bool(self._offsets) and self._offsets[-1] > end_offset
        self.restore(segments, end_offset)
        if has_later:
            # Before the log grows there again, or they would be taken for what they are not.
            self._disk.sync_directory(self._directory)

    def restore(self, segments: Iterable[Segment], end_offset: int) -> None:
        """Know what follows from the batches below `end_offset`, and from no others.

        Snapshots above it go; to make that durable the directory is to be synced.

        Raises:
            OSError: the disk failed.
        """
        with self._mutex:
            self._due = None
            self._drop(offset for offset in list(self._offsets) if offset > end_offset)
            start, producers = self._newest()
        self._state.replace(producers)
        self._covered = 0
        for segment in segments:
            if segment.size and start < segment.end_offset and segment.base_offset < end_offset:
                self._replay(segment, start, end_offset)

    def _replay(self, segment: Segment, start: int, end_offset: int) -> None:
        note = self._state.note
        file = OpenFile(self._disk, segment.path, os.O_RDONLY)
        for header in segment.headers_from(file, start):
            if header.base_offset >= end_offset:
                break
            if header.producer_id >= 0:
                note(header, header.base_offset)

    def _list(self) -> list[int]:
        offsets = []
        for entry in self._disk.list_directory(self._directory):
            stem, dot, extension = entry.name.rpartition(".")
            if dot + extension == SNAPSHOT_SUFFIX and stem.isascii() and stem.isdigit():
                offsets.append(int(stem))
        return sorted(offsets)

    def _newest(self) -> tuple[int, dict[int, Producer]]:
        """The newest sound snapshot; without one nothing is known before the first batch."""
        while self._offsets:
            path = self._path(self._offsets[-1])
            try:
                return self._offsets[-1], producer_snapshot.decode(read_whole(self._disk, path))
            except FileNotFoundError:
                self._offsets.pop()
            except SnapshotError as error:
                _log.warning("%s is not sound and goes: %s", path, error)
                self._drop(self._offsets[-1:])
        return 0, {}

    # -- snapshots ------------------------------------------------------------------------------

    def begin_segment(self, base_offset: int, previous_base: int) -> None:
        """Write the snapshot at the end of the log, where another segment is about to begin.

        Raises:
            OSError: the disk is full or failed.
        """
        self.snapshot(base_offset)
        with self._mutex:
            within = [each for each in self._offsets if previous_base < each < base_offset]
            self._drop(within[:-1])
        self._unsynced.append(self._path(base_offset))
        self._covered = 0

    def snapshot(self, end_offset: int, *, durable: bool = False) -> None:
        """Write what is known at the end of the log, unless that is written. Raises OSError."""
        with self._mutex:
            self._write(end_offset, self._state.copy())
        if durable:
            self._make_durable(self._path(end_offset))

    def mark(self, active: Segment, end_offset: int) -> None:
        """Have `save` write a snapshot at the end of the log if it has grown by much."""
        if active.size - self._covered >= _BYTES_A_SNAPSHOT:
            self._covered = active.size
            self._due = _DueSnapshot(end_offset, self._state.copy(), active.base_offset)

    def save(self) -> None:
        """Write the snapshot that is due, if one is. Raises OSError."""
        with self._mutex:
            due, self._due = self._due, None
            if due is None or (self._offsets and self._offsets[-1] >= due.offset):
                # Nothing is due any more; what is newer may stand between other segments.
                return
            self._write(due.offset, due.producers)
            within = [each for each in self._offsets if each > due.segment_base]
            self._drop(within[:-_SNAPSHOTS_WITHIN_SEGMENT])

    def close(self, end_offset: int) -> None:
        """Write what is known at the end of the log: so a start after a clean stop reads no batch.

        Where the disk refuses, that start is longer.
        """
        try:
            self.snapshot(end_offset)
        except OSError as error:
            _log.warning("%s: no snapshot of producers: %s", self._directory, error)

    def unsynced(self) -> list[Path]:
        """The snapshots to be synced with the log, each given once."""
        paths, self._unsynced = self._unsynced, []
        return paths

    def rely_on(self, start_offset: int) -> None:
        """Make durable the snapshot that is needed when the segments below `start_offset` go.

        Raises:
            OSError: the disk failed.
        """
        if not self._unsynced:
            return
        found = bisect_right(self._offsets, start_offset)
        path = self._path(self._offsets[found - 1]) if found else None
        if path in self._unsynced:
            self._make_durable(path)
            self._unsynced.remove(path)

    def _make_durable(self, path: Path) -> None:
        file = OpenFile(self._disk, path, os.O_RDWR)
        self._disk.sync(file.descriptor)
        self._disk.sync_directory(self._directory)

    def drop_before(self, base_offset: int) -> None:
        """The log's first segment now begins at `base_offset`: nobody needs earlier snapshots."""
        with self._mutex:
            needed = max(bisect_right(self._offsets, base_offset) - 1, 0)
            self._drop(self._offsets[:needed])
        kept = {self._path(offset) for offset in self._offsets}
        self._unsynced = [path for path in self._unsynced if path in kept]

    def clear(self) -> None:
        """Forget everything: the log begins anew. The directory is to be synced."""
        with self._mutex:
            self._due = None
            self._drop(self._offsets[:])
        self._state.replace({})
        self._covered = 0

    def begin_within(self, base_offset: int) -> None:
        """The log is empty and goes on with a batch that begins at `base_offset`, below its end.

        What is known stays, and is written down where the disk lets it.
        """
        with self._mutex:
            self._drop([each for each in self._offsets if each > base_offset])
        self.close(base_offset)
        self._covered = 0

    def _path(self, offset: int) -> Path:
        return segment_path(self._directory, offset, SNAPSHOT_SUFFIX)

    def _write(self, offset: int, producers: dict[int, Producer]) -> None:
        if self._offsets and self._offsets[-1] >= offset:
            return
        data = producer_snapshot.encode(producers)
        replace_file(self._disk, self._path(offset), data, durable=False)
        self._offsets.append(offset)

    def _drop(self, offsets: Iterable[int]) -> None:
        """Remove snapshots. Raises OSError."""
        for offset in offsets:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(self._path(offset))
            self._offsets.remove(offset)
