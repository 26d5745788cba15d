"""Commits of many groups, gathered so that ZooKeeper sees few transactions."""

import asyncio
import logging
from typing import Final

from kafkalite.broker.groups.ports import GroupCommit, GroupStore
from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import ThrottlingQuotaExceededError

_ROUNDS_AT_ONCE: Final = 2
"""One is being written while the next one is being answered."""
_OFFSETS_A_ROUND: Final = 4_000

_log = logging.getLogger(__name__)


class OffsetCommits:
    """Writes the commits of all groups of this broker, those of one turn of the loop together.

    A group has one commit here at a time. Owned by the GroupCoordinator; makes a task for each
    round, which ends by itself. On the event loop.
    """

    def __init__(self, store: GroupStore, max_offsets: int) -> None:
        """Assign only; `max_offsets` may wait at once, with those that are being written."""
        self._store = store
        self._max_offsets = max_offsets
        self._waiting_offsets = 0
        self._queue: list[tuple[GroupCommit, asyncio.Future[StoreError | None]]] = []
        self._rounds: set[asyncio.Task[None]] = set()
        self._is_starting = False
        self.calls = 0
        """Of clients that were written."""

    def reserve(self, offsets: int) -> None:
        """Take room for offsets that a client wants to commit; to be given back by `release`.

        Raises:
            ThrottlingQuotaExceededError: there is none.
        """
        if self._waiting_offsets + offsets > self._max_offsets:
            raise ThrottlingQuotaExceededError(
                f"{self._waiting_offsets} offsets wait to be committed already; try again"
            )
        self._waiting_offsets += offsets

    def release(self, offsets: int) -> None:
        self._waiting_offsets -= offsets

    async def write(self, commit: GroupCommit) -> StoreError | None:
        """Write one group's offsets; gives why not, as the store says it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[StoreError | None] = loop.create_future()
        self._queue.append((commit, future))
        if not self._is_starting and len(self._rounds) < _ROUNDS_AT_ONCE:
            self._is_starting = True
            loop.call_soon(self._start)  # others of this turn come along
        return await future

    async def stop(self) -> None:
        """Wait for what is being written."""
        while self._rounds:
            await asyncio.wait(set(self._rounds))

    def _start(self) -> None:
        self._is_starting = False
        while self._queue and len(self._rounds) < _ROUNDS_AT_ONCE:
            count = offsets = 0
            for commit, _ in self._queue:
                count += 1
                offsets += len(commit.offsets)
                if offsets >= _OFFSETS_A_ROUND:
                    break
            some, self._queue = self._queue[:count], self._queue[count:]
            task = asyncio.create_task(self._write(some), name="offset-commits")
            self._rounds.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        self._start()

    async def _write(
        self, some: list[tuple[GroupCommit, asyncio.Future[StoreError | None]]]
    ) -> None:
        outcomes: list[StoreError | None]
        try:
            outcomes = await self._store.commit([commit for commit, _ in some])
        except StoreError as error:
            outcomes = [error] * len(some)
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody has to be answered
            _log.exception("Committing offsets failed")
            outcomes = [StoreError(f"the commit failed: {error}")] * len(some)
        for (_, future), outcome in zip(some, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
