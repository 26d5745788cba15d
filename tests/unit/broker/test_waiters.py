"""Producers and readers wait within bounds, and every wait ends."""

import asyncio
import gc
from typing import Any

import pytest

from kafkalite.broker.probes import HistogramProbe
from kafkalite.broker.waiters import MAX_ACK_WAITERS, AckWaiters, ReadWaiters, wait_any
from kafkalite.model.errors import (
    NotLeaderOrFollowerError,
    RequestTimedOutError,
    ThrottlingQuotaExceededError,
)

_LONG_MS = 60_000


def test_ack_waits_until_high_watermark_has_passed_its_records() -> None:
    async def scenario() -> None:
        waiters = AckWaiters()
        first, second = waiters.wait(5, _LONG_MS), waiters.wait(9, _LONG_MS)
        waiters.release(4)
        assert not first.done()
        waiters.release(5)
        assert first.done()
        assert not second.done()
        waiters.release(100)
        await second

    asyncio.run(scenario())


def test_wait_of_the_first_of_those_that_go_together_is_noted() -> None:
    async def scenario() -> None:
        seconds = HistogramProbe()
        waiters = AckWaiters(seconds)
        waits = [waiters.wait(end, _LONG_MS) for end in (3, 5, 9)]
        waiters.release(2)
        assert sum(seconds.counts) == 0
        waiters.release(5)
        assert sum(seconds.counts) == 1
        waiters.fail(NotLeaderOrFollowerError("gone"))
        assert sum(seconds.counts) == 1
        assert all(wait.done() for wait in waits)

    asyncio.run(scenario())


def test_ack_that_comes_late_is_not_held_up_by_those_behind_it() -> None:
    async def scenario() -> None:
        waiters = AckWaiters()
        behind = waiters.wait(20, 1000)
        late = waiters.wait(10, 1000)
        between = waiters.wait(15, 1000)
        waiters.release(15)
        assert late.done()
        assert between.done()
        assert not behind.done()
        waiters.release(20)
        assert behind.done()

    asyncio.run(scenario())


def test_ack_fails_when_its_deadline_passes() -> None:
    async def scenario() -> None:
        with pytest.raises(RequestTimedOutError):
            await AckWaiters().wait(5, 0)

    asyncio.run(scenario())


def test_acks_fail_when_the_broker_stops_leading() -> None:
    async def scenario() -> None:
        waiters = AckWaiters()
        waits = [waiters.wait(5, _LONG_MS), waiters.wait(6, _LONG_MS)]
        waiters.fail(NotLeaderOrFollowerError())
        for wait in waits:
            with pytest.raises(NotLeaderOrFollowerError):
                await wait

    asyncio.run(scenario())


@pytest.mark.parametrize("expires", [True, False])
def test_failed_ack_that_nobody_waits_for_any_more_is_not_reported(*, expires: bool) -> None:
    """A request that is cut off leaves its acknowledgements behind."""

    async def scenario() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: reported.append(told))
        waiters = AckWaiters()
        ack = waiters.wait(5, 0 if expires else _LONG_MS)
        if expires:
            await asyncio.wait([ack])  # which does not look at how it ended
        waiters.fail(NotLeaderOrFollowerError())
        assert ack.done()
        del ack
        gc.collect()
        assert not reported

    asyncio.run(scenario())


def test_ack_is_refused_before_the_append_when_too_many_wait() -> None:
    async def scenario() -> None:
        waiters = AckWaiters()
        for _ in range(MAX_ACK_WAITERS):
            waiters.wait(1, _LONG_MS)
        with pytest.raises(ThrottlingQuotaExceededError):
            waiters.check_room()
        waiters.release(1)
        waiters.check_room()

    asyncio.run(scenario())


def test_those_whose_time_is_up_take_nobodys_room() -> None:
    async def scenario() -> None:
        waiters = AckWaiters()
        late = [waiters.wait(1, 0) for _ in range(MAX_ACK_WAITERS - 2)]
        given_up, kept = waiters.wait(1, _LONG_MS), waiters.wait(2, _LONG_MS)
        given_up.cancel()
        await asyncio.wait(late)
        for _ in range(MAX_ACK_WAITERS - 1):
            waiters.check_room()
            waiters.wait(1, _LONG_MS)
        with pytest.raises(ThrottlingQuotaExceededError):
            waiters.check_room()
        waiters.release(2)
        await kept

    asyncio.run(scenario())


def test_ack_that_its_client_gave_up_harms_no_other() -> None:
    async def scenario() -> None:
        waiters = AckWaiters()
        given_up, kept = waiters.wait(1, _LONG_MS), waiters.wait(2, _LONG_MS)
        given_up.cancel()
        waiters.release(2)
        await kept

    asyncio.run(scenario())


def test_reader_of_several_partitions_is_woken_by_the_first_with_news() -> None:
    async def scenario() -> None:
        quiet, busy = ReadWaiters(), ReadWaiters()
        wait = asyncio.ensure_future(wait_any([quiet, busy], 60))
        await asyncio.sleep(0)
        busy.wake()
        assert await wait
        quiet.wake()  # nobody is left there

    asyncio.run(scenario())


def test_many_readers_go_on_in_turns_and_none_is_left_out() -> None:
    async def scenario() -> None:
        waiters = ReadWaiters()
        waits = [asyncio.ensure_future(wait_any([waiters], 60)) for _ in range(100)]
        await asyncio.sleep(0)
        waiters.wake()
        for _ in range(3):
            await asyncio.sleep(0)
        assert 0 < sum(each.done() for each in waits) < 50
        late = asyncio.ensure_future(wait_any([waiters], 60))
        await asyncio.sleep(0)
        waiters.wake()
        async with asyncio.timeout(10):
            assert await late
        assert all(each.done() and each.result() for each in waits), "it came behind them"

    asyncio.run(scenario())


def test_reader_goes_on_without_news_when_its_time_is_up() -> None:
    async def scenario() -> None:
        assert not await wait_any([ReadWaiters()], 0)

    asyncio.run(scenario())


def test_reader_that_is_given_up_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        waiters = ReadWaiters()
        wait = asyncio.ensure_future(wait_any([waiters], 60))
        await asyncio.sleep(0)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert not waiters._waiting

    asyncio.run(scenario())
