"""The time by which something must come from a client."""

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Calls back when it has passed. Of one connection; lives on the loop.

    It moves with every request, and each time to later. So the loop's timer stays where it is, and
    is set anew once it rings too early: making and cancelling one each time costs too much.
    """

    __slots__ = ("_alarm", "_due", "_loop", "_on_missed")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_missed: Callable[[], None]) -> None:
        """Assign only: nothing is due yet."""
        self._loop = loop
        self._on_missed = on_missed
        self._due = math.inf
        self._alarm: asyncio.TimerHandle | None = None

    def lift(self) -> None:
        """Nothing is due any more."""
        self._due = math.inf

    def move(self, seconds: float) -> None:
        """Now it is so far away."""
        self._due = self._loop.time() + seconds
        self._see_to_alarm()

    def bring_within(self, seconds: float) -> None:
        """Now it is no farther away than this."""
        self._due = min(self._due, self._loop.time() + seconds)
        self._see_to_alarm()

    def cancel(self) -> None:
        """Never call back; the connection is gone."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _see_to_alarm(self) -> None:
        if self._alarm is None or self._alarm.when() > self._due:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self.cancel()
        self._alarm = self._loop.call_at(self._due, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        if self._due == math.inf:
            return
        if self._due > self._loop.time():
            self._set_alarm()
        else:
            self._on_missed()
