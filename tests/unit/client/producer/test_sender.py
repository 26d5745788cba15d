"""A sender's wake-ups; what it sends is tried in tests/property."""

from typing import Any, cast

import pytest

from kafkalite.client.producer.sender import Sender, SendOptions
from tests.support.fake_clock import FakeClock


class _Loop:
    """A loop that Control-C keeps from being woken the first time."""

    def __init__(self) -> None:
        self.calls = 0

    def call_soon_threadsafe(self, _: object) -> None:
        self.calls += 1
        if self.calls == 1:
            raise KeyboardInterrupt


def test_a_wake_up_that_was_interrupted_does_not_stand_for_those_that_follow() -> None:
    nobody: Any = None
    options = SendOptions(-1, 0.0, 5, 1 << 20, 30.0, 300.0)
    sender: Sender[Any] = Sender(
        nobody,
        nobody,
        nobody,
        nobody,
        nobody,
        options,
        clock=FakeClock(0),
        backoff_s=lambda _: 0.1,
    )
    loop = _Loop()
    sender._loop = cast("Any", loop)
    with pytest.raises(KeyboardInterrupt):
        sender.wake()
    sender.wake()
    sender.wake()
    assert loop.calls == 2
