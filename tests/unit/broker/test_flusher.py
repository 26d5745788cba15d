"""Group commit: everything is flushed, in rounds that share, and a bad disk harms nobody else."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from kafkalite.broker.flusher import Flusher
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import FlushProbe
from kafkalite.model.errors import KafkaStorageError
from kafkalite.storage.flush import FlushJob
from tests.support.partitions import Logs, batch_of


class _Disk:
    """Lets flushes begin and wait, or fail."""

    def __init__(self) -> None:
        self.may_run = threading.Event()
        self.may_run.set()
        self.began = threading.Event()
        self.runs = 0
        self.error: Exception | None = None


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Disk]:
    made = _Disk()
    run = FlushJob.run

    def watched(job: FlushJob) -> None:
        made.runs += 1
        made.began.set()
        assert made.may_run.wait(30)
        if made.error is not None:
            error, made.error = made.error, None
            raise error
        run(job)

    monkeypatch.setattr(FlushJob, "run", watched)
    yield made
    made.may_run.set()


def _append(partition: Partition) -> int:
    batch, header = batch_of(b"x")
    return partition.append(batch, [header], acks_all=True).end_offset


async def _until_it_runs(disk: _Disk) -> None:
    await asyncio.to_thread(disk.began.wait, 30)


def test_appends_of_one_turn_share_a_flush(logs: Logs, disk: _Disk) -> None:
    async def scenario() -> None:
        probe = FlushProbe()
        flusher = Flusher("test", probe)
        partition = logs.led()
        for _ in range(10):
            _append(partition)
            flusher.request(partition)
        await flusher.wait_idle()
        assert partition.offsets.high_watermark == 10
        assert (disk.runs, probe.partitions) == (1, 1)
        await flusher.close()

    asyncio.run(scenario())


def test_what_comes_while_a_flush_runs_shares_the_next(logs: Logs, disk: _Disk) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        partition = logs.led()
        disk.may_run.clear()
        first = _append(partition)
        flusher.request(partition)
        await _until_it_runs(disk)
        for _ in range(5):
            last = _append(partition)
            flusher.request(partition)
        assert partition.offsets.high_watermark == 0
        waiting = partition.committed(first, 60_000)
        assert waiting is not None
        disk.may_run.set()
        await waiting
        await flusher.wait_idle()
        assert partition.offsets.high_watermark == last
        assert disk.runs == 2
        await flusher.close()

    asyncio.run(scenario())


def test_what_is_sent_in_answer_to_a_flush_shares_the_next(logs: Logs, disk: _Disk) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        partition = logs.led()
        disk.may_run.clear()
        first = _append(partition)
        flusher.request(partition)
        await _until_it_runs(disk)
        _append(partition)
        flusher.request(partition)  # so that another flush is to follow at once
        waiting = partition.committed(first, 60_000)
        assert waiting is not None
        disk.may_run.set()
        await waiting
        last = _append(partition)
        flusher.request(partition)
        await flusher.wait_idle()
        assert partition.offsets.high_watermark == last
        assert disk.runs == 2
        await flusher.close()

    asyncio.run(scenario())


def test_failed_flush_fails_those_who_wait_and_spares_the_other_partitions(
    logs: Logs, disk: _Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        bad, good = logs.led(0), logs.led(1)
        end = _append(bad)
        waiting = bad.committed(end, 60_000)
        assert waiting is not None
        disk.error = OSError(5, "Input/output error")
        flusher.request(bad)
        with pytest.raises(KafkaStorageError, match="Input/output error"):
            await waiting
        assert bad.offsets.high_watermark == 0
        with pytest.raises(KafkaStorageError):
            _append(bad)
        # The disk has lied once; what shares it takes nothing more, but the flusher goes on.
        flusher.request(good)
        await flusher.wait_idle()
        await flusher.close()

    asyncio.run(scenario())
    assert "Input/output error" in caplog.text


def test_failed_log_that_was_to_be_flushed_tells_those_who_wait_at_once(
    logs: Logs, disk: _Disk
) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        partition = logs.led()
        waiting = partition.committed(_append(partition), 60_000)
        assert waiting is not None
        flusher.request(partition)
        partition.log.fail(KafkaStorageError("the directory failed"))
        await flusher.wait_idle()
        assert waiting.done()
        with pytest.raises(KafkaStorageError, match="the directory failed"):
            await waiting
        await flusher.close()

    asyncio.run(scenario())
    assert disk.runs == 0


def test_unforeseen_error_of_a_flush_is_a_failed_flush(logs: Logs, disk: _Disk) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        partition = logs.led()
        waiting = partition.committed(_append(partition), 60_000)
        assert waiting is not None
        disk.error = ValueError("unforeseen")
        flusher.request(partition)
        async with asyncio.timeout(30):
            with pytest.raises(KafkaStorageError, match="unforeseen"):
                await waiting
            await flusher.wait_idle()
        await flusher.close()

    asyncio.run(scenario())


class _Unwell:
    """A watcher that must not raise, and does."""

    def moved(self, _partition: Partition) -> None:
        raise ValueError("nobody foresaw it")


def test_what_nobody_foresaw_of_one_partition_keeps_no_other_from_being_flushed(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        bad, good = logs.led(0), logs.led(1)
        for _ in range(2):
            for partition in (bad, good):
                _append(partition)
                flusher.request(partition)
            bad.watchers.add(_Unwell())
            async with asyncio.timeout(30):
                await flusher.wait_idle()
            bad.watchers.clear()
        assert good.offsets.high_watermark == 2
        async with asyncio.timeout(30):
            await flusher.close()

    asyncio.run(scenario())
    assert "flushing t-0 failed" in caplog.text


def test_what_nobody_foresaw_of_a_failed_log_keeps_no_other_from_being_flushed(logs: Logs) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        bad, good = logs.led(0), logs.led(1)
        for partition in (bad, good):
            _append(partition)
            flusher.request(partition)
        bad.log.fail(KafkaStorageError("the directory failed"))
        bad.watchers.add(_Unwell())
        async with asyncio.timeout(30):
            await flusher.wait_idle()
            assert good.offsets.high_watermark == 1
            await flusher.close()

    asyncio.run(scenario())


def test_partition_is_forgotten_only_when_no_flush_works_on_it(logs: Logs, disk: _Disk) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        partition = logs.led()
        disk.may_run.clear()
        _append(partition)
        flusher.request(partition)
        await _until_it_runs(disk)
        _append(partition)
        flusher.request(partition)
        forgetting = asyncio.create_task(flusher.forget(partition))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not forgetting.done()
        disk.may_run.set()
        await forgetting
        await flusher.wait_idle()
        assert disk.runs == 1
        await flusher.close()

    asyncio.run(scenario())


def test_nothing_is_flushed_when_nothing_was_appended(logs: Logs, disk: _Disk) -> None:
    async def scenario() -> None:
        flusher = Flusher("test", FlushProbe())
        flusher.request(logs.led())
        await flusher.close()

    asyncio.run(scenario())
    assert disk.runs == 0
