"""What was made of texts that clients send again and again: paths, and headers."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

LONGEST: Final = 512
"""A longer text is not kept: a client could have megabytes of them remembered, for ever."""

K = TypeVar("K", str, bytes)
T = TypeVar("T")


def remembered(most: int) -> Callable[[Callable[[K], T]], Callable[[K], T]]:
    """Keep what a function of one text gives, for the `most` texts that came last.

    For functions that depend on nothing else. What they raise is not kept.
    """

    def decorate(function: Callable[[K], T]) -> Callable[[K], T]:
        kept = lru_cache(most)(function)

        @wraps(function)
        def recalled(text: K) -> T:
            return kept(text) if len(text) <= LONGEST else function(text)

        return recalled

    return decorate
