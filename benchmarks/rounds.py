"""Takes turns, so that what drifts on the machine drifts for all that is compared."""

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def take_turns(variants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measure each variant once a round, in an order that is turned round each time.

    One more round, before the others, warms up and is not counted.
    """
    results: dict[str, list[T]] = {name: [] for name in variants}
    for measure in variants.values():
        measure()
    for number in range(rounds):
        names = list(variants)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            results[name].append(variants[name]())
    return results
