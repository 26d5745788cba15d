"""How many produce requests may be in work at once (queued.max.requests)."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from kafkalite.model.errors import ThrottlingQuotaExceededError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Work(Protocol[T_co]):
    """Begins what takes a while, if it can, and says whether it has."""

    def __call__(self, *, then: Callable[[T_co], None]) -> bool:
        """Begin; `then` is told the outcome, at once or later."""


class ProduceSlots:
    """Taken for as long as a request is in work: by `with` where that is a block, else by `begin`;
    one for all paths of a broker.

    A body is read before a slot is taken: whoever sends slowly must not keep others out.
    """

    def __init__(self, number: int) -> None:
        self._free = number

    def __enter__(self) -> None:
        if not self.try_take():
            raise ThrottlingQuotaExceededError(
                "As many produce requests are in work as queued.max.requests allows; try again"
            )

    def __exit__(self, *_error: object) -> None:
        self.give_back()

    def begin(self, work: Work[T], then: Callable[[T], None]) -> bool:
        """Have `work` begin in a slot, which is given back just before `then` is told its outcome.

        False: it has not begun, or no slot is free; `then` hears nothing. What it raises is raised.
        """
        if not self.try_take():
            return False

        def end(outcome: T) -> None:
            self.give_back()
            then(outcome)

        is_begun = False
        try:
            is_begun = work(then=end)
        finally:
            if not is_begun:
                self.give_back()
        return is_begun

    def try_take(self) -> bool:
        """Take a slot if one is free; who is given True owes a `give_back`."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1
