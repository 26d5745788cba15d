"""What a broker keeps where: its log directories and the partitions in each."""

import asyncio
import logging
import os
from collections.abc import Collection, Iterable
from typing import NamedTuple

from kafkalite.broker.partition import Partition
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.log_directory import LogDirectory

_log = logging.getLogger(__name__)

_UNKNOWN_SIZE = -1


class ReplicaSize(NamedTuple):
    """One replica in a directory."""

    partition: TopicPartition
    size_bytes: int
    offset_lag: int
    """By how much its end is behind the high watermark that it knows of."""


class LogDirState(NamedTuple):
    """One log directory."""

    path: str
    failure: str | None
    """Why it cannot be used; None: it can."""
    total_bytes: int
    """Of the file system it is on; -1 where that cannot be found out, as with the next."""
    usable_bytes: int
    replicas: list[ReplicaSize]


class LogDirs:
    """Describes this broker's log directories. Keeps nothing; on the event loop."""

    def __init__(self, directories: LogDirectories, partitions: Iterable[Partition]) -> None:
        """Build; `partitions` gives, each time it is gone through, those that are open."""
        self._directories = directories
        self._partitions = partitions

    async def describe(self, topics: Collection[str] | None = None) -> list[LogDirState]:
        """Every directory as log.dirs has them, with the partitions of `topics` (None: all)."""
        found: dict[LogDirectory, list[ReplicaSize]] = {each: [] for each in self._directories.all}
        for partition in self._partitions:
            if topics is None or partition.topic_partition.topic in topics:
                found[self._directories.directory_of(partition.log)].append(_size_of(partition))
        # In a thread: a disk that hangs must not take the loop with it.
        spaces = await asyncio.to_thread(lambda: [_space_of(each) for each in found])
        return [
            LogDirState(
                str(directory.path),
                None if directory.failed is None else str(directory.failed),
                *space,
                [] if directory.failed is not None else sorted(replicas),
            )
            for (directory, replicas), space in zip(found.items(), spaces, strict=True)
        ]


def _space_of(directory: LogDirectory) -> tuple[int, int]:
    """All bytes of the file system, and those that are left to the broker."""
    if directory.failed is not None:
        return _UNKNOWN_SIZE, _UNKNOWN_SIZE
    try:
        space = os.statvfs(directory.path)
    except OSError as error:
        _log.warning("The space of %s cannot be found out: %s", directory.path, error)
        return _UNKNOWN_SIZE, _UNKNOWN_SIZE
    return space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize


def _size_of(partition: Partition) -> ReplicaSize:
    offsets = partition.offsets
    return ReplicaSize(
        partition.topic_partition,
        partition.log.size_bytes,
        max(0, offsets.high_watermark - offsets.end),
    )
