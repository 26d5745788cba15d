"""The polls of one instance: they queue, wait, and say by coming what the client has dealt with."""

import asyncio
from collections.abc import Callable
from typing import Final

from kafkalite.broker.consumers.assignment import ConsumerAssignment
from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import TooManyConsumersError
from kafkalite.broker.consumers.messenger import Messenger, Messengers
from kafkalite.broker.consumers.page import ConsumerPage
from kafkalite.broker.consumers.page_turns import PageTurns
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.errors import NotCoordinatorError
from kafkalite.wire.rest_records import OnError

MAX_QUEUED: Final = 100
"""Of one instance; one more is told to come back later."""


class ConsumerPolls:
    """Reads the assignment page by page. Lives on the loop; ends with `close`."""

    def __init__(
        self,
        assignment: ConsumerAssignment,
        reader: ConsumerReader,
        turns: PageTurns,
        messengers: Messengers,
        news: ReadWaiters,
        definition: Callable[[], ConsumerDefinition],
    ) -> None:
        """Assign only; `news` wakes polls that wait."""
        self._assignment = assignment
        self._reader = reader
        self._turns = turns
        self._messengers = messengers
        self._news = news
        self._definition = definition
        self.dealt_with = ReadWaiters()
        """Wakes who waits for the client to deal with what it got."""
        self._turn = asyncio.Lock()
        self._queued = 0
        self._messenger: Messenger | None = None
        """Who sent the client the last records that it has not dealt with yet; None: we did."""
        self._handed_out = 0
        """Polls that gave records."""
        self._is_closed = False
        self._is_elsewhere = False

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def close(self, *, is_elsewhere: bool = False) -> None:
        """Have polls return at once; `is_elsewhere`: with the error that sends them elsewhere."""
        self._is_closed = True
        self._is_elsewhere = self._is_elsewhere or is_elsewhere
        self._news.wake()
        self.dealt_with.wake()

    async def poll(
        self,
        timeout_ms: int,
        max_bytes: int,
        on_error: OnError,
        messenger: Messenger | None,
        *,
        is_again: bool,
    ) -> list[bytes]:
        """See ConsumerInstance."""
        if self._queued >= MAX_QUEUED:
            raise TooManyConsumersError(
                f"{MAX_QUEUED} requests for records of this instance wait already"
            )
        loop = asyncio.get_running_loop()
        due = loop.time() + timeout_ms / 1000
        self._queued += 1
        try:
            await self.deal_with(is_again=is_again)
            async with self._turn:
                while not self._is_closed:
                    left_s = max(due - loop.time(), 0.0)
                    rows = await self._poll_once(left_s, max_bytes, on_error)
                    if rows:
                        self._messenger = messenger
                        self._handed_out += 1
                        return rows
                    if loop.time() >= due:
                        break
        finally:
            self._queued -= 1
        if self._is_elsewhere:
            raise NotCoordinatorError("Another broker serves this consumer instance now")
        return []

    async def deal_with(self, *, is_again: bool = False) -> None:
        """The client goes on: it has dealt with what it got, if it got it."""
        messenger, before = self._messenger, self._handed_out
        if messenger is not None and not is_again:
            is_again = await self._messengers.is_gone(messenger)
            if self._handed_out != before:
                return  # another poll got more meanwhile, which nobody has dealt with
        positions = self._assignment.positions
        if is_again:
            for partition in positions.rewind():
                self._reader.drop(partition)
        positions.acknowledge()
        self._messenger = None
        self.dealt_with.wake()

    async def _poll_once(self, left_s: float, max_bytes: int, on_error: OnError) -> list[bytes]:
        definition = self._definition()
        page = ConsumerPage(definition.format, max_bytes, on_error)
        rows = await self._turns.take(
            page,
            left_s,
            min_bytes=definition.fetch_min_bytes,
            is_over=lambda: self._is_closed,
        )
        if page.poison is not None and not rows and not self._is_closed:
            raise page.poison
        return rows
