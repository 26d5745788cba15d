"""Has many who were woken at once go on one after the other, in a bounded share of the loop's time.

One record wakes every reader of its topic. If all of them went on at once, a producer would wait
for its answer until hundreds had been sent to.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

_AT_ONCE: Final = 8
"""Of those that were woken: others come in between."""
_REST: Final = 2.0
"""For how long nobody goes on where others wait yet, by what those took who went on before."""
_LEAST_REST_S: Final = 0.001
"""What timers of the loop can tell apart."""

Turn = asyncio.Future[None]


class Turns:
    """The queue of those who may go on. Lives on the loop; one for all tails of a broker."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._queue: deque[Turn] = deque()
        self._is_busy = False

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
            self._go_on(loop)
        return last

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        queue = self._queue
        given = 0
        while queue and given < _AT_ONCE:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                given += 1
        if not queue:
            self._is_busy = False
            return
        # They run in this turn of the loop, which sends what they wrote in the next one.
        loop.call_soon(loop.call_soon, self._rest, loop, loop.time())

    def _rest(self, loop: asyncio.AbstractEventLoop, begun: float) -> None:
        rest_s = max((loop.time() - begun) * _REST, _LEAST_REST_S)
        loop.call_later(rest_s, self._go_on, loop)


def give(turn: Turn) -> None:
    """Have one go on at once."""
    if not turn.done():
        turn.set_result(None)
