"""The id under which a producer's batches are numbered, as brokers give it."""

import asyncio
from collections.abc import Awaitable, Callable

from kafkalite.model.errors import LogError
from kafkalite.wire.batch import NO_PRODUCER_ID


class ProducerIds:
    """The current producer id, and the task that asks for one; lives on the loop."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[int]],
        *,
        backoff_s: Callable[[int], float],
        on_change: Callable[[], None],
    ) -> None:
        """Assign only.

        Args:
            ask: get a new id from a broker; raises LogErrors.
            backoff_s: how long to wait after so many failures.
            on_change: called when there is an id, or when there will never be one.
        """
        self._ask = ask
        self._backoff_s = backoff_s
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self.current = NO_PRODUCER_ID
        self.failure: LogError | None = None
        """Why there will be none."""

    def request(self) -> None:
        """See to it that there is a new id before long."""
        if self._task is None and self.failure is None:
            self._task = asyncio.get_running_loop().create_task(self._get())

    async def close(self) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _get(self) -> None:
        failures = 0
        while True:
            try:
                self.current = await self._ask()
                break
            except LogError as error:
                if not error.retriable:
                    self.failure = error
                    break
                failures += 1
                await asyncio.sleep(self._backoff_s(failures))
        self._task = None
        self._on_change()
