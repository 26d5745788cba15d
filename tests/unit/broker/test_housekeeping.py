"""What happens on a timer goes on, whatever happens."""

import asyncio
import logging

import pytest

from kafkalite.broker.housekeeping import Chore, Housekeeping, clean_logs
from kafkalite.model.errors import KafkaStorageError
from kafkalite.storage.log import Log
from tests.support.partitions import NOW_MS, Logs, batch_of, flush

_SEGMENT = {"segment.bytes": "300", "retention.ms": "1000"}


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), KafkaStorageError("full"), RuntimeError("a bug")]
)
def test_chore_that_fails_is_done_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        turns = 0
        enough = asyncio.Event()

        async def fail() -> None:
            nonlocal turns
            turns += 1
            if turns == 3:
                enough.set()
            raise error

        keeping = Housekeeping([Chore("sweeping", 0, fail)])
        keeping.start()
        await asyncio.wait_for(enough.wait(), 30)
        await keeping.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert "sweeping failed" in caplog.text


def test_chore_that_takes_long_holds_up_no_other() -> None:
    async def scenario() -> None:
        reached = asyncio.Event()

        async def hang() -> None:
            await asyncio.Event().wait()

        async def reach() -> None:
            reached.set()

        keeping = Housekeeping([Chore("long", 0, hang), Chore("short", 0, reach)])
        keeping.start()
        await asyncio.wait_for(reached.wait(), 30)
        await keeping.stop()

    asyncio.run(scenario())


def test_old_segments_go_below_the_high_watermark_only(logs: Logs) -> None:
    partition = logs.led(config=_SEGMENT)
    for _ in range(5):
        batch, header = batch_of(b"x" * 200)
        partition.append(batch, [header], acks_all=False)
    logs.clock.now_ms = NOW_MS + 5_000
    asyncio.run(clean_logs([partition], logs.clock))
    assert partition.offsets.start == 0
    flush(partition)
    asyncio.run(clean_logs([partition], logs.clock))
    assert partition.offsets == (5, 5, 5)


def test_records_of_long_ago_do_not_roll_a_segment_when_they_are_kept(logs: Logs) -> None:
    partition = logs.led(config={"segment.ms": "1000", "retention.ms": "-1"})
    for _ in range(3):
        batch, header = batch_of(b"x", timestamp=NOW_MS - 10**9)
        partition.append(batch, [header], acks_all=False)
        flush(partition)
        asyncio.run(clean_logs([partition], logs.clock))
    assert partition.offsets == (0, 3, 3)
    assert len(list(partition.log.directory.glob("*.log"))) == 1


def test_log_that_cannot_be_cleaned_is_reported_and_passed_by(
    logs: Logs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = logs.led(0, config=_SEGMENT), logs.led(1, config=_SEGMENT)
    batch, header = batch_of(b"x" * 200)
    for partition in (bad, good):
        partition.append(batch, [header], acks_all=False)
        flush(partition)

    apply_retention = Log.apply_retention

    def fail(log: Log, now_ms: int, high_watermark: int) -> int:
        if log is bad.log:
            raise KafkaStorageError("the disk is full")
        return apply_retention(log, now_ms, high_watermark)

    monkeypatch.setattr(Log, "apply_retention", fail)
    logs.clock.now_ms = NOW_MS + 5_000
    asyncio.run(clean_logs([bad, good], logs.clock))
    assert (bad.offsets.start, good.offsets.start) == (0, 1)
    assert "t-0" in caplog.text
    assert "the disk is full" in caplog.text


@pytest.mark.slow
def test_log_that_goes_while_others_are_cleaned_is_left_alone(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        held = [logs.led(number, config=_SEGMENT) for number in range(60)]
        for partition in held:
            batch, header = batch_of(b"x" * 200)
            partition.append(batch, [header], acks_all=False)
            flush(partition)
        logs.clock.now_ms = NOW_MS + 5_000

        async def remove() -> None:
            for partition in held:
                logs.directories.remove_log(partition.log)
            held.clear()

        removing = asyncio.create_task(remove())
        await clean_logs(held, logs.clock)
        await removing

    asyncio.run(scenario())
    assert len(list(logs.directories)) == 1, "the directory counts as failed"
    assert "failed" not in caplog.text
