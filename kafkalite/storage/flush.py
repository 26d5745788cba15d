"""A flush: what it takes to make the end of a log durable, done outside the log's thread."""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kafkalite.storage.files import Disk, OpenFile
from kafkalite.storage.segment import Segment


class Mark(NamedTuple):
    """An offset and where its batch begins, or will."""

    offset: int
    segment: Segment
    position: int


class FlushJob:
    """The files to sync so that everything below `mark` is durable.

    Made by a log on its thread; `run` may be called on another one while the log goes on; the
    outcome is handed back with `Log.flushed`. It keeps no file open, so that any number of jobs may
    wait: a file that its segment let go of meanwhile is opened again.
    """

    __slots__ = ("_directory", "_disk", "_files", "appended_bytes", "generation", "mark", "rolls")

    def __init__(
        self,
        disk: Disk,
        segments: Sequence[Segment],
        directory: Path | None,
        *,
        mark: Mark,
        generation: int,
        rolls: int,
        appended_bytes: int,
    ) -> None:
        self.mark = mark
        """What is durable once the job has run."""
        self.generation = generation
        """The log's count of truncations when the job was made."""
        self.rolls = rolls
        self.appended_bytes = appended_bytes
        self._disk = disk
        self._directory = directory
        """Where files were made since the last flush; their names must last too."""
        self._files = [
            (segment.path, weakref.ref(segment.open_file) if segment.open_file else None)
            for segment in segments
        ]

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
