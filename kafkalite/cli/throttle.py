"""Holds back who would be faster than a rate."""

from collections.abc import Callable
from typing import Final

_LEAST_SLEEP_S: Final = 0.002
"""Shorter ones are saved up: a sleep takes longer than it is told to."""


class Throttle:
    """Keeps a caller to so many steps by the second, on average since it began."""

    def __init__(self, rate: int, now_s: float, sleep: Callable[[float], None]) -> None:
        """A rate of less than 0 is none. `sleep` takes seconds."""
        self._pause_s = 1 / rate if rate > 0 else 0.0
        self._rate = rate
        self._begun_s = now_s
        self._sleep = sleep
        self._owed_s = 0.0

    def after(self, steps: int, now_s: float) -> None:
        """Wait, if `steps` steps up to now are too many."""
        if self._rate < 0 or steps <= (now_s - self._begun_s) * self._rate:
            return
        self._owed_s += self._pause_s
        if self._owed_s >= _LEAST_SLEEP_S:
            owed, self._owed_s = self._owed_s, 0.0
            self._sleep(owed)
