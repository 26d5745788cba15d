"""Has many who were woken at once go on one after the other, in a bounded share of the loop's time.

One record wakes every reader of its topic. If all of them went on at once, a producer would wait
for its answer until thousands had been given theirs.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

AT_ONCE: Final = 8
"""So few go on together, whatever it takes them."""
_MOST_AT_ONCE: Final = 32
_SLICE_S: Final = 0.0002
"""What those shall take who go on together, where there are more: others come in between."""
_REST: Final = 2.0
"""For how long nobody goes on then, by what those took who went on before."""
_LEAST_REST_S: Final = 0.001
"""What timers of the loop can tell apart."""

Turn = asyncio.Future[None]


class Turns:
    """The queue of those who may go on. Lives on the loop."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._queue: deque[Turn] = deque()
        self._is_busy = False
        self._at_once = AT_ONCE

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits to go on."""
        return self._is_busy

    def give(self, turns: Iterable[Turn]) -> asyncio.Future[None]:
        """Set the result of each of `turns` when it is its time; gives what is done after the last.

        Those that are done by then are passed over.
        """
        loop = asyncio.get_running_loop()
        last: Turn = loop.create_future()
        self._queue.extend(turns)
        self._queue.append(last)
        if not self._is_busy:
            self._is_busy = True
            self._go_on(loop, AT_ONCE)
        return last

    def _go_on(self, loop: asyncio.AbstractEventLoop, at_once: int) -> None:
        queue = self._queue
        given = 0
        while queue and given < at_once:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                given += 1
        if not queue:
            self._is_busy = False
            return
        # They run in this turn of the loop, which sends what they wrote in the next one.
        loop.call_soon(loop.call_soon, self._rest, loop, loop.time(), given)

    def _rest(self, loop: asyncio.AbstractEventLoop, begun: float, given: int) -> None:
        taken_s = loop.time() - begun
        fitting = int(given * _SLICE_S / taken_s) if taken_s > 0 else _MOST_AT_ONCE
        # Slowly, because others than they may have run.
        self._at_once = min(max(fitting, self._at_once // 2, 1), self._at_once * 2, _MOST_AT_ONCE)
        rest_s = max(taken_s * _REST, _LEAST_REST_S)
        loop.call_later(rest_s, self._go_on, loop, self._at_once)


def give(turn: Turn) -> None:
    """Have one go on at once."""
    if not turn.done():
        turn.set_result(None)
