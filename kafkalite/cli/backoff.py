"""Growing, jittered pauses between attempts."""

import random
from typing import Final

_GROWTH: Final = 2.0
_JITTER: Final = 0.2
"""Kafka's: up to a fifth more or less, so that many clients do not come back as one."""


class Backoff:
    """The next pause, in seconds; from `first_s` it doubles up to `longest_s`."""

    def __init__(self, first_s: float = 0.1, longest_s: float = 1.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next_pause(self) -> float:
        """How long to wait before the next attempt."""
        pause = self._next_s * random.uniform(1 - _JITTER, 1 + _JITTER)
        self._next_s = min(self._next_s * _GROWTH, self._longest_s)
        return pause

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._next_s = self._first_s
