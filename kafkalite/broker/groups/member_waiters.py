"""Heartbeats that wait for news (long polls)."""

import asyncio
from collections.abc import Iterable

from kafkalite.broker.groups.errors import again
from kafkalite.model.errors import LogError


class WaitingRoom:
    """How many heartbeats wait, in all groups together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.taken = 0

    def close(self) -> None:
        """Nobody may wait any more."""
        self._size = 0

    @property
    def is_full(self) -> bool:
        return self.taken >= self._size


class MemberWaiters:
    """The members of one group that wait: one heartbeat of each, the newest. On the event loop."""

    __slots__ = ("_room", "_waiting")

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self, member_id: str, timeout_s: float) -> None:
        """Wait until the member has news, asks again, or the time is up.

        Does not wait where too many do.

        Raises:
            LogError: the group's coordinator gave it up.
        """
        self.wake((member_id,))
        if self._room.is_full:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout_s, _settle, future)
        self._waiting[member_id] = future
        self._room.taken += 1
        try:
            await future
        finally:
            self._room.taken -= 1
            timer.cancel()
            if self._waiting.get(member_id) is future:
                del self._waiting[member_id]

    def wake(self, members: Iterable[str]) -> None:
        for member_id in members:
            future = self._waiting.pop(member_id, None)
            if future is not None:
                _settle(future)

    def wake_all(self) -> None:
        self.wake(tuple(self._waiting))

    def fail(self, error: LogError) -> None:
        """Tell everyone that there will be no news."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(again(error))
                future.exception()  # counts as seen: whoever waited may be gone


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
