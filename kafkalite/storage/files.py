"""The disk as a log sees it: the few operations it needs, and the real ones.

Disk       the Protocol; tests put a disk in its place that tears, loses, fills up and fails
LocalDisk  the operating system's calls, as thin as they can be
OpenFile   a descriptor that is closed with its last owner
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from kafkalite.wire.batch import Buffer

_SCRATCH_BYTES: Final = 1 << 20


class DirectoryEntry(NamedTuple):
    """One name in a directory."""

    name: str
    is_directory: bool
    size: int
    """Bytes, of a file."""


class Disk(Protocol):
    """What storage asks of a disk; every method raises OSError as the system call does.

    Written bytes survive a crash of the machine only after `sync` of their file; names (created,
    renamed, removed) only after `sync_directory` of the directory that holds them.
    """

    def open(self, path: Path, flags: int, /) -> int:
        """Open with os.O_* flags; new files get the mode 0644."""

    def close(self, descriptor: int, /) -> None: ...

    def writev(self, descriptor: int, buffers: Sequence[Buffer], /) -> int:
        """Write the buffers one after the other; gives how many bytes were taken."""

    def pread(self, descriptor: int, size: int, position: int, /) -> bytes:
        """Up to `size` bytes; fewer only at the file's end."""

    def pread_cached(self, descriptor: int, size: int, position: int, /) -> bytes | None:
        """Exactly `size` bytes when they can be had without waiting for the disk, else None."""

    def size(self, descriptor: int, /) -> int: ...

    def truncate(self, descriptor: int, size: int, /) -> None: ...

    def sync(self, descriptor: int, /) -> None:
        """Wait until the file's bytes and size are on stable storage."""

    def drop_cached(self, descriptor: int, /) -> None:
        """Let later reads come from the disk itself and not from what the cache remembers."""

    def sync_directory(self, path: Path, /) -> None: ...

    def rename(self, source: Path, target: Path, /) -> None: ...

    def unlink(self, path: Path, /) -> None: ...

    def make_directory(self, path: Path, /) -> None:
        """Make a directory and those above it; it may exist."""

    def remove_directory(self, path: Path, /) -> None: ...

    def list_directory(self, path: Path, /) -> list[DirectoryEntry]: ...

    def lock(self, descriptor: int, /) -> None:
        """Take the lock on an open file, held until it is closed.

        Raises:
            BlockingIOError: another holds it.
        """


class LocalDisk:
    """The operating system's disk. `pread_cached` belongs to one thread, the rest to any."""

    close = staticmethod(os.close)
    writev = staticmethod(os.writev)
    truncate = staticmethod(os.ftruncate)
    sync = staticmethod(getattr(os, "fdatasync", os.fsync))

    def __init__(self) -> None:
        self._scratch = bytearray(_SCRATCH_BYTES)
        self._window = memoryview(self._scratch)

    def open(self, path: Path, flags: int, /) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def pread(self, descriptor: int, size: int, position: int, /) -> bytes:
        data = os.pread(descriptor, size, position)
        if len(data) == size or not data:
            return data
        pieces = [data]  # a signal, or more than one call may transfer
        while data and (size := size - len(data)) > 0:
            position += len(data)
            data = os.pread(descriptor, size, position)
            pieces.append(data)
        return b"".join(pieces)

    def pread_cached(self, descriptor: int, size: int, position: int, /) -> bytes | None:
        try:
            if size <= _SCRATCH_BYTES:
                window = self._window[:size]
                if os.preadv(descriptor, [window], position, os.RWF_NOWAIT) < size:
                    return None
                return bytes(window)
            # Larger than the scratch: see that all of it is there, then read it in one piece.
            end = position + size
            for start in range(position, end, _SCRATCH_BYTES):
                window = self._window[: min(_SCRATCH_BYTES, end - start)]
                if os.preadv(descriptor, [window], start, os.RWF_NOWAIT) < len(window):
                    return None
        except BlockingIOError:
            return None
        except AttributeError:  # no RWF_NOWAIT on this system
            pass
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:  # a file system without it, tmpfs for one
                raise
        return self.pread(descriptor, size, position)

    def size(self, descriptor: int, /) -> int:
        return os.fstat(descriptor).st_size

    def drop_cached(self, descriptor: int, /) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync_directory(self, path: Path, /) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path, /) -> None:
        source.rename(target)

    def unlink(self, path: Path, /) -> None:
        path.unlink()

    def make_directory(self, path: Path, /) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def remove_directory(self, path: Path, /) -> None:
        path.rmdir()

    def list_directory(self, path: Path, /) -> list[DirectoryEntry]:
        with os.scandir(path) as entries:
            return [
                DirectoryEntry(
                    entry.name, is_directory, 0 if is_directory else entry.stat().st_size
                )
                for entry in entries
                for is_directory in (entry.is_dir(),)
            ]

    def lock(self, descriptor: int, /) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class OpenFile:
    """A descriptor shared by those who use it, closed when the last of them lets go.

    So a read that has begun outlives the deletion of its segment and the bound on open files.
    """

    __slots__ = ("__weakref__", "_disk", "descriptor")

    def __init__(self, disk: Disk, path: Path, flags: int) -> None:
        self._disk = disk
        self.descriptor = disk.open(path, flags)

    def __del__(self) -> None:
        # An open that raised left no descriptor behind.
        descriptor = getattr(self, "descriptor", None)
        if descriptor is not None:
            self._disk.close(descriptor)


def read_whole(disk: Disk, path: Path) -> bytes:
    """All bytes of a small file; raises FileNotFoundError."""
    file = OpenFile(disk, path, os.O_RDONLY)
    return disk.pread(file.descriptor, disk.size(file.descriptor), 0)


def write_all(disk: Disk, descriptor: int, data: Buffer) -> None:
    """Write `data` whole; raises the OSError that a short write was the sign of."""
    rest = memoryview(data)
    while rest:
        rest = rest[disk.writev(descriptor, [rest]) :]


def replace_file(disk: Disk, path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` in the place of the file's content: readers see the old or the new, never half.

    With `durable` the new content is on stable storage when this returns; without, a crash of the
    machine may leave anything, which is right for what is checked and can be made again.
    """
    temporary = path.with_name(path.name + ".tmp")
    file = OpenFile(disk, temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    write_all(disk, file.descriptor, data)
    if durable:
        disk.sync(file.descriptor)
    disk.rename(temporary, path)
    if durable:
        disk.sync_directory(path.parent)
