"""Keeps the logs of a broker: opens them, makes them durable, notes their offsets on a timer."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from kafkalite.broker.flusher import Flusher
from kafkalite.broker.housekeeping import Chore, clean_logs, expire_producers
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.broker.scrub import Scrub
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.topic_config import TopicSettings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.storage import disk_errors
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.log_directory import LogDirectory

_DELETE_CHECK_MS: Final = 5_000
_MAX_FLUSH_CHECK_MS: Final = 1_000

_log = logging.getLogger(__name__)


class LogKeeping:
    """What happens to logs besides being appended to and read.

    Lives on the loop, for the broker; fsyncs, recovery and checkpoints run in threads.
    """

    def __init__(
        self,
        directories: LogDirectories,
        settings: BrokerSettings,
        clock: Clock,
        probe: DataProbe,
    ) -> None:
        self._directories = directories
        self._settings = settings
        self._clock = clock
        self._probe = probe
        self._policy = settings.log_flush_policy
        self._flushers: dict[Path, Flusher] = {}
        self._flusher_by_partition: dict[Partition, Flusher] = {}
        """Looked up at each append, where building the directory's path would be felt."""
        self._unflushed: dict[Partition, int] = {}
        """Under `interval`: partitions with records that wait for a flush, and since when."""

    # -- opening --------------------------------------------------------------------------------

    async def open(
        self,
        partitions: PartitionTable,
        view: MetadataView,
        own_id: BrokerId,
        settings_of: Callable[[Topic], TopicSettings],
    ) -> None:
        """Open the logs on disk that belong to this broker; leftovers of other topics go.

        A log that cannot be opened is left to the partition table, which tries it again.
        """
        by_directory: dict[LogDirectory, list[tuple[TopicPartition, Topic]]] = {}
        # Checkpoints and new logs are written in threads: a disk may fail there, too.
        loop = asyncio.get_running_loop()

        def tell(failed: LogDirectory) -> None:
            loop.call_soon_threadsafe(_tell_of_failure, failed, partitions)

        def tell_of_damage(topic_partition: TopicPartition) -> None:
            # Soon: it was found in the middle of something else.
            loop.call_soon(_tell_of_damage, topic_partition, partitions)

        self._directories.on_failure(tell)
        self._directories.on_damage(tell_of_damage)
        for directory, topic_partition, topic_id in self._directories.unopened():
            topic = view.topics.get(topic_partition.topic)
            if topic is None or not _belongs(topic_partition, topic_id, topic, own_id):
                await asyncio.to_thread(directory.discard, topic_partition)
            else:
                by_directory.setdefault(directory, []).append((topic_partition, topic))
        threads = self._settings.num_recovery_threads_per_data_dir
        await asyncio.gather(
            *(
                self._open_all(directory, wanted, partitions, settings_of, threads)
                for directory, wanted in by_directory.items()
            )
        )

    async def _open_all(
        self,
        directory: LogDirectory,
        wanted: Sequence[tuple[TopicPartition, Topic]],
        partitions: PartitionTable,
        settings_of: Callable[[Topic], TopicSettings],
        threads: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="recover")
        opening = [
            loop.run_in_executor(
                pool, directory.open_log, topic_partition, settings_of(topic).log_options
            )
            for topic_partition, topic in wanted
        ]
        try:
            for (topic_partition, topic), opened in zip(wanted, opening, strict=True):
                try:
                    partitions.adopt(await opened, topic)
                except OSError as error:
                    _log.error("The log of %s cannot be opened: %s", topic_partition, error)
        finally:
            # A broker that is stopped while it starts waits for the log in work, not for all.
            pool.shutdown(cancel_futures=True)

    def high_watermark(self, log: Log) -> int:
        """The high watermark that was last written down for a log."""
        return self._directories.high_watermark(log)

    # -- flushing -------------------------------------------------------------------------------

    def appended(self, partition: Partition, is_awaited: bool) -> None:
        """Records were appended: flush them when the policy says."""
        if self._policy is FlushPolicy.COMMIT:
            flusher = self._flusher_by_partition.get(partition)
            if flusher is None:
                flusher = self._flusher_by_partition[partition] = self._flusher_of(partition.log)
            flusher.request(partition, is_awaited=is_awaited)
        elif self._policy is FlushPolicy.INTERVAL:
            options = partition.settings.log_options
            if partition.log.records_since_flush >= options.flush_messages:
                self._flusher_of(partition.log).request(partition)
                self._unflushed.pop(partition, None)
            elif partition not in self._unflushed:
                self._unflushed[partition] = self._clock.monotonic_ms()

    def _flusher_of(self, log: Log) -> Flusher:
        directory = log.directory.parent
        flusher = self._flushers.get(directory)
        if flusher is None:
            flusher = self._flushers[directory] = Flusher(directory.name, self._probe.flush)
        return flusher

    async def retire(self, partition: Partition) -> None:
        """Return once nobody flushes a partition any more: its files are about to go."""
        self._flusher_by_partition.pop(partition, None)
        self._unflushed.pop(partition, None)
        flusher = self._flushers.get(partition.log.directory.parent)
        if flusher is not None:
            await flusher.forget(partition)

    async def _flush_overdue(self) -> None:
        now = self._clock.monotonic_ms()
        for partition, since in list(self._unflushed.items()):
            if now - since >= partition.settings.log_options.flush_ms:
                del self._unflushed[partition]
                self._flusher_of(partition.log).request(partition)

    # -- on a timer -----------------------------------------------------------------------------

    def chores(self, partitions: PartitionTable) -> list[Chore]:
        """What is to be done every so often, for as long as the broker runs."""
        settings = self._settings

        async def clean() -> None:
            await clean_logs(partitions, self._clock)

        async def write_checkpoints() -> None:
            await self.write_checkpoints(partitions)

        async def delete_files() -> None:
            now = self._clock.wall_ms()
            for partition in list(partitions):
                try:
                    partition.log.delete_expired_files(now)
                except OSError as error:
                    _log.error(
                        "Files of %s cannot be removed, will be tried again: %s",
                        partition.topic_partition,
                        error,
                    )

        async def expire() -> None:
            await expire_producers(partitions, self._clock, settings.producer_id_expiration_ms)

        chores = [
            Chore("retention", settings.log_retention_check_interval_ms, clean),
            Chore("deletion", _DELETE_CHECK_MS, delete_files),
            Chore("checkpoint", self._checkpoint_interval_ms, write_checkpoints),
            Chore("producers", settings.producer_id_expiration_check_interval_ms, expire),
        ]
        if settings.scrub_interval_ms:
            scrub = Scrub(
                partitions,
                self._clock,
                self._probe.scrub,
                interval_ms=settings.scrub_interval_ms,
                bytes_per_second=settings.log_scrub_bytes_per_second,
                chance=random.Random(),
            )
            chores.append(Chore("scrub", scrub.pause_ms, scrub.round))
        if self._policy is FlushPolicy.INTERVAL:
            interval = min(settings.log_flush_scheduler_interval_ms, _MAX_FLUSH_CHECK_MS)
            chores.append(Chore("flush", interval, self._flush_overdue))
        return chores

    @property
    def _checkpoint_interval_ms(self) -> int:
        # One file operation writes what has changed of all three: as often as the most eager asks.
        settings = self._settings
        return min(
            settings.log_flush_offset_checkpoint_interval_ms,
            settings.log_flush_start_offset_checkpoint_interval_ms,
            settings.replica_high_watermark_checkpoint_interval_ms,
        )

    async def write_checkpoints(self, partitions: Iterable[Partition]) -> None:
        """Write down how far each log is durable, begins, and is committed."""
        high_watermarks = {}
        for partition in partitions:
            high_watermarks[partition.topic_partition] = partition.offsets.high_watermark
            partition.log.mark_producers()
        for directory in list(self._directories):
            try:
                await asyncio.to_thread(directory.write_checkpoints, high_watermarks)
            except OSError as error:
                _log.error("The checkpoints in %s cannot be written: %s", directory.path, error)
                if not disk_errors.passes(error):
                    directory.disk_failed(error)

    # -- closing --------------------------------------------------------------------------------

    async def close(self, partitions: PartitionTable) -> None:
        """Flush everything and note the last offsets; the directories can be closed then."""
        for partition in partitions:
            self._flusher_of(partition.log).request(partition)
        for flusher in self._flushers.values():
            await flusher.close()
        await self.write_checkpoints(partitions)


def _tell_of_failure(directory: LogDirectory, partitions: PartitionTable) -> None:
    """Let nobody wait for what the logs of a directory that failed can no longer promise."""
    for partition in list(partitions):
        failure = partition.log.failure
        if failure is not None and partition.log.directory.parent == directory.path:
            partition.on_flush_failed(failure)
            partitions.role_changed(partition)


def _tell_of_damage(topic_partition: TopicPartition, partitions: PartitionTable) -> None:
    """Let a follower fetch from the damage on, and a leader be replaced."""
    partition = partitions.held(topic_partition)
    if partition is not None:
        partitions.role_changed(partition)


def _belongs(
    topic_partition: TopicPartition, topic_id: TopicId | None, topic: Topic, own_id: BrokerId
) -> bool:
    """Whether a log on disk is of this very topic, and this broker is one of its replicas."""
    return topic_id == topic.topic_id and own_id in topic.assignment.get(
        topic_partition.partition, ()
    )
