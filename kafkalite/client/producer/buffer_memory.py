"""The producer's memory, counted: what `buffer.memory` allows for all that is not acknowledged."""

from collections import deque
from collections.abc import Callable
from typing import Final

_STEPS: Final = 8
"""How often `step` goes into the whole, at least."""


class BufferMemory:
    """Bytes that records may take until it is known what became of them.

    `reserve` is called under the accumulator's lock. `give_back` is not: the sender's loop must
    never wait for a lock that a thread holds which was stopped in the middle of a send.

    Where memory is short, it is handed out in steps: batches that begin with whatever there is
    would be many and small, and each record of theirs would have to ask for memory again.
    """

    def __init__(self, total: int, *, batch_bytes: int = 0) -> None:
        """Assign only.

        Args:
            total: `buffer.memory`.
            batch_bytes: of a full batch; `step` is as much, if that is not a large part of it all.
        """
        self.total = total
        self.step = min(batch_bytes, total // _STEPS)
        """What must be free for a new batch to begin, and for those who wait to be told."""
        self._free = total
        self._returned: deque[int] = deque()
        self._waiters: deque[Callable[[], object]] = deque()

    @property
    def free(self) -> int:
        """Bytes that nobody holds; for a moment more, while some are counted, but never less."""
        return sum(tuple(self._returned)) + self._free

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for memory, so that nothing should be held longer than it must."""
        return bool(self._waiters)

    def reserve(self, least: int, wanted: int) -> int:
        """Take what is `wanted`, or what there is of it; nothing if that is less than `least`.

        Returns:
            How much was taken.
        """
        returned = self._returned
        while returned:
            self._free += returned[0]
            returned.popleft()
        size = min(wanted, self._free)
        if size < least:
            return 0
        self._free -= size
        return size

    def give_back(self, size: int) -> None:
        """Return bytes, and tell those who wait if it is worth it; from any thread."""
        if size:
            self._returned.append(size)
        if self._waiters and self.free >= self.step:
            while self._waiters:
                try:
                    waiter = self._waiters.popleft()
                except IndexError:
                    return  # another thread is at the same, and took the last one just before
                waiter()

    def call_when_returned(self, function: Callable[[], object]) -> None:
        """Call `function` once, from a `give_back` after which a `step` is free, in its thread."""
        self._waiters.append(function)
