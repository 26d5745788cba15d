"""The lock of a log directory, `.lock`: two brokers never write the same logs.

.lock = pid "\\n"       ; of the process that holds, or last held, the flock on the file
"""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from kafkalite.storage.errors import StorageError
from kafkalite.storage.files import Disk, OpenFile, write_all

LOCK_FILE: Final = ".lock"
_ATTEMPTS: Final = 5
_PAUSE_S: Final = 0.02


class DirectoryLock:
    """Held from `take` until the object is dropped or the process ends, however it ends."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._path = directory / LOCK_FILE
        self._file: OpenFile | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            StorageError: another process holds it.
            OSError: the directory cannot be written.
        """
        file = OpenFile(self._disk, self._path, os.O_RDWR | os.O_CREAT)
        for attempt in range(_ATTEMPTS):
            try:
                self._disk.lock(file.descriptor)
                break
            except BlockingIOError:
                # `holder_of` looks for a moment only.
                if attempt < _ATTEMPTS - 1:
                    time.sleep(_PAUSE_S)
        else:
            holder = self._disk.pread(file.descriptor, 32, 0).decode(errors="replace").strip()
            raise StorageError(
                f"Log directory {self._path.parent} is in use by another broker"
                f"{f' (pid {holder})' if holder else ''}. Stop it, or change log.dirs."
            )
        self._disk.truncate(file.descriptor, 0)
        write_all(self._disk, file.descriptor, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        self._file = None


def holder_of(directory: Path) -> int | None:
    """Process id of the broker that has the log directory open; None when none has."""
    try:
        with (directory / LOCK_FILE).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read(32).strip()
                return int(text) if text.isdigit() else None
    except OSError:
        return None
    return None
