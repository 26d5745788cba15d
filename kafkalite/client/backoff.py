"""Pauses between attempts: exponential, with full jitter."""

import random
from collections.abc import Callable
from typing import Final

_LARGEST_EXPONENT: Final = 30
"""Beyond it every bound has long been reached; numbers stay small."""


class Backoff:
    """The pauses of one thing that is tried again and again.

    The n-th pause is anything between nothing and `first_ms * 2**n`, at most `longest_ms`: many
    clients that fail together do not come back together. Not shared between things that are tried.
    """

    __slots__ = ("_draw", "_failures", "_first_ms", "_longest_ms")

    def __init__(
        self, first_ms: float, longest_ms: float, draw: Callable[[], float] = random.random
    ) -> None:
        """Assign only.

        Args:
            first_ms: bound of the first pause: retry.backoff.ms.
            longest_ms: bound of all pauses: retry.backoff.max.ms.
            draw: gives a number from 0 up to 1 without it.
        """
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._draw = draw
        self._failures = 0

    def next_pause(self) -> float:
        """How long to wait before the next attempt, in seconds."""
        bound_ms = min(self._longest_ms, self._first_ms * (1 << self._failures))
        self._failures = min(self._failures + 1, _LARGEST_EXPONENT)
        return self._draw() * bound_ms / 1000

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._failures = 0
