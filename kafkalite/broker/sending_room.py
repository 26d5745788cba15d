"""How much a broker may have under way to other brokers: so many requests, so many bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kafkalite.model.errors import ThrottlingQuotaExceededError

_LEAST_LEASE_BYTES: Final = 1 << 20
_SHARE: Final = 8
"""A single lease gets no more than this part of the room that is left."""


class SendingRoom:
    """Bounds what is sent on at the same time. On the loop."""

    def __init__(self, max_requests: int, max_bytes: int, *, to: str, instead: str) -> None:
        """Nothing is under way.

        Args:
            max_requests: at the same time.
            max_bytes: of them, and of what is leased.
            to: whom it is sent to, for those who are refused.
            instead: what they may do.
        """
        self._free_requests = max_requests
        self._free_bytes = max_bytes
        self._to = to
        self._instead = instead

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold the room for one request of `size` bytes.

        Raises:
            ThrottlingQuotaExceededError: there is none; nothing was sent.
        """
        if self._free_requests < 1 or self._free_bytes < size:
            raise ThrottlingQuotaExceededError(
                f"As many requests are being sent on to {self._to} as may be; {self._instead}"
            )
        self._free_requests -= 1
        self._free_bytes -= size
        try:
            yield
        finally:
            self._free_requests += 1
            self._free_bytes += size

    def lease(self, wanted: int) -> "Lease":
        """Room for an answer of `wanted` bytes, or less, for as long as it is read from.

        Raises:
            ThrottlingQuotaExceededError: there is too little.
        """
        granted = min(wanted, max(self._free_bytes // _SHARE, _LEAST_LEASE_BYTES))
        if granted > self._free_bytes:
            raise ThrottlingQuotaExceededError(
                f"Answers of {self._to} that are still being read hold as many bytes as they may; "
                f"{self._instead}"
            )
        self._free_bytes -= granted
        return Lease(granted, self._give_back)

    def _give_back(self, size: int) -> None:
        self._free_bytes += size


class Lease:
    """Room for bytes that another broker sends us, held until nobody has a use for them.

    Given back when it is dropped: those bytes go to clients who may stop reading at any place.
    """

    __slots__ = ("_give_back", "size")

    def __init__(self, size: int, give_back: Callable[[int], None]) -> None:
        self.size = size
        self._give_back = give_back

    def __del__(self) -> None:
        self._give_back(self.size)
