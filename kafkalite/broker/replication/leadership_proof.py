"""Asks the store whether a broker leads what it takes itself to lead, before it says what harms."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from kafkalite.broker.ports import StoreError
from kafkalite.model.clock import Clock

_FRESH_MS: Final = 1_000
"""How long it is believed: a reader that asks for the same again and again costs no more."""
_PATIENCE_S: Final = 2.0

_log = logging.getLogger(__name__)


class LeadershipProof:
    """That the picture of the cluster was up to date a moment ago.

    A process that was stopped for longer than its session has yet to hear that others lead when it
    goes on, and what their readers have seen is unknown to it. Lives on the event loop.
    """

    def __init__(self, catch_up: Callable[[], Awaitable[None]], clock: Clock) -> None:
        """Assign only; `catch_up` brings the view up to now, or raises StoreError."""
        self._catch_up = catch_up
        self._clock = clock
        self._asked_ms: int | None = None
        """When it was asked for what the view shows; None: never."""

    @property
    def is_fresh(self) -> bool:
        """Whether the view was brought up to date a moment ago."""
        asked_ms = self._asked_ms
        return asked_ms is not None and self._clock.monotonic_ms() - asked_ms < _FRESH_MS

    async def renew(self) -> None:
        """Bring the view up to date; it is not fresh afterwards where that cannot be done now."""
        asked_ms = self._clock.monotonic_ms()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._catch_up()
        except (StoreError, TimeoutError) as error:
            _log.info("Whether this broker leads cannot be told now: %s", error or "no answer")
        else:
            self._asked_ms = asked_ms
