"""What a thread waits for that another one rings: an event at a third of the cost."""

import threading
from typing import Final

_LONGEST_S: Final = threading.TIMEOUT_MAX


class Bell:
    """Rung by any thread; lets one go on that waits, or the next that would. Rings do not add up.

    A lock that is held as long as it has not rung. `threading.Event` makes three locks and a list
    for each wait, and where a record is waited for that is a large part of all there is to do.
    """

    __slots__ = ("_silence",)

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Let the one who waits, or will wait next, go on."""
        try:
            self._silence.release()
        except RuntimeError:
            return  # it has rung already

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for a ring, which is used up by that, for so long at most; gives whether it came."""
        if timeout_s is None:
            return self._silence.acquire()
        return self._silence.acquire(timeout=min(max(timeout_s, 0.0), _LONGEST_S))
