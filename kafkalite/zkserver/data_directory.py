"""The data directory: made, locked, and marked with the process that serves it."""

import fcntl
import os
import time
from pathlib import Path

from kafkalite.zkserver.errors import StorageError

PID_FILE_NAME = "zookeeper_server.pid"

# `serving_pid` holds the lock for some microseconds; that must not look like a second server.
_LOCK_ATTEMPTS = 5
_LOCK_PAUSE_S = 0.01


class DataDirectory:
    """A directory held by at most one server.

    The lock is an flock on the pid file: it ends with the process however that ends, so the pid in
    it is that of a living server exactly while the lock is held. Owned by the server.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def acquire(self) -> None:
        """Make the directory and lock it.

        Raises:
            StorageError: it cannot be made or written, or another server holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"Cannot write to dataDir {self.path}: {error.strerror}.") from error
        if not _lock_exclusively(descriptor):
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise StorageError(
                f"dataDir {self.path} is in use by another server (pid {owner or 'unknown'})."
            )
        os.ftruncate(descriptor, 0)
        self._lock = descriptor

    def announce(self) -> None:
        """Write the pid: from now on clients are served."""
        if self._lock is None:
            raise RuntimeError("not acquired")
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.ftruncate(descriptor, 0)
            os.close(descriptor)

    @property
    def _pid_file(self) -> Path:
        return self.path / PID_FILE_NAME


def _lock_exclusively(descriptor: int) -> bool:
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
        else:
            return True
    return False


def serving_pid(path: Path) -> int | None:
    """The pid of the server that serves this data directory now, or None.

    The lock proves it: a pid that a dead server left behind is never taken for a living one.
    """
    try:
        descriptor = os.open(path / PID_FILE_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode(errors="replace").strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None
