"""How many produce requests may be in work at once (queued.max.requests)."""

from kafkalite.model.errors import ThrottlingQuotaExceededError


class ProduceSlots:
    """Taken for as long as a request is in work, by `with`; one for all paths of a broker.

    A body is read before a slot is taken: whoever sends slowly must not keep others out.
    """

    def __init__(self, number: int) -> None:
        self._free = number

    def __enter__(self) -> None:
        if self._free <= 0:
            raise ThrottlingQuotaExceededError(
                "As many produce requests are in work as queued.max.requests allows; try again"
            )
        self._free -= 1

    def __exit__(self, *_error: object) -> None:
        self._free += 1
