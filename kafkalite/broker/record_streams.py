"""Bodies without an end that bring records: how many there are, and that they end with us."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.errors import BrokerNotAvailableError


class RecordStreams:
    """The table of such bodies. Lives on the loop; owns no task."""

    def __init__(self, max_streams: Callable[[], int]) -> None:
        self._max_streams = max_streams
        self._number = 0
        self.stopping = ReadWaiters()
        """Wakes once no more is to be taken."""
        self.is_closed = False

    def __len__(self) -> int:
        return self._number

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for as long as this lasts.

        Raises:
            BrokerNotAvailableError: there are as many as may be, or this broker is about to go.
        """
        if self.is_closed:
            raise BrokerNotAvailableError("This broker is stopping; send to another one")
        if self._number >= self._max_streams():
            raise BrokerNotAvailableError(
                f"This broker takes {self._max_streams()} streams of records already, which is as "
                "many as it may (produce.max.streams); send to another one, or later"
            )
        self._number += 1
        try:
            yield
        finally:
            self._number -= 1

    def stop_waiting(self) -> None:
        """Take no more: this broker is about to go."""
        self.is_closed = True
        self.stopping.wake()
