"""What a broker says of its log directories."""

import asyncio
import errno
import os
from pathlib import Path

from kafkalite.broker.log_dirs import LogDirs
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log_directories import LogDirectories
from tests.support.partitions import Logs, batch_of


def test_a_directory_shows_its_space_and_its_partitions(logs: Logs, tmp_path: Path) -> None:
    partitions = [logs.led(1), logs.led(0)]
    batch, header = batch_of(b"x" * 1000)
    partitions[0].log.append(bytearray(batch), [header], 0)
    (found,) = asyncio.run(LogDirs(logs.directories, partitions).describe())
    space = os.statvfs(tmp_path)
    assert (found.path, found.failure) == (str(tmp_path), None)
    assert found.total_bytes == space.f_blocks * space.f_frsize
    assert 0 < found.usable_bytes <= found.total_bytes
    assert found.replicas == [
        (TopicPartition("t", 0), 0, 0),
        (TopicPartition("t", 1), len(batch), 0),
    ]


def test_only_the_topics_that_are_asked_for_are_shown(logs: Logs) -> None:
    described = LogDirs(logs.directories, [logs.led()])
    assert len(asyncio.run(described.describe({"t"}))[0].replicas) == 1
    assert asyncio.run(described.describe({"other"}))[0].replicas == []


def test_a_directory_that_failed_says_why(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    directories = LogDirectories([tmp_path / "good", tmp_path / "bad"])
    directories.open()
    directories.all[1].disk_failed(OSError(errno.EIO, os.strerror(errno.EIO)))
    good, bad = asyncio.run(LogDirs(directories, []).describe())
    assert good.failure is None
    assert bad.path == str(tmp_path / "bad")
    assert bad.failure is not None
    assert "Input/output error" in bad.failure
    assert (bad.total_bytes, bad.usable_bytes, bad.replicas) == (-1, -1, [])
    directories.close()
