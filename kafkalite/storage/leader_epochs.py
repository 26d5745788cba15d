"""Leader epochs of a log: which offset each began with; gives a follower the point to truncate to.

The file is `leader-epoch-checkpoint` (checkpoint.py). It is written before a recovery point above
an epoch's start is; epochs above the recovery point are found again in the batches.
"""

import threading
from pathlib import Path
from typing import TypeAlias

from kafkalite.model.ids import NO_EPOCH
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.storage import checkpoint
from kafkalite.storage.files import Disk

EpochStart: TypeAlias = tuple[int, int]
"""An epoch and the offset that it began with."""


class LeaderEpochs:
    """Epochs and start offsets, both ascending. One owner; only `save` may be called elsewhere."""

    __slots__ = ("_disk", "_entries", "_path", "_saved", "_saving")

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._path = directory / checkpoint.LEADER_EPOCHS
        self._entries: list[EpochStart] = []
        self._saved: list[EpochStart] = []
        self._saving = threading.Lock()
        """Two at a time would take from each other the file by way of which it is replaced."""

    @property
    def entries(self) -> list[EpochStart]:
        """All of them, from the oldest on."""
        return list(self._entries)

    @property
    def latest(self) -> int:
        """The latest epoch, NO_EPOCH in a log without any."""
        return self._entries[-1][0] if self._entries else NO_EPOCH

    def load(self) -> None:
        """Read the file; raises CheckpointError where it is not sound, and then holds nothing."""
        self._saved = checkpoint.read_pairs(self._disk, self._path)
        for epoch, start_offset in self._saved:
            self.assign(epoch, start_offset)

    def save(self, end_offset: int) -> None:
        """Write the file durably if it lacks an epoch that has records. Raises OSError."""
        with self._saving:
            entries = self._entries.copy()  # at once: the owner may change them meanwhile
            with_records = [entry for entry in entries if entry[1] < end_offset]
            if with_records != self._saved:
                checkpoint.write_pairs(self._disk, self._path, with_records)
                self._saved = with_records

    def assign(self, epoch: int, start_offset: int) -> None:
        """Begin an epoch; one that is not above the latest changes nothing."""
        if epoch > self.latest:
            # An epoch that begins where this one does has no records.
            self.truncate_to(start_offset)
            self._entries.append((epoch, start_offset))

    def end_offset_for(self, epoch: int, log_end_offset: int) -> tuple[int, int]:
        """The largest epoch not above `epoch`, and its end; if none, (NO_EPOCH, NO_OFFSET)."""
        end_offset = log_end_offset
        for known, start_offset in reversed(self._entries):
            if known <= epoch:
                return known, end_offset
            end_offset = start_offset
        return NO_EPOCH, NO_OFFSET

    def truncate_to(self, end_offset: int) -> None:
        """Forget the epochs that begin at or above `end_offset`."""
        while self._entries and self._entries[-1][1] >= end_offset:
            self._entries.pop()

    def drop_before(self, start_offset: int) -> None:
        """Forget the epochs that end at or below `start_offset`."""
        while len(self._entries) > 1 and self._entries[1][1] <= start_offset:
            del self._entries[0]
