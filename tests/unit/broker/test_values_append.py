"""Values that come alone go to the log in one batch, or are left to the way that all can go."""

import asyncio
from collections.abc import Sequence

import pytest

from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import ValuesPlace
from kafkalite.config.views import FlushPolicy
from kafkalite.model.errors import RequestTimedOutError
from tests.support.forwarding import record_append_path
from tests.support.partitions import OWN_ID, Logs, OpenPartitions, flush, led_by, values_of

_VALUES = [b"a", None, b""]


async def _append(
    path: RecordAppendPath,
    values: Sequence[bytes | None] = _VALUES,
    named: int | None = 0,
    topic: str = "t",
) -> ValuesPlace | None:
    return await path.append_values(topic, values, named, timeout_ms=60_000)


def _begin(
    path: RecordAppendPath,
    values: Sequence[bytes | None] = _VALUES,
    named: int | None = 0,
    topic: str = "t",
) -> tuple[bool, list[ValuesPlace]]:
    places: list[ValuesPlace] = []
    begun = path.begin_values(topic, values, named=named, timeout_ms=60_000, then=places.append)
    return begun, places


@pytest.mark.parametrize("named", [None, 0])
def test_values_are_answered_when_they_are_durable(logs: Logs, named: int | None) -> None:
    led = logs.led(0)
    path = record_append_path(OpenPartitions(led).table(), logs.clock)

    async def scenario() -> None:
        for base_offset in (0, 3):
            waiting = asyncio.create_task(_append(path, named=named))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
            flush(led)
            assert await waiting == ValuesPlace(0, base_offset)

    asyncio.run(scenario())
    assert values_of(led) == _VALUES * 2


@pytest.mark.parametrize("named", [None, 0])
def test_values_are_told_of_without_a_task_when_they_are_durable(
    logs: Logs, named: int | None
) -> None:
    led = logs.led(0)
    path = record_append_path(OpenPartitions(led).table(), logs.clock)

    async def scenario() -> None:
        for base_offset in (0, 3):
            begun, places = _begin(path, named=named)
            assert begun
            for _ in range(10):
                await asyncio.sleep(0)
            assert places == []
            flush(led)
            await asyncio.sleep(0)
            assert places == [ValuesPlace(0, base_offset)]

    asyncio.run(scenario())
    assert values_of(led) == _VALUES * 2


def test_values_are_not_left_to_be_stored_again_when_nobody_can_be_told(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    led = logs.partition(policy=FlushPolicy.OS)
    led.apply(led_by(OWN_ID))
    path = record_append_path(OpenPartitions(led).table(), logs.clock)

    def fail(_place: ValuesPlace) -> None:
        raise RuntimeError("a bug")

    async def scenario() -> bool:
        return path.begin_values("t", _VALUES, named=0, timeout_ms=60_000, then=fail)

    assert asyncio.run(scenario())
    assert values_of(led) == _VALUES
    assert "a bug" in caplog.text


def test_values_that_are_not_confirmed_in_time_say_so(logs: Logs) -> None:
    path = record_append_path(OpenPartitions(logs.led(0)).table(), logs.clock)

    async def scenario() -> list[ValuesPlace]:
        place = await path.append_values("t", _VALUES, 0, timeout_ms=0)
        assert place is not None
        told: asyncio.Future[ValuesPlace] = asyncio.get_running_loop().create_future()
        assert path.begin_values("t", _VALUES, named=0, timeout_ms=0, then=told.set_result)
        return [place, await told]

    for place, base_offset in zip(asyncio.run(scenario()), (0, 3), strict=True):
        assert place.base_offset == base_offset
        assert isinstance(place.error, RequestTimedOutError)


def test_nothing_is_done_when_something_is_unusual(logs: Logs) -> None:
    led = logs.led(0)
    fresh = logs.partition(1)  # its leader is not known yet
    path = record_append_path(OpenPartitions(led, fresh).table(), logs.clock)

    async def refused(
        values: Sequence[bytes | None] = _VALUES, named: int | None = 0, topic: str = "t"
    ) -> None:
        assert await _append(path, values, named, topic) is None
        assert _begin(path, values, named, topic) == (False, [])

    async def scenario() -> None:
        await refused(named=1)
        await refused(named=2)
        await refused(named=None, topic="unknown")
        await refused([b"x" * (2 << 20), b"x"])
        led.apply(led_by(1, epoch=1))
        await refused()

    asyncio.run(scenario())
    assert led.offsets.end == 0
