"""Producer ids: each is given to one producer, whichever broker it asks."""

import asyncio
from collections.abc import Awaitable, Callable

from kafkalite.broker.ports import StoreError
from kafkalite.model.errors import CoordinatorNotAvailableError


class ProducerIds:
    """Gives ids out of blocks that this broker claims one after the other. Lives on the loop.

    What is left of a block when the broker stops is never given.
    """

    def __init__(self, claim: Callable[[], Awaitable[range]]) -> None:
        """Assign only; `claim` takes a block for this broker alone, and may raise StoreError."""
        self._claim = claim
        self._block = iter(range(0))
        self._claiming = asyncio.Lock()
        """So that all that wait for a block share one."""

    async def take(self) -> int:
        """An id that no producer ever had.

        Raises:
            CoordinatorNotAvailableError: no block could be claimed now.
        """
        while True:
            block = self._block
            producer_id = next(block, None)
            if producer_id is not None:
                return producer_id
            async with self._claiming:
                if self._block is block:
                    self._block = iter(await self._claimed())

    async def _claimed(self) -> range:
        try:
            return await self._claim()
        except StoreError as error:
            raise CoordinatorNotAvailableError(
                f"No producer ids could be claimed from ZooKeeper: {error}"
            ) from error
