"""Opens the logs of partitions that are assigned to this broker, and removes those that went."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from kafkalite.broker.partition import Partition
from kafkalite.config.topic_config import TopicSettings
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import TopicPartition
from kafkalite.storage.log import Log
from kafkalite.storage.log_directories import LogDirectories

RETRY_S: Final = 5.0
"""How long to wait before a log that could not be made or removed is tried again."""

_log = logging.getLogger(__name__)


class Holdings(Protocol):
    """What is held here and what should be, as the picture of the cluster says now."""

    def held(self, topic_partition: TopicPartition) -> Partition | None:
        """The partition, if it is open."""

    def topic_here(self, topic_partition: TopicPartition) -> Topic | None:
        """The topic, if this broker is to hold that partition of it."""

    def is_new(self, topic_partition: TopicPartition) -> bool:
        """Whether a log of it may begin here, though an earlier one may be on a failed disk."""

    def adopt(self, log: Log, topic: Topic) -> Partition:
        """Hold a partition from now on."""

    def drop(self, partition: Partition) -> None:
        """Hold it no longer, and serve nobody who asks for it."""

    def follow_state(self, partition: Partition) -> None:
        """Let a partition that is held act on the state that is known of it."""


class PartitionOpening:
    """One task that does to logs, in a thread, what the picture of the cluster asks for.

    Owned by the partition table, which notes what to look at. Life: `start()`, `stop()`. Until the
    files of a partition that went are gone, no namesake may take its place.
    """

    def __init__(
        self,
        holdings: Holdings,
        directories: LogDirectories,
        *,
        retire: Callable[[Partition], Awaitable[None]],
        settings_of: Callable[[Topic], TopicSettings],
    ) -> None:
        """Assign only; `retire` returns once nothing works on a partition's log any more."""
        self._holdings = holdings
        self._directories = directories
        self._retire = retire
        self._settings_of = settings_of
        self.failures: dict[TopicPartition, KafkaStorageError] = {}
        """Partitions that belong here but cannot be served."""
        self._leaving: dict[TopicPartition, Partition] = {}
        """Those that belong here no longer and whose files are not gone yet."""
        self._pending: dict[TopicPartition, None] = {}
        """Partitions to look at, in the order in which they were noted."""
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether everything noted is open, removed or has failed."""
        return self._settled.is_set()

    async def wait_until_settled(self, timeout_s: float) -> None:
        """Wait until that is so, or `timeout_s` has passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), timeout_s)

    def note(self, topic_partition: TopicPartition) -> None:
        """Look at a partition soon: it may have to be opened or removed."""
        self._pending[topic_partition] = None
        self._settled.clear()
        self._news.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="partition-opening")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            self._news.clear()
            failed: list[TopicPartition] = []
            while self._pending:
                topic_partition = next(iter(self._pending))
                # Before the work begins: what is noted during it is news that it may have missed.
                del self._pending[topic_partition]
                try:
                    await self._settle(topic_partition)
                except Exception as error:  # noqa: BLE001 - the others have to be looked at too
                    self._fail(topic_partition, error)
                    failed.append(topic_partition)
            self._settled.set()
            if failed:
                asyncio.get_running_loop().call_later(RETRY_S, self._note_all, failed)
            await self._news.wait()

    def _note_all(self, topic_partitions: list[TopicPartition]) -> None:
        for topic_partition in topic_partitions:
            self.note(topic_partition)

    def _fail(self, topic_partition: TopicPartition, error: Exception) -> None:
        if topic_partition not in self.failures:
            is_foreseen = isinstance(error, OSError | KafkaStorageError)
            _log.error(
                "%s cannot be served: %s",
                topic_partition,
                error,
                exc_info=None if is_foreseen else error,
            )
        self.failures[topic_partition] = (
            error
            if isinstance(error, KafkaStorageError)
            else KafkaStorageError(f"The log of {topic_partition} cannot be used: {error}")
        )

    async def _settle(self, topic_partition: TopicPartition) -> None:
        """Open or remove one partition, as the picture says now."""
        holdings = self._holdings
        partition = holdings.held(topic_partition)
        if partition is not None and holdings.topic_here(topic_partition) is None:
            self._leaving[topic_partition] = partition
            holdings.drop(partition)
            partition = None
        if topic_partition in self._leaving:
            await self._remove(self._leaving[topic_partition])
        topic = holdings.topic_here(topic_partition)
        if topic is None:
            self.failures.pop(topic_partition, None)
            return
        if partition is None:
            log = await asyncio.to_thread(
                self._directories.create_log,
                topic_partition,
                topic.topic_id,
                self._settings_of(topic).log_options,
                is_new=holdings.is_new(topic_partition),
            )
            partition = holdings.adopt(log, holdings.topic_here(topic_partition) or topic)
            self.failures.pop(topic_partition, None)
            if holdings.topic_here(topic_partition) is None:
                self.note(topic_partition)  # it went, or came anew, meanwhile
                return
        holdings.follow_state(partition)

    async def _remove(self, partition: Partition) -> None:
        """Delete the files of a partition that left; until then no namesake may take its place."""
        await self._retire(partition)
        # Not found: an earlier try came as far as to rename them, and the next start ends it.
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self._directories.remove_log, partition.log)
        del self._leaving[partition.topic_partition]
