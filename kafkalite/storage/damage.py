"""Offsets that were given to records which can no longer be read.

The file is `damaged-ranges` (checkpoint.py), in the directory of the log; there is one only while
there is damage.
"""

import contextlib
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
        if self.ranges == self._saved:
            return
        path = self._directory / checkpoint.DAMAGED_RANGES
        if self.ranges:
            checkpoint.write_pairs(self._disk, path, self.ranges)
        else:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(path)
            self._disk.sync_directory(self._directory)
        self._saved = self.ranges

    def note(self, found: Iterable[OffsetRange], start: int, end: int) -> bool:
        """Take in damage of a log that reaches from `start` to `end`; gives whether there is news.

        It is written down where the disk lets it: what is forgotten is met again.
        """
        known = self.ranges
        self.add(found)
        self.clip(start, end)
        if self.ranges == known:
            return False
        named = ", ".join(map(str, self.ranges))
        _log.error("%s: these offsets are damaged: %s", self._directory, named)
        try:
            self.save()
        except OSError as error:
            _log.warning("%s: the damage cannot be noted: %s", self._directory, error)
        return True

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
