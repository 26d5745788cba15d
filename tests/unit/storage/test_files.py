"""The real disk, and what is built on any."""

import errno
import os
from pathlib import Path

import pytest

from kafkalite.storage.files import LocalDisk, OpenFile, read_whole, replace_file, write_all
from tests.support.faulty_disk import Crashed, FaultyDisk

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND


@pytest.mark.parametrize("size", [1, 5000, (1 << 20) + 17, (2 << 20) + 1])
def test_cached_reads_give_what_plain_ones_do(tmp_path: Path, size: int) -> None:
    disk = LocalDisk()
    file = OpenFile(disk, tmp_path / "file", _FLAGS)
    data = os.urandom(size + 10)
    assert disk.writev(file.descriptor, [data[:7], data[7:]]) == size + 10
    assert disk.pread(file.descriptor, size, 10) == data[10:]
    assert disk.pread_cached(file.descriptor, size, 10) == data[10:]
    assert disk.pread(file.descriptor, size, 11) == data[11:]
    assert disk.size(file.descriptor) == size + 10


def test_a_file_stays_open_as_long_as_someone_holds_it(tmp_path: Path) -> None:
    disk = LocalDisk()
    file = OpenFile(disk, tmp_path / "file", _FLAGS)
    descriptor = file.descriptor
    other = file
    del file
    os.fstat(descriptor)
    del other
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_opening_what_is_not_there_leaves_nothing_to_close(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OpenFile(LocalDisk(), tmp_path / "none", os.O_RDONLY)


def test_the_real_disk_lists_renames_and_removes(tmp_path: Path) -> None:
    disk = LocalDisk()
    disk.make_directory(tmp_path / "a" / "b")
    disk.make_directory(tmp_path / "a" / "b")
    replace_file(disk, tmp_path / "a" / "f", b"12345")
    entries = {entry.name: entry for entry in disk.list_directory(tmp_path / "a")}
    assert entries["f"].size == 5
    assert entries["b"].is_directory
    disk.rename(tmp_path / "a" / "f", tmp_path / "a" / "g")
    assert read_whole(disk, tmp_path / "a" / "g") == b"12345"
    disk.unlink(tmp_path / "a" / "g")
    disk.remove_directory(tmp_path / "a" / "b")
    assert disk.list_directory(tmp_path / "a") == []


def test_dropping_the_cache_and_cutting_keep_what_was_synced(tmp_path: Path) -> None:
    disk = LocalDisk()
    file = OpenFile(disk, tmp_path / "file", _FLAGS)
    write_all(disk, file.descriptor, b"0123456789")
    disk.sync(file.descriptor)
    disk.drop_cached(file.descriptor)
    disk.truncate(file.descriptor, 4)
    write_all(disk, file.descriptor, b"x")
    assert disk.pread(file.descriptor, 100, 0) == b"0123x"


def test_a_replaced_file_is_the_old_or_the_new_after_a_crash_anywhere() -> None:
    path = Path("/d/file")
    for crash_at in range(20):
        disk = FaultyDisk()
        disk.make_directory(path.parent)
        disk.sync_directory(Path("/"))
        replace_file(disk, path, b"old" * 400)
        disk.crash_at = disk.operations + crash_at
        try:
            replace_file(disk, path, b"new!" * 400)
        except Crashed:
            expected = {b"old" * 400, b"new!" * 400}
        else:
            expected = {b"new!" * 400}
        for seed in range(8):
            assert disk.after_crash(seed).content(path) in expected


def test_what_is_left_of_a_short_write_is_written_or_its_error_raised() -> None:
    disk = FaultyDisk()
    disk.make_directory(Path("/d"))
    file = OpenFile(disk, Path("/d/f"), _FLAGS)
    disk.short_writes = True
    write_all(disk, file.descriptor, b"0123456789")
    assert disk.content(Path("/d/f")) == b"0123456789"
    disk.room = 3
    with pytest.raises(OSError, match="No space") as raised:
        write_all(disk, file.descriptor, b"0123456789")
    assert raised.value.errno == errno.ENOSPC
