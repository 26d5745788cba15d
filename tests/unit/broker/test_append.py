"""The native produce path: one result an entry, whatever becomes of the others."""

import asyncio

import pytest

from kafkalite.broker.append import AppendPath
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe
from kafkalite.model.errors import InvalidRequiredAcksError
from kafkalite.wire.messages import PartitionBatches, ProduceRequest, ProduceResult
from tests.support.partitions import OTHER_ID, Logs, OpenPartitions, batch_of, flush, led_by


def _entry(batch: bytes, number: int = 0, topic: str = "t") -> PartitionBatches:
    return PartitionBatches(topic, number, memoryview(batch))


async def _append(
    path: AppendPath, *entries: PartitionBatches, acks: int = 1, timeout_ms: int = 60_000
) -> list[ProduceResult]:
    return await path.append(ProduceRequest(list(entries), acks, timeout_ms))


def _path(logs: Logs, *partitions: Partition) -> AppendPath:
    return AppendPath(OpenPartitions(*partitions).table(), logs.clock, DataProbe())


def test_each_entry_is_answered_for_itself(logs: Logs) -> None:
    first, second = logs.led(0), logs.led(1)
    second.apply(led_by(OTHER_ID, epoch=1))
    path = _path(logs, first, second)
    good, _ = batch_of(b"a", b"b")
    results = asyncio.run(
        _append(
            path,
            _entry(good),
            _entry(good[:-1]),
            _entry(good, 1),
            _entry(good, 9),
            _entry(good, topic="nowhere"),
            _entry(good),
        )
    )
    assert [each.error for each in results] == [
        "",
        "CORRUPT_MESSAGE",
        "NOT_LEADER_OR_FOLLOWER",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "",
    ]
    assert [each.base_offset for each in results] == [0, -1, -1, -1, -1, 2]
    assert results[2].leader_id == OTHER_ID


@pytest.mark.parametrize("acks", [0, 1])
def test_producer_does_not_wait_for_the_flush(logs: Logs, acks: int) -> None:
    partition = logs.led()
    batch, _ = batch_of(b"a")
    (result,) = asyncio.run(_append(_path(logs, partition), _entry(batch), acks=acks))
    assert result.base_offset == 0
    assert partition.offsets.high_watermark == 0


def test_producer_waits_for_the_flush_of_all_its_partitions(logs: Logs) -> None:
    async def scenario() -> None:
        partitions = logs.led(0), logs.led(1)
        batch, _ = batch_of(b"a")
        path = _path(logs, *partitions)
        waiting = asyncio.create_task(_append(path, _entry(batch), _entry(batch, 1), acks=-1))
        for partition in partitions:
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            flush(partition)
        assert [each.error for each in await waiting] == ["", ""]

    asyncio.run(scenario())


def test_producer_is_told_which_of_its_partitions_is_not_confirmed_in_time(logs: Logs) -> None:
    async def scenario() -> None:
        prompt, slow = logs.led(0), logs.led(1)
        batch, _ = batch_of(b"a")
        path = _path(logs, prompt, slow)
        waiting = asyncio.create_task(
            _append(path, _entry(batch), _entry(batch, 1), acks=-1, timeout_ms=1)
        )
        await asyncio.sleep(0)
        flush(prompt)
        assert [each.error for each in await waiting] == ["", "REQUEST_TIMED_OUT"]

    asyncio.run(scenario())


@pytest.mark.parametrize("acks", [-2, 2])
def test_illegal_acks_are_refused_before_anything_is_appended(logs: Logs, acks: int) -> None:
    partition = logs.led()
    batch, _ = batch_of(b"a")
    with pytest.raises(InvalidRequiredAcksError):
        asyncio.run(_append(_path(logs, partition), _entry(batch), acks=acks))
    assert partition.log.end_offset == 0
