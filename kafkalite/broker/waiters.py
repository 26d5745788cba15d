"""Those who wait: producers for the high watermark, readers for records.

Both kinds live on the event loop, are bounded in number, and end in one of three ways: what they
wait for came, their deadline passed, or the partition went away.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from kafkalite.broker.probes import HistogramProbe
from kafkalite.broker.turns import AT_ONCE, Turns, give
from kafkalite.model.errors import LogError, RequestTimedOutError, ThrottlingQuotaExceededError

MAX_ACK_WAITERS: Final = 10_000
"""Producers that may wait on one partition; one more is told to come back later."""

_LATE: Final = "The records are in the log but were not confirmed in time; they may yet be"


class AckWaiters:
    """Producers of one partition, waiting until the high watermark has passed their records.

    Owned by the partition. The queue is in the order of offsets, which is nearly always the order
    in which producers come.
    """

    __slots__ = ("_alarm", "_loop", "_queue", "_seconds")

    def __init__(self, seconds: HistogramProbe | None = None) -> None:
        """Nobody waits yet; `seconds` is told how long those did that get what they wait for."""
        self._seconds = seconds
        self._queue: deque[tuple[int, float, float, asyncio.Future[None]]] = deque()
        """End offset, since when and until when in the loop's seconds, and who waits."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, because asking for it is a system call each time (Python 3.11's getpid)."""
        self._alarm: asyncio.TimerHandle | None = None
        """Goes off at the first deadline: one timer for all, because nearly none is ever needed."""

    def check_room(self) -> None:
        """Raise, before anything is appended, when too many wait already."""
        if len(self._queue) >= MAX_ACK_WAITERS:
            raise ThrottlingQuotaExceededError(
                f"{MAX_ACK_WAITERS} producers already wait for this partition's acknowledgements"
            )

    def wait(self, end_offset: int, timeout_ms: int) -> asyncio.Future[None]:
        """A future that is done once the high watermark reaches `end_offset`.

        It fails with RequestTimedOutError after `timeout_ms`: the records are in the log then, but
        not known to be safe.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        now = loop.time()
        deadline = now + timeout_ms / 1000
        entry = (end_offset, now, deadline, future)
        queue = self._queue
        if queue and queue[-1][0] > end_offset:
            # Others appended, and came to wait, while this one still had work to do.
            place = bisect_right(queue, end_offset, key=itemgetter(0))
            queue.insert(place, entry)
        else:
            queue.append(entry)
        if self._alarm is None or deadline < self._alarm.when():
            self._set_alarm(deadline)
        return future

    def release(self, high_watermark: int, error: LogError | None = None) -> None:
        """Let go everyone whose records the high watermark has passed; with `error`, as failed."""
        queue = self._queue
        if not queue or queue[0][0] > high_watermark:
            return
        if self._seconds is not None and self._loop is not None and not queue[0][3].done():
            # One for all that go together: the first came first, and whoever waits pays nothing.
            self._seconds.observe(self._loop.time() - queue[0][1])
        while queue and queue[0][0] <= high_watermark:
            future = queue.popleft()[3]
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def fail(self, error: LogError) -> None:
        """Tell everyone that the answer will not come."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._queue:
            future = self._queue.popleft()[3]
            if not future.done():
                _fail(future, error)

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        self._alarm = None
        for _, _, deadline, future in self._queue:
            if deadline <= now and not future.done():
                _fail(future, RequestTimedOutError(_LATE))
        # Those who are gone leave, or the room would be theirs until the high watermark moves.
        self._queue = deque(entry for entry in self._queue if not entry[3].done())
        if self._queue:
            self._set_alarm(min(deadline for _, _, deadline, _ in self._queue))


def _fail(future: asyncio.Future[None], error: LogError) -> None:
    future.set_exception(error)
    # It counts as seen: whoever waited may be gone with its request, which is nothing to report.
    future.exception()


class ReadWaiters:
    """Readers of one partition, waiting until there is more below the high watermark.

    A reader of several partitions is in the set of each; the first to have news wakes it. Where
    they are many, they go on in turns.
    """

    __slots__ = ("_turns", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}
        """In the order in which they came."""
        self._turns: Turns | None = None
        """Made where it is needed: most have few readers."""

    @property
    def are_waiting(self) -> bool:
        return bool(self._waiting)

    def add(self, wakeup: asyncio.Future[None]) -> None:
        self._waiting[wakeup] = None

    def discard(self, wakeup: asyncio.Future[None]) -> None:
        self._waiting.pop(wakeup, None)

    def wake(self) -> None:
        """Wake everyone; each looks for itself whether it has enough."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        if len(waiting) > AT_ONCE or (self._turns is not None and self._turns.is_busy):
            if self._turns is None:
                self._turns = Turns()
            self._turns.give(waiting)
            return
        for wakeup in waiting:
            give(wakeup)


async def wait_any(waiters: Iterable[ReadWaiters], timeout_s: float) -> bool:
    """Wait until one of `waiters` wakes or `timeout_s` has passed; tells whether one woke."""
    loop = asyncio.get_running_loop()
    wakeup: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(timeout_s, wakeup.cancel)
    sets = list(waiters)
    for one in sets:
        one.add(wakeup)
    try:
        await asyncio.wait((wakeup,))
        return not wakeup.cancelled()
    finally:
        timer.cancel()
        for one in sets:
            one.discard(wakeup)
