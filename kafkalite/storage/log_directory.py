"""One of `log.dirs`: the logs in it, whose it is, and what is known of them between starts.

    .lock                               held while a broker has the directory open
    meta.properties                     meta_properties.py
    .reserve                            reserve.py
    .kafka_cleanshutdown                empty; there only after everything was closed durable
    recovery-point-offset-checkpoint    \\
    log-start-offset-checkpoint          > checkpoint.py
    replication-offset-checkpoint       /
    <topic>-<partition>/                a log: segment.py, partition_metadata.py, checkpoint.py
    <topic>-<partition>.<id>-delete/    a log on its way out
    <topic>-<partition>.<id>-stray/     a log that does not say which topic it is of; let be
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from kafkalite.config.views import LogOptions
from kafkalite.model.ids import TopicId, TopicPartition
from kafkalite.storage import checkpoint, disk_errors
from kafkalite.storage.checkpoint import CheckpointError
from kafkalite.storage.directory_lock import DirectoryLock
from kafkalite.storage.files import OpenFile
from kafkalite.storage.log import Log
from kafkalite.storage.log_home import OffsetsOfLog
from kafkalite.storage.meta_properties import Identity, read_identity, write_identity
from kafkalite.storage.open_files import OpenFiles
from kafkalite.storage.partition_metadata import PartitionMetadata, read_metadata, write_metadata
from kafkalite.storage.recovery import KnownOffsets
from kafkalite.storage.reserve import RESERVE, Reserve
from kafkalite.storage.segment import LOG_SUFFIX

CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"
_DELETE_SUFFIX: Final = "-delete"
_STRAY_SUFFIX: Final = "-stray"
_LINE_BYTES: Final = 32
"""Of a checkpoint, besides the topic's name."""

_log = logging.getLogger(__name__)


class LogDirectory:
    """Owns the logs of one directory; opened and closed once.

    `open_log`, `create_log`, `remove_log` and `write_checkpoints` may run in any thread, one log in
    one thread at a time; the logs belong to the broker's own.
    """

    def __init__(self, path: Path, open_files: OpenFiles) -> None:
        self.path = path
        self.identity: Identity | None = None
        """Whose it is; None while it is new."""
        self.logs: dict[TopicPartition, Log] = {}
        self.unopened: dict[TopicPartition, TopicId | None] = {}
        """Logs that are on disk and not opened, with the id of their topic where it is known."""
        self.begun_anew: set[TopicPartition] = set()
        """Logs on disk that were begun while another log of theirs was out of reach."""
        self.failed: OSError | None = None
        """Why the directory cannot be used; its logs then refuse appends, others' do not."""
        self.on_failure: Callable[[LogDirectory], None] = lambda _: None
        """Called once, after the directory and all of its logs have failed."""
        self.on_damage: Callable[[TopicPartition], None] = lambda _: None
        """Called when a log that is open is found to be more damaged than was known."""
        self._open_files = open_files
        self._disk = open_files.disk
        self._lock = DirectoryLock(self._disk, path)
        self._mutex = threading.Lock()
        """Guards the checkpoint files and what they are made from."""
        self._known: dict[str, dict[TopicPartition, int]] = {}
        """What each checkpoint file holds."""
        self._high_watermarks: dict[TopicPartition, int] = {}
        self._reserve = Reserve(self._disk, path)
        self._was_clean = False
        self._in_use = False

    # -- life -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Take the directory and read what is in it, opening no log yet.

        Raises:
            StorageError: another broker uses it, or it is not sound.
            OSError: the disk failed.
        """
        self._make()
        self._lock.take()
        self.identity = read_identity(self._disk, self.path)
        for name in (
            checkpoint.RECOVERY_POINTS,
            checkpoint.START_OFFSETS,
            checkpoint.HIGH_WATERMARKS,
        ):
            try:
                self._known[name] = checkpoint.read_offsets(self._disk, self.path / name)
            except CheckpointError as error:
                _log.warning("%s; every log is verified from its start", error)
                self._known[name] = {}
        self._high_watermarks = dict(self._known[checkpoint.HIGH_WATERMARKS])
        for entry in self._disk.list_directory(self.path):
            if entry.name == CLEAN_SHUTDOWN:
                self._was_clean = True
            elif entry.name == RESERVE:
                self._reserve.found(entry.size)
            elif not entry.is_directory:
                continue
            elif entry.name.endswith(_DELETE_SUFFIX):
                self._delete_files(self.path / entry.name)
            else:
                topic, separator, number = entry.name.rpartition("-")
                if separator and topic and number.isascii() and number.isdigit():
                    self._find(TopicPartition(topic, int(number)), self.path / entry.name)

    def _find(self, topic_partition: TopicPartition, directory: Path) -> None:
        metadata = read_metadata(self._disk, directory)
        self.unopened[topic_partition] = None if metadata is None else metadata.topic_id
        if metadata is not None and metadata.begun_anew:
            self.begun_anew.add(topic_partition)

    def _make(self) -> None:
        """Make the directory durably, and those above it that are missing. Raises OSError."""
        missing = [self.path]
        while not self._is_there(missing[-1].parent):
            missing.append(missing[-1].parent)
        self._disk.make_directory(self.path)
        for made in reversed(missing):
            self._disk.sync_directory(made.parent)

    def _is_there(self, directory: Path) -> bool:
        try:
            self._disk.list_directory(directory)
        except FileNotFoundError:
            return False
        except PermissionError:
            pass  # somebody's who lets nobody look
        return True

    def assign(self, identity: Identity) -> None:
        """Note durably whose directory it is. Raises OSError."""
        if self.identity != identity:
            write_identity(self._disk, self.path, identity)
            self.identity = identity
        with self._mutex:
            self._fill_reserve()

    def close(self) -> None:
        """Close the logs and let go of the directory, marked clean if all is durable.

        May be called again.
        """
        logs = list(self.logs.values())
        is_clean = (
            self._in_use
            and self.failed is None
            and (self._was_clean or not self.unopened)
            and all(
                log.failure is None and log.durable_end_offset == log.end_offset for log in logs
            )
        )
        for log in logs:
            log.close()
        try:
            if self._in_use and self.failed is None:
                self.write_checkpoints({})
            if is_clean:
                OpenFile(self._disk, self.path / CLEAN_SHUTDOWN, os.O_WRONLY | os.O_CREAT)
                self._disk.sync_directory(self.path)
        except OSError as error:
            _log.error("%s could not be marked as cleanly closed: %s", self.path, error)
        self.logs.clear()
        self._in_use = False
        self._lock.release()

    # -- logs -----------------------------------------------------------------------------------

    def open_log(self, topic_partition: TopicPartition, options: LogOptions) -> Log:
        """Open one of `unopened`; after an unclean stop it is verified, which takes its time.

        Raises:
            OSError: the disk failed.
        """
        self._begin_use()
        directory = self.path / str(topic_partition)
        topic_id = self.unopened[topic_partition]
        log = Log(
            topic_partition, topic_id or TopicId(""), directory, self, self._open_files, options
        )
        known = KnownOffsets(
            start=self._known[checkpoint.START_OFFSETS].get(topic_partition, 0),
            recovery_point=self._known[checkpoint.RECOVERY_POINTS].get(topic_partition, 0),
            high_watermark=self._known[checkpoint.HIGH_WATERMARKS].get(topic_partition, 0),
        )
        log.open(known, is_clean=self._was_clean)
        self._add(log)
        return log

    def create_log(
        self,
        topic_partition: TopicPartition,
        topic_id: TopicId,
        options: LogOptions,
        *,
        begun_anew: bool = False,
    ) -> Log:
        """Make an empty log, durable on return; one of another topic in its place is discarded.

        `begun_anew`: there may be another one in a directory that failed, which is out of date.

        Raises:
            KafkaStorageError: the directory has failed.
            OSError: the disk is full or failed.
        """
        if self.failed is not None:
            raise disk_errors.final(self.failed, self.path)
        self._begin_use()
        if topic_partition in self.unopened:
            self.discard(topic_partition)
        self._forget(topic_partition)
        directory = self.path / str(topic_partition)
        self._disk.make_directory(directory)
        write_metadata(self._disk, directory, PartitionMetadata(topic_id, begun_anew))
        log = Log(topic_partition, topic_id, directory, self, self._open_files, options)
        log.open(KnownOffsets(), is_clean=True)
        self._disk.sync_directory(self.path)
        self._add(log)
        return log

    def remove_log(self, log: Log) -> None:
        """Close a log and delete its files. Raises OSError."""
        self.logs.pop(log.topic_partition, None)
        log.close()
        self._delete_directory(log.topic_partition)

    def drop_outdated(self, topic_partition: TopicPartition) -> None:
        """Delete one of `unopened` in whose place another one was begun. Raises OSError."""
        _log.warning("%s is out of date and goes", self.path / str(topic_partition))
        self._delete_directory(topic_partition)
        del self.unopened[topic_partition]

    def discard(self, topic_partition: TopicPartition) -> None:
        """Delete one of `unopened`, which is another topic's; set aside what may be anyone's.

        Raises:
            OSError: the disk failed.
        """
        directory = self.path / str(topic_partition)
        is_known = self.unopened[topic_partition] is not None
        if is_known or not self._holds_records(directory):
            _log.warning("%s is the leftover of another topic and goes", directory)
            self._delete_directory(topic_partition)
        else:
            aside = self._rename(topic_partition, _STRAY_SUFFIX)
            self._forget(topic_partition)
            _log.error("%s does not say which topic it is of, and is kept as %s", directory, aside)
        del self.unopened[topic_partition]

    def _holds_records(self, directory: Path) -> bool:
        return any(
            entry.size
            for entry in self._disk.list_directory(directory)
            if entry.name.endswith(LOG_SUFFIX)
        )

    def _add(self, log: Log) -> None:
        self.unopened.pop(log.topic_partition, None)
        self.logs[log.topic_partition] = log
        if self.failed is not None:
            log.fail(disk_errors.final(self.failed, self.path))

    def _begin_use(self) -> None:
        """From now on the directory is not clean."""
        with self._mutex:
            if self._in_use:
                return
            try:
                self._disk.unlink(self.path / CLEAN_SHUTDOWN)
                self._disk.sync_directory(self.path)
            except FileNotFoundError:
                pass
            self._in_use = True

    def _delete_directory(self, topic_partition: TopicPartition) -> None:
        # The files first: on a full disk nothing can be written before they are gone.
        self._delete_files(self._rename(topic_partition, _DELETE_SUFFIX))
        self._forget(topic_partition)

    def _rename(self, topic_partition: TopicPartition, suffix: str) -> Path:
        """Take a log's directory out of the way, durably."""
        directory = self.path / str(topic_partition)
        target = directory.with_name(f"{directory.name}.{uuid.uuid4().hex}{suffix}")
        self._disk.rename(directory, target)
        self._disk.sync_directory(self.path)
        return target

    def _delete_files(self, directory: Path) -> None:
        for entry in self._disk.list_directory(directory):
            self._disk.unlink(directory / entry.name)
        self._disk.remove_directory(directory)

    # -- checkpoints ----------------------------------------------------------------------------

    def high_watermark(self, topic_partition: TopicPartition) -> int:
        """The high watermark last written; 0 where none was."""
        return self._high_watermarks.get(topic_partition, 0)

    def write_checkpoints(self, high_watermarks: Mapping[TopicPartition, int]) -> None:
        """Make durable how far each log is durable, begins, and is committed.

        Args:
            high_watermarks: those of this directory's logs; what is not named stays as it was.

        Raises:
            OSError: the disk is full or failed.
        """
        logs = list(self.logs.values())
        # The epochs below a recovery point must be durable before it is: so it is taken first.
        points = {log.topic_partition: log.durable_end_offset for log in logs}
        for log in logs:
            if log.failure is None:
                self._persist(log)
        with self._mutex:
            for log in logs:
                offset = high_watermarks.get(log.topic_partition)
                if offset is not None and log.topic_partition in self.logs:
                    # A log that was truncated meanwhile has no such offset any more.
                    self._high_watermarks[log.topic_partition] = min(offset, log.end_offset)
            self._write(checkpoint.RECOVERY_POINTS, self._recovery_points(points))
            self._write(checkpoint.START_OFFSETS, self._start_offsets())
            self._write(checkpoint.HIGH_WATERMARKS, dict(self._high_watermarks))
            self._fill_reserve()

    def _persist(self, log: Log) -> None:
        try:
            log.persist()
        except FileNotFoundError:
            if self.logs.get(log.topic_partition) is log:
                raise
            # Removed meanwhile, by another thread: the disk is sound.

    def start_offset_moved(self) -> None:
        """Make the new start offset of a log durable. Raises OSError."""
        with self._mutex:
            self._write_though_full(checkpoint.START_OFFSETS, self._start_offsets())

    def write_though_full(self, write: Callable[[], object]) -> None:
        """Call `write`; on a full disk it may use the reserve. Raises OSError."""
        with self._mutex:
            self._with_reserve(write)

    def lower_checkpoints(self, log: OffsetsOfLog, offset: int) -> None:
        """See that no durable checkpoint names an offset above `offset`. Raises OSError."""
        key = log.topic_partition
        with self._mutex:
            log.durable_end_offset = min(log.durable_end_offset, offset)
            if self._high_watermarks.get(key, 0) > offset:
                self._high_watermarks[key] = offset
            for name in (checkpoint.RECOVERY_POINTS, checkpoint.HIGH_WATERMARKS):
                if self._known[name].get(key, 0) > offset:
                    self._write_though_full(name, self._known[name] | {key: offset})

    def _recovery_points(self, points: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        known = self._known[checkpoint.RECOVERY_POINTS]
        kept = {
            key: offset for key, offset in known.items() if key in self.unopened or key in self.logs
        }
        # A log may have been removed, or truncated, since its point was taken.
        return kept | {
            key: min(points[key], log.durable_end_offset)
            for key, log in list(self.logs.items())
            if key in points
        }

    def _start_offsets(self) -> dict[TopicPartition, int]:
        known = self._known[checkpoint.START_OFFSETS]
        offsets = {key: known[key] for key in list(self.unopened) if key in known}
        offsets.update(
            {key: log.start_offset for key, log in list(self.logs.items()) if log.start_offset}
        )
        return offsets

    def _forget(self, topic_partition: TopicPartition) -> None:
        """Take a log out of the checkpoints: a new one of its name begins at 0. Raises OSError."""
        with self._mutex:
            self._high_watermarks.pop(topic_partition, None)
            for name, known in list(self._known.items()):
                if topic_partition in known:
                    kept = {key: known[key] for key in known if key != topic_partition}
                    self._write_though_full(name, kept)

    def _write(self, name: str, offsets: dict[TopicPartition, int]) -> None:
        if self._known[name] != offsets:
            checkpoint.write_offsets(self._disk, self.path / name, offsets)
            self._known[name] = offsets

    def _write_though_full(self, name: str, offsets: dict[TopicPartition, int]) -> None:
        """As `_write`, of what leads to more space: on a full disk it may use the reserve."""
        self._with_reserve(lambda: self._write(name, offsets))

    def _with_reserve(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not disk_errors.is_full(error) or not self._reserve.release():
                raise
            write()
            self._fill_reserve()

    def _fill_reserve(self) -> None:
        """Reserve as much as the longest checkpoint may take."""
        self._reserve.fill(
            sum(len(key.topic) + _LINE_BYTES for keys in (self.logs, self.unopened) for key in keys)
        )

    # -- failing --------------------------------------------------------------------------------

    def damage_found(self, topic_partition: TopicPartition) -> None:
        """Tell whoever wants to know that a log has lost something."""
        self.on_damage(topic_partition)

    def disk_failed(self, error: OSError) -> None:
        """Take the whole directory out of use for appends; other directories go on."""
        if self.failed is None:
            self.failed = error
            _log.error("Log directory %s failed: %s", self.path, error)
            for log in list(self.logs.values()):
                log.fail(disk_errors.final(error, self.path))
            self.on_failure(self)
