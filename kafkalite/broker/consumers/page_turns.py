"""One look for records: what there is of an assignment, or a wait until there may be."""

import asyncio
from collections.abc import Callable
from typing import Final

from kafkalite.broker.consumers.assignment import ConsumerAssignment
from kafkalite.broker.consumers.page import ConsumerPage
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.ids import TopicPartition

_LOOK_AGAIN_S: Final = 1.0
"""Who has nothing to read looks for topics that appear."""
_LOCATE_AGAIN_S: Final = 0.2
"""Positions that nobody could tell are looked for again."""
_LEAST_TURN_S: Final = 0.01
"""What looking for records takes at least where there are none."""


class PageTurns:
    """Fills pages from an assignment, one at a time. Lives on the loop."""

    def __init__(
        self, assignment: ConsumerAssignment, reader: ConsumerReader, news: ReadWaiters
    ) -> None:
        """Assign only; `news` wakes who waits."""
        self._assignment = assignment
        self._reader = reader
        self._news = news

    async def take(
        self,
        page: ConsumerPage,
        wait_s: float,
        *,
        min_bytes: int,
        is_over: Callable[[], bool],
        admits: Callable[[TopicPartition], bool] | None = None,
    ) -> list[bytes]:
        """Rows that are to be sent now, for they count as sent; perhaps none, before time is up.

        Args:
            page: empty; filled with what is found.
            wait_s: how long to wait while there is less than `min_bytes`.
            min_bytes: see there.
            is_over: whether nobody wants them any more, once they are read.
            admits: asked of each partition whether anything of it may be sent.

        Raises:
            IllegalStateError: there is no position, and no rule to get one.
            LogError, StoreError: something is damaged, or cannot be asked.
        """
        assignment, reader = self._assignment, self._reader
        wanted = assignment.partitions
        await assignment.locate()
        if is_over() or assignment.partitions != wanted:
            return []  # what has happened meanwhile wakes nobody any more
        loop = asyncio.get_running_loop()
        begun = loop.time()
        positions = assignment.to_read()
        rest_s = reader.rest_s()
        read_s = wait_s if rest_s is None else min(wait_s, max(rest_s, 0.0))
        is_asked = await reader.read(
            positions, page, wait_ms=int(read_s * 1000), min_bytes=min_bytes
        )
        if is_over():
            return []
        rows = assignment.hand_out(page, positions, admits)
        if page.poison is not None and not rows:
            return rows
        if reader.out_of_range:
            await assignment.reset()
        elif is_asked and not page.next_offsets and loop.time() - begun < _LEAST_TURN_S:
            await asyncio.sleep(_LEAST_TURN_S)  # nobody waits, as when this broker stops
        elif not is_asked and wait_s > 0:
            pause_s = _LOOK_AGAIN_S if assignment.is_located else _LOCATE_AGAIN_S
            await wait_any([self._news], min(wait_s, pause_s))
        return rows
