"""Offsets that were given to records which can no longer be read.

The file is `damaged-ranges` (checkpoint.py), in the directory of the log; there is none until there
is damage.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from kafkalite.model.offsets import OffsetRange
from kafkalite.storage import checkpoint
from kafkalite.storage.checkpoint import CheckpointError
from kafkalite.storage.files import Disk

_log = logging.getLogger(__name__)


class DamagedRanges:
    """What is damaged of one log, ascending and apart; shares the log's owner and thread."""

    __slots__ = ("_directory", "_disk", "_saved", "ranges")

    def __init__(self, disk: Disk, directory: Path) -> None:
        self.ranges: tuple[OffsetRange, ...] = ()
        self._disk = disk
        self._directory = directory
        self._saved: tuple[OffsetRange, ...] = ()

    def load(self) -> None:
        """Read the file. Raises OSError."""
        try:
            pairs = checkpoint.read_pairs(self._disk, self._directory / checkpoint.DAMAGED_RANGES)
        except CheckpointError as error:
            _log.warning("%s; known damage is forgotten until it is met again", error)
            return
        self.ranges = self._saved = tuple(OffsetRange(*pair) for pair in pairs)

    def save(self) -> None:
        """Write the file durably unless it says so already. Raises OSError."""
        if self.ranges != self._saved:
            path = self._directory / checkpoint.DAMAGED_RANGES
            checkpoint.write_pairs(self._disk, path, self.ranges)
            self._saved = self.ranges

    def add(self, found: Iterable[OffsetRange]) -> None:
        """Note damage; ranges that touch become one."""
        self.ranges = _merged([*self.ranges, *found])

    def clip(self, start: int, end: int) -> None:
        """Forget what is not in `start <= offset < end`."""
        self.ranges = _merged(
            OffsetRange(max(each.start, start), min(each.end, end)) for each in self.ranges
        )

    def covers(self, start: int, end: int) -> bool:
        """Whether all of a range is known to be damaged."""
        return any(each.start <= start and end <= each.end for each in self.ranges)


def _merged(ranges: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    result: list[OffsetRange] = []
    for start, end in sorted(each for each in ranges if each.start < each.end):
        if result and start <= result[-1].end:
            result[-1] = OffsetRange(result[-1].start, max(end, result[-1].end))
        else:
            result.append(OffsetRange(start, end))
    return tuple(result)
