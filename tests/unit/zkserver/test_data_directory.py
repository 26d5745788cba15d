"""The data directory has one server at most, and names it truly."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkalite.zkserver.data_directory import PID_FILE_NAME, DataDirectory, serving_pid
from kafkalite.zkserver.errors import StorageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not yet" / "there"


@pytest.fixture
def held(path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(path)
    directory.acquire()
    directory.announce()
    yield directory
    directory.release()


def test_directory_is_made_and_names_its_server(held: DataDirectory, path: Path) -> None:
    assert held.path == path
    assert serving_pid(path) == os.getpid()


def test_directory_is_refused_when_another_server_holds_it(held: DataDirectory) -> None:
    with pytest.raises(StorageError, match=rf"in use by another server \(pid {os.getpid()}\)"):
        DataDirectory(held.path).acquire()


def test_directory_is_free_again_when_it_was_released(path: Path) -> None:
    directory = DataDirectory(path)
    directory.acquire()
    directory.release()
    assert serving_pid(path) is None
    directory.acquire()
    directory.release()


def test_nobody_is_named_until_the_server_serves(path: Path) -> None:
    path.mkdir(parents=True)
    (path / PID_FILE_NAME).write_text("99999999\n")
    directory = DataDirectory(path)
    with pytest.raises(RuntimeError, match="not acquired"):
        directory.announce()
    directory.acquire()
    assert serving_pid(path) is None
    directory.release()


def test_pid_that_a_dead_server_left_behind_is_no_living_one(path: Path) -> None:
    path.mkdir(parents=True)
    (path / PID_FILE_NAME).write_text(f"{os.getpid()}\n")
    assert serving_pid(path) is None


def test_nobody_serves_a_directory_that_is_not_there(path: Path) -> None:
    assert serving_pid(path) is None


def test_directory_is_refused_when_it_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"Cannot write to dataDir .*: Not a directory"):
        DataDirectory(tmp_path / "file" / "data").acquire()
