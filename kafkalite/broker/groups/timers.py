"""One timer for all groups: sessions and rebalances that run out."""

import asyncio
import heapq
from collections.abc import Callable

from kafkalite.model.clock import Clock


class GroupTimers:
    """Remembers when each group wants to be looked at, and says so then.

    A group that is put back, as one is with every heartbeat, keeps its earlier place: it is asked
    a little too early once, and then says when it really wants to be. On the event loop.
    """

    def __init__(self, clock: Clock, due: Callable[[str], None]) -> None:
        """Assign only; `due` is called with the name of each group whose time has come."""
        self._clock = clock
        self._due = due
        self._places: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_ms = 0

    def set(self, group: str, at_ms: int | None) -> None:
        """Have `group` looked at by `at_ms`, on the monotonic clock; None: not at all."""
        if at_ms is None:
            self._places.pop(group, None)
            return
        place = self._places.get(group)
        if place is not None and place <= at_ms:
            return
        self._places[group] = at_ms
        heapq.heappush(self._heap, (at_ms, group))
        self._arm()

    def stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._places.clear()
        self._heap.clear()

    def run(self) -> None:
        """Look at every group whose time has come."""
        now_ms = self._clock.monotonic_ms()
        due = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, group = heapq.heappop(self._heap)
            if self._places.get(group) == at_ms:
                del self._places[group]
                due.append(group)
        for group in due:
            self._due(group)
        self._arm()

    def _arm(self) -> None:
        while self._heap and self._places.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # of a group that is gone, or has an earlier place
        if not self._heap:
            return
        at_ms = self._heap[0][0]
        if self._alarm is not None:
            if self._alarm_ms <= at_ms:
                return
            self._alarm.cancel()
        delay_s = max(0, at_ms - self._clock.monotonic_ms()) / 1000
        self._alarm_ms = at_ms
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.run()
