"""What a broker does to its logs besides appends and reads: one failing log spares the others."""

import asyncio
import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from kafkalite.broker.log_keeping import LogKeeping
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import DataProbe
from kafkalite.config.topic_config import topic_settings
from kafkalite.config.views import FlushPolicy
from kafkalite.model.errors import KafkaStorageError
from kafkalite.model.ids import TopicId, TopicPartition
from kafkalite.storage.log_directories import LogDirectories
from tests.support.fake_clock import FakeClock
from tests.support.faulty_disk import FaultyDisk
from tests.support.partitions import (
    LAG_MS,
    NOW_MS,
    OWN_ID,
    TOPIC_ID,
    batch_of,
    broker_settings,
    led_by,
)

_ONE, _TWO = Path("/one"), Path("/two")
_TIMEOUT_MS = 600_000


class _Broker:
    """Three led partitions, the first and the last of them in one directory."""

    def __init__(self) -> None:
        self.disk = FaultyDisk()
        self.directories = LogDirectories([_ONE, _TWO], self.disk)
        self.directories.open()
        self.directories.assign(OWN_ID, "cluster")
        self.clock = FakeClock(NOW_MS)
        self.settings = broker_settings(_ONE)
        self.keeping = LogKeeping(self.directories, self.settings, self.clock, DataProbe())
        self.partitions = [self._led(number) for number in range(3)]
        self.changed: list[Partition] = []
        """Partitions of which it was said that their roles changed, in order."""

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.partitions)

    def held(self, topic_partition: TopicPartition) -> Partition | None:
        return next((each for each in self if each.topic_partition == topic_partition), None)

    def role_changed(self, partition: Partition) -> None:
        self.changed.append(partition)

    def table(self) -> PartitionTable:
        return cast("PartitionTable", self)

    def _led(self, number: int) -> Partition:
        settings = topic_settings(self.settings, {"segment.bytes": "300", "retention.ms": "1000"})
        topic_id = TopicId(TOPIC_ID)
        partition = Partition(
            self.directories.create_log(
                TopicPartition("t", number), topic_id, settings.log_options, is_new=True
            ),
            settings,
            PartitionOptions(FlushPolicy.COMMIT, LAG_MS),
            OWN_ID,
            self.clock,
            initial_high_watermark=0,
            on_append=lambda *_: None,
            on_isr_due=lambda _: None,
        )
        partition.apply(led_by(OWN_ID))
        return partition

    async def open(self) -> None:
        view = MetadataView()
        await self.keeping.open(
            self.table(), view, OWN_ID, lambda topic: topic_settings(self.settings, topic.config)
        )

    async def chore(self, name: str) -> None:
        await next(each for each in self.keeping.chores(self.table()) if each.name == name).do()


def _append(partition: Partition, value: bytes = b"x") -> int:
    batch, header = batch_of(value)
    return partition.append(batch, [header], acks_all=True).end_offset


def test_all_who_wait_on_a_directory_hear_that_it_failed() -> None:
    async def scenario() -> None:
        broker = _Broker()
        await broker.open()
        first, other, last = broker
        waiting = [each.committed(_append(each), _TIMEOUT_MS) for each in broker]
        broker.disk.fail_next("writev", errno.EIO)
        with pytest.raises(KafkaStorageError):
            _append(first)
        await asyncio.sleep(0)  # a disk may fail in a thread: the loop hears of it in its next turn
        for future, partition in zip(waiting, broker, strict=True):
            assert future is not None
            assert future.done() == (partition is not other)
        for future in (waiting[0], waiting[2]):
            assert future is not None
            assert isinstance(future.exception(), KafkaStorageError)
        assert broker.changed == [first, last]
        with pytest.raises(KafkaStorageError, match="/one failed"):
            _append(last)
        assert _append(other)

    asyncio.run(scenario())


@pytest.mark.parametrize(("error", "fails"), [(errno.EROFS, True), (errno.ENOSPC, False)])
def test_directory_whose_checkpoints_cannot_be_written_has_failed_unless_it_is_full(
    error: int, *, fails: bool
) -> None:
    async def scenario() -> None:
        broker = _Broker()
        await broker.open()
        for partition in broker:
            _append(partition)
        broker.disk.fail_next("writev", error)
        await broker.chore("checkpoint")
        await asyncio.sleep(0)
        first, _, last = broker
        assert [path.failed is not None for path in broker.directories.all] == [fails, False]
        assert broker.changed == ([first, last] if fails else [])

    asyncio.run(scenario())


def test_damage_that_is_met_is_told_once_what_met_it_is_over() -> None:
    async def scenario() -> None:
        broker = _Broker()
        await broker.open()
        first, other, _ = broker
        for partition in (first, other):
            _append(partition, b"x" * 100)
        (log_file,) = [
            each.name
            for each in broker.disk.list_directory(other.log.directory)
            if each.name.endswith(".log")
        ]
        broker.disk.flip_bit(other.log.directory / log_file, 120)
        other.log.inspect(0)
        assert other.log.damaged
        assert not broker.changed
        await asyncio.sleep(0)
        assert broker.changed == [other]

    asyncio.run(scenario())


@pytest.mark.parametrize(("interval", "has_scrub"), [("0", False), ("1000", True)])
def test_scrub_is_a_chore_unless_it_is_switched_off(interval: str, has_scrub: bool) -> None:
    broker = _Broker()
    settings = broker_settings(_ONE, log_scrub_interval_ms=interval)
    keeping = LogKeeping(broker.directories, settings, broker.clock, DataProbe())
    names = [chore.name for chore in keeping.chores(broker.table())]
    assert ("scrub" in names) == has_scrub


def test_files_that_cannot_be_removed_hold_up_no_other_partition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        broker = _Broker()
        for partition in broker:
            for _ in range(3):
                _append(partition, b"x" * 200)
            partition.log.apply_retention(NOW_MS + 5_000, 3)
        broker.clock.now_ms = NOW_MS + 10**6
        broker.disk.fail_next("unlink", errno.EPERM)
        with caplog.at_level(logging.ERROR):
            await broker.chore("deletion")
        left = {
            str(partition.topic_partition)
            for partition in broker
            for entry in broker.disk.list_directory(partition.log.directory)
            if entry.name.endswith(".deleted")
        }
        assert left == {"t-0"}
        assert "t-0" in caplog.text

    asyncio.run(scenario())


def test_a_directory_without_space_holds_up_no_other_ones_checkpoints(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        broker = _Broker()
        for partition in broker:
            _append(partition)
        broker.disk.fail_next("sync", errno.ENOSPC)
        with caplog.at_level(logging.ERROR):
            await broker.chore("checkpoint")
        assert "/one" in caplog.text
        names = {entry.name for entry in broker.disk.list_directory(_TWO)}
        assert "recovery-point-offset-checkpoint" in names

    asyncio.run(scenario())
