"""Small produce requests that need no task: what is begun, what is left alone, who is told when."""

import asyncio
import logging
from typing import Any

import pytest

from kafkalite.broker.append import AppendPath
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import DataProbe
from kafkalite.model.compression import Compression
from kafkalite.model.record import Record
from kafkalite.storage.log import Log
from kafkalite.wire.messages import (
    ACKS_ALL,
    ACKS_LEADER,
    ACKS_NONE,
    PartitionBatches,
    ProduceRequest,
    ProduceResult,
)
from kafkalite.wire.records import encode_batch
from tests.support.forwarding import forwarding
from tests.support.partitions import (
    NOW_MS,
    OTHER_ID,
    Logs,
    OpenPartitions,
    batch_of,
    flush,
    led_by,
    values_of,
)


class _Appending:
    """An append path over some partitions, and what it has told."""

    def __init__(self, *partitions: Partition) -> None:
        self.probe = DataProbe()
        self.told: list[list[ProduceResult] | Exception] = []
        self._path = AppendPath(OpenPartitions(*partitions).table(), forwarding(), self.probe)

    def begin(
        self, *entries: PartitionBatches, acks: int = ACKS_LEADER, timeout_ms: int = 60_000
    ) -> bool:
        return self._path.begin(ProduceRequest(list(entries), acks, timeout_ms), self.told.append)

    @property
    def results(self) -> list[ProduceResult]:
        """Those of the only request that was answered."""
        (results,) = self.told
        assert isinstance(results, list)
        return results


def _entry(batch: bytes, number: int = 0, topic: str = "t") -> PartitionBatches:
    return PartitionBatches(topic, number, memoryview(batch))


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("acks", [ACKS_NONE, ACKS_LEADER])
def test_results_are_told_at_once_when_nothing_is_waited_for(logs: Logs, acks: int) -> None:
    partition, other = logs.led(0), logs.led(1)
    appending = _Appending(partition, other)
    one, two = batch_of(b"a")[0], batch_of(b"b", b"c")[0]
    assert appending.begin(_entry(two), _entry(one, 1), _entry(one), acks=acks)
    assert [(each.partition, each.base_offset) for each in appending.results] == [
        (0, 0), (1, 0), (0, 2),
    ]  # fmt: skip
    flush(partition)
    assert values_of(partition) == [b"b", b"c", b"a"]
    probe = appending.probe
    assert (probe.produce_requests, probe.produce_records, probe.produce_errors) == (1, 4, 0)


def test_results_wait_for_the_flush_of_all_partitions_with_acks_all(logs: Logs) -> None:
    async def scenario() -> None:
        partitions = logs.led(0), logs.led(1)
        appending = _Appending(*partitions)
        batch, _ = batch_of(b"a")
        assert appending.begin(_entry(batch), _entry(batch, 1), acks=ACKS_ALL)
        for partition in partitions:
            await _turns()
            assert appending.told == []
            flush(partition)
        await _turns()
        assert [(each.error, each.base_offset) for each in appending.results] == [("", 0), ("", 0)]

    asyncio.run(scenario())


def test_results_tell_which_records_are_in_the_log_but_not_known_to_be_safe(logs: Logs) -> None:
    async def scenario() -> None:
        kept, lost = logs.led(0), logs.led(1)
        appending = _Appending(kept, lost)
        batch, _ = batch_of(b"a")
        assert appending.begin(_entry(batch), _entry(batch, 1), acks=ACKS_ALL)
        lost.step_down()
        flush(kept)
        await _turns()
        assert [(each.error, each.base_offset) for each in appending.results] == [
            ("", 0), ("NOT_LEADER_OR_FOLLOWER", 0),
        ]  # fmt: skip
        assert appending.probe.produce_errors == 1

    asyncio.run(scenario())


def test_request_is_left_alone_when_one_of_its_entries_is_not_for_here(logs: Logs) -> None:
    led, followed = logs.led(0), logs.led(1)
    compressing = logs.led(2, config={"compression.type": "zstd"})
    followed.apply(led_by(OTHER_ID, epoch=1))
    appending = _Appending(led, followed, compressing)
    good, _ = batch_of(b"a")
    compressed = encode_batch([Record(b"a")], now_ms=NOW_MS, compression=Compression.LZ4)
    for entry in (
        _entry(good, 1),
        _entry(good, 2),
        _entry(good, 3),
        _entry(good, topic="nowhere"),
        _entry(good[:-1]),
        _entry(good[:-1] + b"\xff"),
        _entry(b""),
        _entry(good + good),
        _entry(compressed),
    ):
        assert not appending.begin(_entry(good), entry)
    assert not appending.begin(_entry(good), acks=2)
    assert not appending.begin()
    assert appending.told == []
    assert led.log.end_offset == 0
    assert (appending.probe.produce_requests, appending.probe.produce_errors) == (0, 0)


def test_request_is_left_alone_when_its_first_entry_is_refused(logs: Logs) -> None:
    partition = logs.led(config={"min.insync.replicas": "2"})
    appending = _Appending(partition)
    assert not appending.begin(_entry(batch_of(b"a")[0]), acks=ACKS_ALL)
    assert (appending.told, partition.log.end_offset) == ([], 0)


def test_later_entry_that_is_refused_is_answered_as_what_precedes_it_is_done(logs: Logs) -> None:
    partition = logs.led()
    strict = logs.led(1, config={"min.insync.replicas": "2"})
    appending = _Appending(partition, strict)
    batch, _ = batch_of(b"a")

    async def scenario() -> None:
        assert appending.begin(_entry(batch), _entry(batch, 1), acks=ACKS_ALL)
        flush(partition)
        await _turns()

    asyncio.run(scenario())
    assert [each.error for each in appending.results] == ["", "NOT_ENOUGH_REPLICAS"]
    assert (partition.log.end_offset, strict.log.end_offset) == (1, 0)


def test_what_nobody_foresaw_is_told_and_nothing_is_appended_again(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, later = logs.led(0), logs.led(1)
    error = RuntimeError("a bug")
    append = Log.append

    def fail(log: Log, *appended: Any) -> int:
        if log is later.log:
            raise error
        return append(log, *appended)

    monkeypatch.setattr(Log, "append", fail)
    appending = _Appending(partition, later)
    batch, _ = batch_of(b"a")
    assert appending.begin(_entry(batch), _entry(batch, 1))
    assert appending.told == [error]
    assert partition.log.end_offset == 1


def test_request_is_begun_when_its_client_cannot_be_told(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    partition = logs.led()
    path = AppendPath(OpenPartitions(partition).table(), forwarding(), DataProbe())

    def fail(_: object) -> None:
        raise RuntimeError("gone")

    with caplog.at_level(logging.ERROR):
        assert path.begin(ProduceRequest([_entry(batch_of(b"a")[0])], ACKS_LEADER), fail)
    assert partition.log.end_offset == 1
    assert "could not be told" in caplog.text
