"""Ctrl-C and SIGTERM for commands that must not lose what they have in hand."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from kafkalite.cli.failure import EXIT_INTERRUPTED

_EXIT_TERMINATED = 128 + signal.SIGTERM


class Interruption:
    """Notes the first Ctrl-C or SIGTERM; raises KeyboardInterrupt only where nothing can be lost.

    A context manager on the main thread. Within `may_raise()` a signal raises at once, elsewhere
    it sets `requested`, which the command looks at between two steps. A second signal raises
    everywhere: somebody is out of patience.
    """

    def __init__(self) -> None:
        self.requested = False
        self.exit_code = EXIT_INTERRUPTED
        self._may_raise = False

    def __enter__(self) -> Self:
        self._previous = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def may_raise(self) -> Iterator[None]:
        """Around a wait that may end at any moment."""
        if self.requested:
            raise KeyboardInterrupt
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        self.exit_code = _EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED
        if again or self._may_raise:
            raise KeyboardInterrupt
