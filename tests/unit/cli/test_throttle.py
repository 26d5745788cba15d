"""A rate is kept to, with sleeps that are worth it."""

import pytest

from kafkalite.cli.throttle import Throttle


class _Sleeper:
    """Time that passes only by sleeping, and a little with each step."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 100.0
        self.step_s = step_s
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds

    def walk(self, rate: int, steps: int) -> float:
        """Seconds that so many steps take."""
        begun_s = self.now_s
        throttle = Throttle(rate, begun_s, self.sleep)
        for number in range(1, steps + 1):
            self.now_s += self.step_s
            throttle.after(number, self.now_s)
        return self.now_s - begun_s


@pytest.mark.parametrize("rate", [10, 900, 50_000])
def test_rate_is_kept_to_when_steps_are_faster(rate: int) -> None:
    sleeper = _Sleeper(1e-6)
    assert sleeper.walk(rate, rate * 2) == pytest.approx(2.0, rel=0.02)
    assert min(sleeper.sleeps) >= 0.002


def test_nobody_sleeps_when_steps_are_slower_or_there_is_no_rate() -> None:
    for rate, sleeper in ((10, _Sleeper(0.2)), (-1, _Sleeper(1e-9))):
        sleeper.walk(rate, 100)
        assert sleeper.sleeps == []
