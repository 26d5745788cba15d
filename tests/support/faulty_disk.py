"""A disk in memory that loses, tears, fills up, fails, and crashes at a chosen operation.

It implements `kafkalite.storage.files.Disk`. Every file remembers what was synced and which pages
have changed since; every directory remembers which names were synced. `after_crash` gives the disk
that a machine finds when it comes back: of what was not synced, any part may be there.
"""

import errno
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kafkalite.storage.files import DirectoryEntry
from kafkalite.wire.batch import Buffer

PAGE = 512
"""Smaller than real pages, so that small batches span several; a sector of real disks."""


class Crashed(BaseException):
    """The machine is gone. No `except Exception` shall survive it."""


@dataclass(eq=False)
class _File:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    locked_by: int | None = None


@dataclass(eq=False)
class _Directory:
    names: "dict[str, _File | _Directory]" = field(default_factory=dict)
    synced: "dict[str, _File | _Directory]" = field(default_factory=dict)


class FaultyDisk:
    """See the module. `fail_next` and `room` make errors; `crash_at` counts changing operations."""

    def __init__(self, *, crash_at: int | None = None, root: _Directory | None = None) -> None:
        self.crash_at = crash_at
        """The operation during which the machine goes, counted from 0."""
        self.operations = 0
        """Changing operations so far."""
        self.room: int | None = None
        """Bytes that may still be written; None: any number."""
        self.short_writes = False
        """Take only half of each write but the last byte."""
        self.when_crashing: Callable[[], None] = lambda: None
        """Called as the machine goes."""
        self.syncs: list[str] = []
        self._fail: dict[str, int] = {}
        self._fail_at: dict[Path, int] = {}
        self._root = root or _Directory()
        self._open: dict[int, tuple[_File, Path]] = {}
        self._next_descriptor = 1000
        self._crashed = False

    # -- what a test asks for -------------------------------------------------------------------

    def fail_next(self, operation: str, error: int) -> None:
        """Let the next call of `operation` fail with an errno, having done nothing."""
        self._fail[operation] = error

    def fail_at(self, path: Path, error: int) -> None:
        """Let the next opening of a file fail with an errno."""
        self._fail_at[path] = error

    def heal(self) -> None:
        """Forget all that was to fail, and have room again."""
        self._fail.clear()
        self._fail_at.clear()
        self.room = self.crash_at = None

    def flip_bit(self, path: Path, position: int, bit: int = 0) -> None:
        """Alter one bit of a file, in what is synced too."""
        file = self._file(path)
        file.data[position] ^= 1 << bit
        synced = bytearray(file.synced)
        if position < len(synced):
            synced[position] ^= 1 << bit
        file.synced = bytes(synced)

    def content(self, path: Path) -> bytes:
        return bytes(self._file(path).data)

    def replace(self, path: Path, data: bytes) -> None:
        """Give a file another content, synced."""
        file = self._file(path)
        file.data, file.synced = bytearray(data), data

    def open_descriptors(self) -> int:
        return len(self._open)

    def take_away(self) -> "FaultyDisk":
        """As `after_kill`, but the same files: this process can do nothing with them any more."""
        self._crashed = True
        for file, _ in self._open.values():
            file.locked_by = None
        disk = FaultyDisk(root=self._root)
        disk.room = self.room
        return disk

    def after_kill(self) -> "FaultyDisk":
        """What the next process finds when only the process died: all writes, synced or not."""
        copies: dict[int, _File | _Directory] = {}

        def copy(node: "_File | _Directory") -> "_File | _Directory":
            known = copies.get(id(node))
            if known is not None:
                return known
            if isinstance(node, _File):
                file = copies[id(node)] = _File(bytearray(node.data), node.synced)
                return file
            directory = _Directory()
            copies[id(node)] = directory
            directory.names = {name: copy(child) for name, child in node.names.items()}
            directory.synced = {name: copy(child) for name, child in node.synced.items()}
            return directory

        return _disk_of(copy(self._root))

    def after_crash(self, seed: int, style: str | None = None) -> "FaultyDisk":
        """What the machine finds when it comes back, decided by `seed`.

        The style says what of unsynced data is there: nothing, a prefix, some pages or everything.
        """
        chance = random.Random(seed)
        style = style or chance.choice(["nothing", "prefix", "pages", "everything"])
        copies: dict[int, _File] = {}

        def copy(node: "_File | _Directory") -> "_File | _Directory":
            if isinstance(node, _File):
                if id(node) not in copies:
                    data = _surviving(node, chance, style)
                    copies[id(node)] = _File(bytearray(data), data)
                return copies[id(node)]
            names = _surviving_names(node, chance, style)
            kept = {name: copy(child) for name, child in names.items()}
            return _Directory(kept, dict(kept))

        return _disk_of(copy(self._root))

    # -- the protocol ---------------------------------------------------------------------------

    def open(self, path: Path, flags: int, /) -> int:
        self._check("open")
        if path in self._fail_at:
            error = self._fail_at.pop(path)
            raise OSError(error, os.strerror(error), str(path))
        directory, name = self._directory(path.parent), path.name
        file = directory.names.get(name)
        if isinstance(file, _Directory):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
        if file is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
            self._step()
            file = directory.names[name] = _File()
        elif flags & os.O_TRUNC and file.data:
            self._step()
            file.data.clear()
        self._next_descriptor += 1
        self._open[self._next_descriptor] = file, path
        return self._next_descriptor

    def close(self, descriptor: int, /) -> None:
        file, _ = self._open.pop(descriptor)
        if file.locked_by == descriptor:
            file.locked_by = None

    def writev(self, descriptor: int, buffers: Sequence[Buffer], /) -> int:
        self._check("writev")
        file, _ = self._open[descriptor]
        data = b"".join(buffers)
        wanted = len(data)
        if self.room is not None:
            if wanted and not self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room]
        if self.short_writes and len(data) > 1:
            data = data[: len(data) // 2]
        if self.crash_at == self.operations:
            # The end of the machine may fall between any two bytes.
            file.data += data[: len(data) * 2 // 3]
        self._step()
        file.data += data
        if self.room is not None:
            self.room -= len(data)
        return len(data)

    def pread(self, descriptor: int, size: int, position: int, /) -> bytes:
        self._check("pread")
        file, _ = self._open[descriptor]
        return bytes(file.data[position : position + size])

    def pread_cached(self, descriptor: int, size: int, position: int, /) -> bytes | None:
        data = self.pread(descriptor, size, position)
        return data if len(data) == size else None

    def size(self, descriptor: int, /) -> int:
        return len(self._open[descriptor][0].data)

    def truncate(self, descriptor: int, size: int, /) -> None:
        self._check("truncate")
        self._step()
        file, _ = self._open[descriptor]
        del file.data[size:]

    def sync(self, descriptor: int, /) -> None:
        file, path = self._open[descriptor]
        if "sync" in self._fail:
            # As Linux does: the pages are thrown away and count as clean.
            file.data[:] = file.synced + bytes(len(file.data) - len(file.synced))
        self._check("sync")
        self._step()
        file.synced = bytes(file.data)
        self.syncs.append(path.name)

    def drop_cached(self, descriptor: int, /) -> None:
        self._check("drop_cached")

    def sync_directory(self, path: Path, /) -> None:
        self._check("sync_directory")
        self._step()
        directory = self._directory(path)
        directory.synced = dict(directory.names)

    def rename(self, source: Path, target: Path, /) -> None:
        self._check("rename")
        directory = self._directory(source.parent)
        assert source.parent == target.parent
        if source.name not in directory.names:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(source))
        self._step()
        self._give_back(directory.names.get(target.name))
        directory.names[target.name] = directory.names.pop(source.name)

    def unlink(self, path: Path, /) -> None:
        self._check("unlink")
        file = self._file(path)
        self._step()
        self._give_back(file)
        del self._directory(path.parent).names[path.name]

    def make_directory(self, path: Path, /) -> None:
        self._check("make_directory")
        directory = self._root
        for part in path.parts[1:]:
            child = directory.names.get(part)
            if child is None:
                self._step()
                child = directory.names[part] = _Directory()
            assert isinstance(child, _Directory)
            directory = child

    def remove_directory(self, path: Path, /) -> None:
        self._check("remove_directory")
        self._step()
        del self._directory(path.parent).names[path.name]

    def list_directory(self, path: Path, /) -> list[DirectoryEntry]:
        return [
            DirectoryEntry(name, True, 0)
            if isinstance(node, _Directory)
            else DirectoryEntry(name, False, len(node.data))
            for name, node in self._directory(path).names.items()
        ]

    def lock(self, descriptor: int, /) -> None:
        file, _ = self._open[descriptor]
        if file.locked_by is not None:
            raise BlockingIOError(errno.EAGAIN, "locked")
        file.locked_by = descriptor

    # -- inside ---------------------------------------------------------------------------------

    def _check(self, operation: str) -> None:
        if self._crashed:
            raise Crashed
        error = self._fail.pop(operation, None)
        if error is not None:
            raise OSError(error, os.strerror(error))

    def _step(self) -> None:
        """A changing operation is about to be done."""
        if self.operations == self.crash_at:
            self._crashed = True
            self.when_crashing()
            raise Crashed
        self.operations += 1

    def _give_back(self, node: "_File | _Directory | None") -> None:
        """What a file took is room again."""
        if self.room is not None and isinstance(node, _File):
            self.room += len(node.data)

    def _directory(self, path: Path) -> _Directory:
        directory = self._root
        for part in path.parts[1:]:
            child = directory.names.get(part)
            if not isinstance(child, _Directory):
                raise FileNotFoundError(errno.ENOENT, "No such directory", str(path))
            directory = child
        return directory

    def _file(self, path: Path) -> _File:
        file = self._directory(path.parent).names.get(path.name)
        if not isinstance(file, _File):
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
        return file


def _disk_of(root: "_File | _Directory") -> FaultyDisk:
    assert isinstance(root, _Directory)
    return FaultyDisk(root=root)


def _surviving_names(
    directory: _Directory, chance: random.Random, style: str
) -> "dict[str, _File | _Directory]":
    result = dict(directory.synced)
    for name in sorted(set(directory.names) | set(directory.synced)):
        now, before = directory.names.get(name), directory.synced.get(name)
        if now is not before and style != "nothing" and chance.random() < 0.5:
            result.pop(name, None)
            if now is not None:
                result[name] = now
    return result


def _surviving(file: _File, chance: random.Random, style: str) -> bytes:
    """What of a file's content is on the disk after a crash."""
    now, synced = bytes(file.data), file.synced
    if now == synced or style == "everything":
        return now
    if style == "nothing":
        return synced
    if style == "prefix":
        # The last write is torn anywhere, on top of what was synced.
        same = (old == new for old, new in zip(synced, now, strict=False))
        shared = next((at for at, equal in enumerate(same) if not equal), len(synced))
        end = chance.randint(shared, len(now)) if len(now) > shared else len(now)
        return now[:end] if len(now) >= len(synced) else chance.choice([now, synced])
    # Any of the changed pages, and a size between the two; what was never written reads as zeros.
    size = chance.choice([len(now), max(len(synced), chance.randint(0, len(now)))])
    result = bytearray(size)
    for start in range(0, size, PAGE):
        old, new = synced[start : start + PAGE], now[start : start + PAGE]
        piece = old if old == new or chance.random() < 0.4 else new
        result[start : start + len(piece)] = piece
    return bytes(result[:size])
