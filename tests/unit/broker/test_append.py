"""The native produce path: one result an entry, whatever becomes of the others."""

import asyncio
import threading

import pytest

from kafkalite.broker import batch_rules
from kafkalite.broker.append import AppendPath
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe
from kafkalite.model.compression import Compression
from kafkalite.model.errors import InvalidRequiredAcksError
from kafkalite.model.record import Record
from kafkalite.wire.batch import Buffer, read_headers
from kafkalite.wire.messages import PartitionBatches, ProduceRequest, ProduceResult
from kafkalite.wire.records import decode_batch, encode_batch
from kafkalite.wire.restamp import recompress
from tests.support.forwarding import forwarding
from tests.support.partitions import (
    NOW_MS,
    OTHER_ID,
    OWN_ID,
    Logs,
    OpenPartitions,
    batch_of,
    flush,
    led_by,
    values_of,
)


def _entry(batch: bytes, number: int = 0, topic: str = "t") -> PartitionBatches:
    return PartitionBatches(topic, number, memoryview(batch))


async def _append(
    path: AppendPath, *entries: PartitionBatches, acks: int = 1, timeout_ms: int = 60_000
) -> list[ProduceResult]:
    return await path.append(ProduceRequest(list(entries), acks, timeout_ms))


def _path(logs: Logs, *partitions: Partition) -> AppendPath:
    return AppendPath(OpenPartitions(*partitions).table(), forwarding(), DataProbe())


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


def test_producer_hears_that_a_later_partition_is_lost_while_it_waits_for_an_earlier_one(
    logs: Logs,
) -> None:
    async def scenario() -> None:
        first, second = logs.led(0), logs.led(1)
        batch, _ = batch_of(b"a")
        path = _path(logs, first, second)
        waiting = asyncio.create_task(_append(path, _entry(batch), _entry(batch, 1), acks=-1))
        for _ in range(5):
            await asyncio.sleep(0)
        second.step_down()
        # Led anew, and past those offsets with the records of others: they prove nothing.
        second.apply(led_by(OWN_ID, epoch=2))
        flush(second)
        flush(first)
        results = await waiting
        assert [each.error for each in results] == ["", "NOT_LEADER_OR_FOLLOWER"]

    asyncio.run(scenario())


def test_batches_are_compressed_as_the_topic_wants_one_a_turn(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[int] = []
    turn = 0

    def watched(batch: Buffer, codec: Compression) -> bytes:
        turns.append(turn)
        return recompress(batch, codec)

    monkeypatch.setattr(batch_rules, "recompress", watched)

    async def scenario() -> None:
        nonlocal turn
        partition = logs.led(config={"compression.type": "zstd"})
        plain, _ = batch_of(b"a", b"b")
        fitting = encode_batch([Record(b"c")], now_ms=NOW_MS, compression=Compression.ZSTD)
        entry = _entry(plain + fitting + plain)
        appending = asyncio.create_task(_append(_path(logs, partition), entry))
        while not appending.done():
            turn += 1
            await asyncio.sleep(0)
        assert [each.error for each in await appending] == [""]
        flush(partition)
        read = partition.read(0, 10_000)
        assert read is not None
        stored = read_headers(read.read())
        assert [header.compression for header in stored] == [Compression.ZSTD] * 3
        assert values_of(partition) == [b"a", b"b", b"c", b"a", b"b"]

    asyncio.run(scenario())
    assert len(turns) == len(set(turns)) == 2


@pytest.mark.parametrize(
    ("batch", "is_quick"),
    [
        pytest.param(encode_batch([Record(b"x" * 60_000)], now_ms=NOW_MS), True, id="small"),
        pytest.param(encode_batch([Record(b"x" * 70_000)], now_ms=NOW_MS), False, id="large"),
        pytest.param(
            encode_batch([Record(b"x" * 70_000)], now_ms=NOW_MS, compression=Compression.GZIP),
            False,
            id="compressed otherwise",
        ),
    ],
)
def test_only_what_is_quickly_compressed_is_compressed_on_the_loop(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, batch: bytes, *, is_quick: bool
) -> None:
    threads: list[int] = []

    def watched(batch: Buffer, codec: Compression) -> bytes:
        threads.append(threading.get_ident())
        return recompress(batch, codec)

    monkeypatch.setattr(batch_rules, "recompress", watched)
    partition = logs.led(config={"compression.type": "zstd"})
    (result,) = asyncio.run(_append(_path(logs, partition), _entry(batch)))
    assert result.error == ""
    assert [thread == threading.get_ident() for thread in threads] == [is_quick]
    flush(partition)
    assert values_of(partition) == [decode_batch(batch, max_bytes=1 << 20)[0].value]


def test_batch_that_is_too_large_as_the_topic_stores_it_is_refused(logs: Logs) -> None:
    partition = logs.led(config={"compression.type": "uncompressed", "max.message.bytes": "5000"})
    records = [Record(b"x" * 10_000)]
    batch = encode_batch(records, now_ms=NOW_MS, compression=Compression.GZIP)
    (result,) = asyncio.run(_append(_path(logs, partition), _entry(batch)))
    assert result.error == "MESSAGE_TOO_LARGE"
    assert partition.log.end_offset == 0


def test_batches_that_are_too_many_bytes_as_the_topic_stores_them_are_refused(logs: Logs) -> None:
    partition = logs.led(config={"compression.type": "uncompressed"})
    records = [Record(b"x" * 1_000_000)]
    batch = encode_batch(records, now_ms=NOW_MS, compression=Compression.ZSTD)
    (result,) = asyncio.run(_append(_path(logs, partition), _entry(batch * 17)))
    assert result.error == "MESSAGE_TOO_LARGE"
    assert partition.log.end_offset == 0


@pytest.mark.parametrize("acks", [-2, 2])
def test_illegal_acks_are_refused_before_anything_is_appended(logs: Logs, acks: int) -> None:
    partition = logs.led()
    batch, _ = batch_of(b"a")
    with pytest.raises(InvalidRequiredAcksError):
        asyncio.run(_append(_path(logs, partition), _entry(batch), acks=acks))
    assert partition.log.end_offset == 0
