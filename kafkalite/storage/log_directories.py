"""All of `log.dirs`: one broker's, each of which may fail by itself."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import TopicId, TopicPartition
from kafkalite.storage.errors import StorageError
from kafkalite.storage.files import Disk, LocalDisk
from kafkalite.storage.log import Log
from kafkalite.storage.log_directory import LogDirectory
from kafkalite.storage.meta_properties import Identity, current_boot_id
from kafkalite.storage.open_files import OpenFiles

_log = logging.getLogger(__name__)


class LogDirectories:
    """The directories that could be opened, the logs in them, and where a new log goes.

    Lifecycle: `open()`, `assign()`, then open or discard what `unopened()` gives, `close()`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        disk: Disk | None = None,
        *,
        max_open_files: int | None = None,
    ) -> None:
        self._open_files = OpenFiles(disk or LocalDisk(), max_open_files)
        self._all = [LogDirectory(path, self._open_files) for path in paths]

    def __iter__(self) -> Iterator[LogDirectory]:
        """The directories that have not failed."""
        return (directory for directory in self._all if directory.failed is None)

    @property
    def all(self) -> Sequence[LogDirectory]:
        """The failed ones too, as log.dirs has them."""
        return tuple(self._all)

    # -- life -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the directories; one whose disk fails is left out.

        Raises:
            StorageError: none is left, another broker uses one, or they contradict each other.
            OSError: what is out of date cannot be removed.
        """
        try:
            for directory in self._all:
                try:
                    directory.open()
                except OSError as error:
                    _log.error("Log directory %s cannot be used: %s", directory.path, error)
                    directory.failed = error
            self._check()
        except (StorageError, OSError):
            self.close()
            raise

    def close(self) -> None:
        """Close every log and let go of the directories; may be called again."""
        for directory in self._all:
            directory.close()

    def _check(self) -> None:
        if not any(self):
            reasons = "; ".join(f"{each.path}: {each.failed}" for each in self._all)
            raise StorageError(f"None of log.dirs can be used: {reasons}")
        identities = {(each.identity[:2]): each.path for each in self if each.identity is not None}
        if len(identities) > 1:
            owners = "; ".join(
                f"{path} is of broker {broker} in cluster {cluster}"
                for (broker, cluster), path in identities.items()
            )
            raise StorageError(f"log.dirs belong to different brokers (meta.properties): {owners}")
        places: dict[TopicPartition, LogDirectory] = {}
        for directory in self:
            for topic_partition in list(directory.unopened):
                other = places.setdefault(topic_partition, directory)
                if other is not directory:
                    places[topic_partition] = _keep_newer(topic_partition, other, directory)

    def on_failure(self, told: Callable[[LogDirectory], None]) -> None:
        """Call `told` once for each directory that fails from now on, after its logs have failed.

        In the thread that met the error: that of the logs' owner, once there are any.
        """
        for directory in self._all:
            directory.on_failure = told

    def on_damage(self, told: Callable[[TopicPartition], None]) -> None:
        """Call `told` whenever an open log is found to be more damaged than was known.

        On the thread of the log's owner, in the middle of what it does to the log.
        """
        for directory in self._all:
            directory.on_damage = told

    # -- whose they are -------------------------------------------------------------------------

    @property
    def identity(self) -> Identity | None:
        """Whose the directories are; None when all are new."""
        return next((each.identity for each in self if each.identity is not None), None)

    @property
    def broker_id(self) -> int | None:
        return self.identity.broker_id if self.identity else None

    @property
    def cluster_id(self) -> str | None:
        return self.identity.cluster_id if self.identity else None

    @property
    def machine_restarted(self) -> bool:
        """Whether the machine was started anew since a broker had these directories open.

        To be asked before `assign`. What was not flushed may then be lost.
        """
        return self.identity is not None and self.identity.boot_id != current_boot_id()

    def assign(self, broker_id: int, cluster_id: str) -> None:
        """Note whose the directories are.

        Raises:
            StorageError: they are another broker's or cluster's.
        """
        known = self.identity
        if known is not None and known[:2] != (broker_id, cluster_id):
            raise StorageError(
                f"{self.first_healthy} holds the logs of broker {known.broker_id} in cluster "
                f"{known.cluster_id} (meta.properties), not of broker {broker_id} in cluster "
                f"{cluster_id}. Correct zookeeper.connect, broker.id or log.dirs."
            )
        for directory in self:
            try:
                directory.assign(Identity(broker_id, cluster_id, current_boot_id()))
            except OSError as error:
                directory.disk_failed(error)
        if not any(self):
            self._check()

    @property
    def first_healthy(self) -> Path:
        """Where to keep what the broker keeps once."""
        return next(iter(self)).path

    # -- logs -----------------------------------------------------------------------------------

    def unopened(self) -> list[tuple[LogDirectory, TopicPartition, TopicId | None]]:
        """Logs on disk that nobody has opened or discarded, with the ids of their topics."""
        return [
            (directory, topic_partition, topic_id)
            for directory in self
            for topic_partition, topic_id in list(directory.unopened.items())
        ]

    def create_log(
        self,
        topic_partition: TopicPartition,
        topic_id: TopicId,
        options: LogOptions,
        *,
        is_new: bool,
    ) -> Log:
        """Make an empty log in the directory with the fewest.

        Where the log is on disk already, because it could not be opened before, that one is opened;
        where it is another topic's, it is discarded.

        Args:
            topic_partition: whose log it is.
            topic_id: of the topic as it is now.
            options: of the log.
            is_new: whether this broker surely never had this log, or others have all that is in it.
                Else the log may be in a directory that failed: begun anew it would give its offsets
                again.

        Raises:
            KafkaStorageError: every directory has failed, or the one where the log may be.
            OSError: the disk is full or failed.
        """
        for directory in self:
            if topic_partition in directory.unopened:
                if directory.unopened[topic_partition] == topic_id:
                    return directory.open_log(topic_partition, options)
                directory.discard(topic_partition)
        failed = [str(each.path) for each in self._all if each.failed is not None]
        if failed and not is_new:
            raise KafkaStorageError(
                f"The log of {topic_partition} may be in {', '.join(failed)}, which cannot be "
                "used, and is not begun anew elsewhere. Repair the disk, or take it out of "
                "log.dirs if its records are to be given up, and start the broker again."
            )
        emptiest = min(self, key=lambda each: len(each.logs) + len(each.unopened), default=None)
        if emptiest is None:
            raise KafkaStorageError("Every log directory of this broker has failed.")
        return emptiest.create_log(topic_partition, topic_id, options, begun_anew=bool(failed))

    def remove_log(self, log: Log) -> None:
        """Close a log and delete its files. Raises OSError."""
        self.directory_of(log).remove_log(log)

    def directory_of(self, log: Log) -> LogDirectory:
        """The directory that a log lives in."""
        return next(each for each in self._all if each.path == log.directory.parent)

    def high_watermark(self, log: Log) -> int:
        """The high watermark that was last written for a log; 0 where none was."""
        return self.directory_of(log).high_watermark(log.topic_partition)


def _keep_newer(
    topic_partition: TopicPartition, one: LogDirectory, other: LogDirectory
) -> LogDirectory:
    """Of two logs of a partition, drop the one in whose place the other was begun; gives where the
    other is.

    Raises:
        StorageError: nobody knows which one that is.
        OSError: the disk failed.
    """
    newer = [each for each in (one, other) if topic_partition in each.begun_anew]
    if len(newer) != 1:
        raise StorageError(
            f"{topic_partition} is both in {one.path} and in {other.path}. "
            "Move one of them out of log.dirs."
        )
    outdated = one if newer[0] is other else other
    outdated.drop_outdated(topic_partition)
    return newer[0]
