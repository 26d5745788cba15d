"""A flush: what it takes to make the end of a log durable, done outside the log's thread."""

import os
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kafkalite.storage.files import Disk, OpenFile
from kafkalite.storage.segment import Segment
from kafkalite.storage.segments import Segments


class Mark(NamedTuple):
    """An offset and where its batch begins, or will."""

    offset: int
    segment: Segment
    position: int


class Extent(NamedTuple):
    """What there was of a log at a moment."""

    mark: Mark
    """Its end."""
    rolls: int
    truncations: int


class FlushJob:
    """The files to sync so that everything below `mark` is durable.

    Made by a log on its thread; `run` may be called on another one while the log goes on; the
    outcome is handed back with `Log.flushed`. It keeps no file open, so that any number of jobs may
    wait: a file that its segment let go of meanwhile is opened again.
    """

    __slots__ = ("_directory", "_disk", "_files", "covers")

    def __init__(
        self, disk: Disk, segments: list[Segment], directory: Path | None, covers: "Extent"
    ) -> None:
        self.covers = covers
        """What is durable once the job has run."""
        self._disk = disk
        self._directory = directory
        """Where files were made since the last flush; their names must last too."""
        self._files: list[tuple[Path, weakref.ref[OpenFile] | None]] = [
            (segment.path, weakref.ref(segment.open_file) if segment.open_file else None)
            for segment in segments
        ]

    def add(self, paths: Iterable[Path]) -> None:
        """Sync files beside those of segments, too, as far as they are still there."""
        self._files += [(path, None) for path in paths]

    def run(self) -> None:
        """Sync; raises OSError, after which nothing of the job may be taken for durable."""
        for path, reference in self._files:
            file = reference() if reference else None
            if file is None:
                try:
                    file = OpenFile(self._disk, path, os.O_RDWR)
                except FileNotFoundError:
                    continue  # deleted since: nobody needs it
            self._disk.sync(file.descriptor)
        if self._directory is not None:
            self._disk.sync_directory(self._directory)


class FlushProgress:
    """How much of a log is durable; shares the log's owner and thread."""

    __slots__ = (
        "_synced_rolls",
        "durable",
        "rolls",
        "truncations",
    )

    def __init__(self, durable: Mark) -> None:
        self.durable = durable
        """Everything below survives a crash of the machine."""
        self.rolls = 0
        """Since the log was opened, as are the truncations."""
        self.truncations = 0
        self._synced_rolls = 0

    def job(
        self, disk: Disk, directory: Path, segments: Segments, end_offset: int
    ) -> FlushJob | None:
        """What makes all of the log durable, up to `end_offset`, its end; None when it is."""
        has_new_files = self.rolls > self._synced_rolls
        if self.durable.offset == end_offset and not has_new_files:
            return None
        dirty = []
        for segment in reversed(segments):
            if segment.end_offset <= self.durable.offset:
                break
            dirty.append(segment)
        mark = Mark(end_offset, segments.active, segments.active.size)
        covers = Extent(mark, self.rolls, self.truncations)
        return FlushJob(disk, dirty, directory if has_new_files else None, covers)

    def done(self, covers: Extent) -> None:
        """Take in that a job has run. One that a truncation overtook proves nothing of records."""
        self._synced_rolls = max(self._synced_rolls, covers.rolls)
        if covers.truncations == self.truncations and covers.mark.offset > self.durable.offset:
            self.durable = covers.mark

    def truncated(self, end: Mark) -> None:
        """The log was cut to `end`, durably."""
        self.truncations += 1
        if self.durable.offset >= end.offset:
            self.durable = end

    def restarted(self, end: Mark) -> None:
        """The log was emptied, durably, and goes on at `end`."""
        self.truncations += 1
        self.durable = end
