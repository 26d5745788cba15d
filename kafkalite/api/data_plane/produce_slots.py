"""How many produce requests may be in work at once (queued.max.requests)."""

from kafkalite.model.errors import ThrottlingQuotaExceededError


class ProduceSlots:
    """Taken for as long as a request is in work, by `with` where that
    is a block; one for all paths of a broker.

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

    def try_take(self) -> bool:
        """Take a slot if one is free; who is given True owes a `give_back`."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1
