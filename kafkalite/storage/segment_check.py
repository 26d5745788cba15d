"""Reading a segment anew, to find what the disk has altered since it was written."""

import os
from collections.abc import Iterator, Sequence

from kafkalite.storage.files import Disk, OpenFile
from kafkalite.storage.leader_epochs import EpochStart
from kafkalite.storage.scan import Batch, Damage, DamagedStretch, DamageTally, Scanner
from kafkalite.storage.segment import Segment


class SegmentCheck:
    """Checks every batch that a segment holds at a moment, in steps.

    Made by a log on its thread; `step` may be called on another one, one call at a time, while the
    log goes on. The outcome is handed back with `Log.checked`. It opens the file for itself.
    """

    __slots__ = (
        "_disk", "_epochs", "_file", "_found", "_path", "_size", "_tally", "damaged", "end_offset",
        "is_active", "position", "segment", "truncations",
    )  # fmt: skip

    def __init__(
        self,
        disk: Disk,
        segment: Segment,
        epochs: Sequence[EpochStart],
        truncations: int,
        *,
        is_active: bool,
    ) -> None:
        """Assign only; nothing is read yet.

        Args:
            disk: that the segment is on.
            segment: what to check, as far as it goes now.
            epochs: of its log: the checksum of a batch does not cover its own.
            truncations: of its log so far: what is found counts for nothing once there are more.
            is_active: whether it is still written to.
        """
        self.segment = segment
        self.end_offset = segment.end_offset
        self.truncations = truncations
        self.is_active = is_active
        self.position = 0
        """Everything before it in the file is checked."""
        self.damaged: list[DamagedStretch] = []
        """Complete once `step` has given False."""
        self._disk = disk
        self._epochs = epochs
        self._path = segment.path
        self._size = segment.size
        self._tally = DamageTally(segment.base_offset, segment.end_offset)
        self._file: OpenFile | None = None
        self._found: Iterator[Batch | Damage] = iter(())

    def step(self, max_bytes: int) -> bool:
        """Check the next batches, about `max_bytes` of them; gives whether there are more.

        Raises:
            OSError: the disk failed, and the check cannot go on.
        """
        if self._file is None:
            self._begin()
        until = self.position + max_bytes
        for found in self._found:
            self._tally.take(found)
            if isinstance(found, Batch):
                self.position = found.position + found.header.size
            else:
                self.position = found.end_position
            if self.position >= until:
                return True
        self.position = self._size
        self.damaged = self._tally.finish(self._size)
        self._file = None
        return False

    def _begin(self) -> None:
        self._file = OpenFile(self._disk, self._path, os.O_RDONLY)
        descriptor = self._file.descriptor
        if not self.is_active:
            # What the disk holds is to be checked, not what the cache remembers of it. The end of
            # the log is left in the cache, where its readers are.
            self._disk.drop_cached(descriptor)
        scanner = Scanner(
            self._disk,
            descriptor,
            self._size,
            offset_limit=self.end_offset,
            epochs=self._epochs,
        )
        self._found = scanner.scan(0, self.segment.base_offset)
