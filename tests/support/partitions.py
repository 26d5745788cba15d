"""Partitions with real logs on disk, a clock that stands still, and flushes at command."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.config.keys import BrokerSettings
from kafkalite.config.topic_config import topic_settings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.cluster import PartitionState
from kafkalite.model.errors import UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition
from kafkalite.model.record import Record
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.storage.recent_batches import RecentBudget
from kafkalite.wire.batch import BatchHeader
from kafkalite.wire.records import decode_batches, encode_batch_with_header
from tests.support.fake_clock import FakeClock

OWN_ID = BrokerId(0)
OTHER_ID = BrokerId(1)
NOW_MS = 1_700_000_000_000
LAG_MS = 30_000
TOPIC_ID = TopicId("AAAAAAAAAAAAAAAAAAAAAA")


def broker_settings(directory: Path, **settings: str) -> BrokerSettings:
    """A broker's settings; keys with underscores for dots."""
    given = {"broker_id": "0", "log_dirs": str(directory), "zookeeper_connect": "nowhere:2181"}
    return BrokerSettings.model_validate({**given, **settings})


def led_by(
    leader: int, *, epoch: int = 0, isr: tuple[int, ...] = (0,), version: int = 0
) -> PartitionState:
    """A state of a partition."""
    return PartitionState(
        BrokerId(leader),
        LeaderEpoch(epoch),
        tuple(BrokerId(each) for each in isr),
        ControllerEpoch(1),
        version,
    )


def batch_of(*values: bytes, timestamp: int = NOW_MS) -> tuple[bytes, BatchHeader]:
    """One batch and its header."""
    records = [Record(value, timestamp=timestamp) for value in values]
    return encode_batch_with_header(records, now_ms=NOW_MS)


class Logs:
    """Makes partitions of topic `t`, each with a log in `directory`; closed by the test's end."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock(NOW_MS)
        self.settings = broker_settings(directory)
        self.isr_due: list[Partition] = []
        """Partitions whose in-sync replicas may have to change, in order."""
        self.appended: list[Partition] = []
        """Partitions that asked for a flush, in order."""
        self.directories = LogDirectories([directory])
        self.directories.open()
        self.directories.assign(OWN_ID, "cluster")

    def partition(
        self,
        number: int = 0,
        *,
        policy: FlushPolicy = FlushPolicy.COMMIT,
        config: dict[str, str] | None = None,
        high_watermark: int = 0,
        on_isr_due: Callable[[Partition], None] | None = None,
        recent: RecentBudget | None = None,
    ) -> Partition:
        """A new one, which nobody leads yet."""
        settings = topic_settings(self.settings, config or {})
        log = self.directories.create_log(
            TopicPartition("t", number), TOPIC_ID, settings.log_options, is_new=True
        )
        return Partition(
            log,
            settings,
            PartitionOptions(policy, LAG_MS, recent=recent),
            OWN_ID,
            self.clock,
            initial_high_watermark=high_watermark,
            on_append=lambda partition, *_: self.appended.append(partition),
            on_isr_due=on_isr_due or self.isr_due.append,
        )

    def led(self, number: int = 0, *, config: dict[str, str] | None = None) -> Partition:
        """A new one that this broker leads, under the policy `commit`."""
        partition = self.partition(number, config=config)
        partition.apply(led_by(OWN_ID))
        return partition


def flush(partition: Partition) -> None:
    """What the flusher does, at once."""
    job = partition.log.flush_job()
    assert job is not None, "nothing to flush"
    job.run()
    partition.log.flushed(job, None)
    partition.on_flushed()


def values_of(partition: Partition, offset: int = 0) -> list[bytes | None]:
    """The values that a reader gets from `offset` on, in one read."""
    read = partition.read(offset, 1 << 20)
    if read is None:
        return []
    return [record.value for record in decode_batches(read.read(), max_bytes=1 << 20)]


class OpenPartitions:
    """Stands for a partition table whose partitions are all open."""

    def __init__(self, *partitions: Partition) -> None:
        self._partitions = {each.topic_partition.partition: each for each in partitions}

    def table(self) -> PartitionTable:
        return cast("PartitionTable", self)

    def get(self, topic: str, number: int) -> Partition:
        partition = self._partitions.get(number)
        if topic != "t" or partition is None:
            raise UnknownTopicOrPartitionError(f"there is no {topic}-{number}")
        return partition

    async def find(self, topic: str, number: int) -> Partition:
        return self.get(topic, number)

    async def partition_count(self, topic: str) -> int:
        if topic != "t":
            raise UnknownTopicOrPartitionError(f"there is no {topic}")
        return len(self._partitions)

    def known_count(self, topic: str) -> int | None:
        return len(self._partitions) if topic == "t" else None

    def led_partitions(self, _topic: str) -> list[int]:
        return [number for number, each in self._partitions.items() if each.is_leader]

    def wake_readers(self) -> None:
        for partition in self._partitions.values():
            partition.readers.wake()
