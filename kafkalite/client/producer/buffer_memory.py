"""The producer's memory, counted: what `buffer.memory` allows for all that is not acknowledged."""

from collections import deque
from collections.abc import Callable


class BufferMemory:
    """Bytes that records may take until it is known what became of them.

    `reserve` is called under the accumulator's lock. `give_back` is not: the sender's loop must
    never wait for a lock that a thread holds which was stopped in the middle of a send.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._returned: deque[int] = deque()
        self._waiters: deque[Callable[[], object]] = deque()

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self._free + sum(tuple(self._returned))

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for memory, so that nothing should be held longer than it must."""
        return bool(self._waiters)

    def reserve(self, size: int) -> bool:
        """Take `size` bytes, or nothing; gives whether there were so many."""
        while self._returned:
            self._free += self._returned.popleft()
        if size > self._free:
            return False
        self._free -= size
        return True

    def give_back(self, size: int) -> None:
        """Return bytes, and tell those who wait; from any thread."""
        if size:
            self._returned.append(size)
        while self._waiters:
            self._waiters.popleft()()

    def call_when_returned(self, function: Callable[[], object]) -> None:
        """Call `function` once, from `give_back`, in the thread that calls that."""
        self._waiters.append(function)
