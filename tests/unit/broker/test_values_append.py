"""Values that come alone go to the log in one batch, or are left to the way that all can go."""

import asyncio
from collections.abc import Sequence

import pytest

from kafkalite.broker.record_append import RecordAppendPath
from kafkalite.broker.record_place import ValuesPlace
from kafkalite.model.errors import RequestTimedOutError
from tests.support.forwarding import record_append_path
from tests.support.partitions import Logs, OpenPartitions, flush, led_by, values_of

_VALUES = [b"a", None, b""]


async def _append(
    path: RecordAppendPath,
    values: Sequence[bytes | None] = _VALUES,
    named: int | None = 0,
    topic: str = "t",
) -> ValuesPlace | None:
    return await path.append_values(topic, values, named, timeout_ms=60_000)


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


def test_values_that_are_not_confirmed_in_time_say_so(logs: Logs) -> None:
    path = record_append_path(OpenPartitions(logs.led(0)).table(), logs.clock)
    place = asyncio.run(path.append_values("t", _VALUES, 0, timeout_ms=0))
    assert place is not None
    assert place.base_offset == 0
    assert isinstance(place.error, RequestTimedOutError)


def test_nothing_is_done_when_something_is_unusual(logs: Logs) -> None:
    led = logs.led(0)
    fresh = logs.partition(1)  # its leader is not known yet
    path = record_append_path(OpenPartitions(led, fresh).table(), logs.clock)

    async def scenario() -> None:
        assert await _append(path, named=1) is None
        assert await _append(path, named=2) is None
        assert await _append(path, named=None, topic="unknown") is None
        assert await _append(path, [b"x" * (2 << 20), b"x"]) is None
        led.apply(led_by(1, epoch=1))
        assert await _append(path) is None

    asyncio.run(scenario())
    assert led.offsets.end == 0
