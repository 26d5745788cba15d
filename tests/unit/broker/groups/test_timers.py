import asyncio
from collections.abc import Callable

from kafkalite.broker.groups.timers import GroupTimers
from kafkalite.broker.system_clock import SystemClock
from tests.support.fake_clock import FakeClock


def _run(scenario: Callable[[GroupTimers, FakeClock, list[str]], None]) -> None:
    async def inside() -> None:
        clock, due = FakeClock(100), list[str]()
        timers = GroupTimers(clock, due.append)
        scenario(timers, clock, due)
        timers.stop()

    asyncio.run(inside())


def test_each_group_is_due_once_at_its_time() -> None:
    def scenario(timers: GroupTimers, clock: FakeClock, due: list[str]) -> None:
        timers.set("a", 120)
        timers.set("b", 110)
        for now, expected in ((109, []), (110, ["b"]), (119, ["b"]), (500, ["b", "a"])):
            clock.now_ms = now
            timers.run()
            assert due == expected

    _run(scenario)


def test_a_group_that_is_put_back_keeps_its_place_and_one_that_is_put_forward_does_not() -> None:
    def scenario(timers: GroupTimers, clock: FakeClock, due: list[str]) -> None:
        timers.set("back", 110)
        timers.set("back", 200)
        timers.set("forward", 200)
        timers.set("forward", 110)
        clock.now_ms = 110
        timers.run()
        assert sorted(due) == ["back", "forward"]
        clock.now_ms = 300
        timers.run()
        assert len(due) == 2

    _run(scenario)


def test_a_group_without_a_time_is_never_due() -> None:
    def scenario(timers: GroupTimers, clock: FakeClock, due: list[str]) -> None:
        timers.set("a", 110)
        timers.set("a", None)
        timers.set("b", 110)
        timers.stop()
        clock.now_ms = 500
        timers.run()
        assert due == []
        timers.set("a", 490)
        timers.run()
        assert due == ["a"]

    _run(scenario)


def test_groups_are_due_by_themselves() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        loop = asyncio.get_running_loop()
        heard: dict[str, asyncio.Future[None]] = {n: loop.create_future() for n in ("a", "b", "c")}
        timers = GroupTimers(clock, lambda name: heard[name].set_result(None))
        now = clock.monotonic_ms()
        timers.set("later", now + 3_600_000)
        timers.set("b", now + 30)
        timers.set("a", now + 1)
        timers.set("c", now - 5)
        async with asyncio.timeout(10):
            await asyncio.gather(*heard.values())
        timers.stop()

    asyncio.run(scenario())
