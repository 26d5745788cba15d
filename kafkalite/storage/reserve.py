"""Space that a log directory keeps for itself, so that a full disk can still be emptied.

To let go of records their new start offset is written down first, which takes space. On a full disk
there is none but this: a file of zeros, removed for that one write and made again after it.
"""

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

from kafkalite.storage.files import Disk, OpenFile, write_all

RESERVE: Final = ".reserve"
_STEP_BYTES: Final = 1 << 16

_log = logging.getLogger(__name__)


class Reserve:
    """The file, which may be missing: a disk that is full already is used without.

    Whoever calls sees to it that no two do so at once.
    """

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._path = directory / RESERVE
        self._size = 0

    def found(self, size: int) -> None:
        """An earlier start left one of `size` bytes."""
        self._size = size

    def fill(self, least_bytes: int) -> None:
        """See that it holds that much; where that fails there is none, which harms nothing yet."""
        if 0 < self._size >= least_bytes:
            return
        size = -(-max(least_bytes, 1) // _STEP_BYTES) * _STEP_BYTES
        self._size = 0
        try:
            file = OpenFile(self._disk, self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            write_all(self._disk, file.descriptor, bytes(size))
            # File systems that allocate late say only now whether there is space.
            self._disk.sync(file.descriptor)
        except OSError as error:
            _log.debug("There is no reserve in %s: %s", self._path.parent, error)
            with contextlib.suppress(OSError):
                self._disk.unlink(self._path)
            return
        self._size = size

    def release(self) -> bool:
        """Give the space away; False when there is none. Raises OSError."""
        if not self._size:
            return False
        self._size = 0
        try:
            self._disk.unlink(self._path)
        except FileNotFoundError:
            return False
        return True
