"""Record by record: so that it is always known how far an iteration got.

A batch is taken whole, and its records are given one by one. Whoever asks for a position meanwhile,
commits, polls or ends the iteration gives back what was not looked at yet.
"""

from collections.abc import Iterator

from kafkalite.client.consumer.core import ConsumerCore
from kafkalite.client.consumer.hand_out import Handed
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.model.errors import LogError


class Iteration:
    """Of one consumer, on the caller's side."""

    def __init__(self, core: ConsumerCore) -> None:
        self._core = core
        self._handed: Handed | None = None
        self._left: Iterator[ConsumerRecord] = iter(())

    def begin(self, handed: Handed) -> Iterator[ConsumerRecord]:
        """The records of a batch; what is left of it ends with `settle`.

        Raises:
            UnreadableError: they cannot be decoded; the position stays before them.
        """
        try:
            records = iter(handed.batch.records())
        except LogError as error:
            raise self._core.reject(handed, error) from error
        self._handed, self._left = handed, records
        return records

    def settle(self) -> None:
        """Give back what was not looked at; the iterator is at its end then."""
        handed, self._handed = self._handed, None
        if handed is None:
            return
        left = list(self._left)
        if left:
            self._core.give_back(handed, left)
