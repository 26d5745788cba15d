"""The Disk protocol: the disk of the tests behaves like the real one while nothing goes wrong."""

import errno
import os
from pathlib import Path

import pytest

from kafkalite.storage.files import Disk, LocalDisk, OpenFile, read_whole, replace_file
from tests.support.faulty_disk import FaultyDisk

_NEW = os.O_RDWR | os.O_CREAT | os.O_APPEND


@pytest.fixture(params=["real", "faulty"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    if request.param == "real":
        return LocalDisk()
    faulty = FaultyDisk()
    faulty.make_directory(tmp_path)
    return faulty


def test_writes_go_to_the_end_and_reads_stop_there(disk: Disk, tmp_path: Path) -> None:
    file = OpenFile(disk, tmp_path / "f", _NEW)
    assert disk.writev(file.descriptor, [b"abc", memoryview(b"defg")[1:]]) == 6
    assert disk.pread(file.descriptor, 100, 2) == b"cefg"
    assert disk.pread(file.descriptor, 100, 6) == b""
    assert disk.pread_cached(file.descriptor, 4, 2) == b"cefg"
    assert disk.pread_cached(file.descriptor, 5, 2) is None
    assert disk.size(file.descriptor) == 6
    disk.truncate(file.descriptor, 2)
    disk.writev(file.descriptor, [b"x"])
    disk.sync(file.descriptor)
    disk.drop_cached(file.descriptor)
    assert disk.pread(file.descriptor, 100, 0) == b"abx"


def test_an_open_file_outlives_its_name(disk: Disk, tmp_path: Path) -> None:
    file = OpenFile(disk, tmp_path / "f", _NEW)
    disk.writev(file.descriptor, [b"kept"])
    disk.unlink(tmp_path / "f")
    assert disk.pread(file.descriptor, 10, 0) == b"kept"
    with pytest.raises(FileNotFoundError):
        OpenFile(disk, tmp_path / "f", os.O_RDWR)


def test_flags_say_what_becomes_of_content(disk: Disk, tmp_path: Path) -> None:
    replace_file(disk, tmp_path / "f", b"content")
    OpenFile(disk, tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    assert read_whole(disk, tmp_path / "f") == b"content"
    OpenFile(disk, tmp_path / "f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    assert read_whole(disk, tmp_path / "f") == b""


def test_a_rename_takes_the_place_of_what_was_there(disk: Disk, tmp_path: Path) -> None:
    replace_file(disk, tmp_path / "a", b"a")
    replace_file(disk, tmp_path / "b", b"b")
    disk.rename(tmp_path / "a", tmp_path / "b")
    assert [(each.name, each.size) for each in disk.list_directory(tmp_path)] == [("b", 1)]
    assert read_whole(disk, tmp_path / "b") == b"a"
    with pytest.raises(FileNotFoundError):
        disk.rename(tmp_path / "a", tmp_path / "b")


def test_directories_are_made_listed_and_removed(disk: Disk, tmp_path: Path) -> None:
    disk.make_directory(tmp_path / "one" / "two")
    disk.make_directory(tmp_path / "one")
    disk.sync_directory(tmp_path / "one")
    (entry,) = disk.list_directory(tmp_path / "one")
    assert (entry.name, entry.is_directory) == ("two", True)
    disk.remove_directory(tmp_path / "one" / "two")
    assert disk.list_directory(tmp_path / "one") == []


@pytest.mark.parametrize("operation", ["list_directory", "sync_directory", "unlink"])
def test_what_is_not_there_is_an_error(disk: Disk, tmp_path: Path, operation: str) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        getattr(disk, operation)(tmp_path / "none")
    assert raised.value.errno == errno.ENOENT


def test_a_lock_is_held_until_its_file_is_closed(disk: Disk, tmp_path: Path) -> None:
    first = OpenFile(disk, tmp_path / ".lock", _NEW)
    second = OpenFile(disk, tmp_path / ".lock", _NEW)
    disk.lock(first.descriptor)
    with pytest.raises(BlockingIOError):
        disk.lock(second.descriptor)
    del first
    disk.lock(second.descriptor)
