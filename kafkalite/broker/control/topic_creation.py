"""Topics that come into being because someone produces to them (auto.create.topics.enable)."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from kafkalite.broker.control.topic_admin import TopicAdmin
from kafkalite.model.errors import (
    LogError,
    ThrottlingQuotaExceededError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

_TIMEOUT_MS: Final = 10_000
_MAX_AT_ONCE: Final = 100
"""Topics in the making; one more is told to come back."""


class TopicCreation:
    """Creates missing topics with the broker's defaults, each once however many ask for it."""

    def __init__(self, admin: TopicAdmin, is_allowed: Callable[[], bool]) -> None:
        self._admin = admin
        self._is_allowed = is_allowed
        self._making: dict[str, asyncio.Task[None]] = {}

    async def ensure(self, name: str) -> None:
        """Return once the topic exists.

        Raises:
            LogError: it is not there and cannot be created, or may not be.
        """
        if not self._is_allowed():
            raise UnknownTopicOrPartitionError(
                f"Topic {name} does not exist (auto.create.topics.enable=false)"
            )
        task = self._making.get(name)
        if task is None:
            if len(self._making) >= _MAX_AT_ONCE:
                raise ThrottlingQuotaExceededError(f"{_MAX_AT_ONCE} topics are being created")
            task = asyncio.create_task(self._create(name), name=f"create-{name[:64]}")
            self._making[name] = task
            task.add_done_callback(lambda _: self._making.pop(name))
        try:
            # Shielded: one client that goes away must not take the topic from the others.
            await asyncio.shield(task)
        except LogError as error:
            # Several may wait for one task, and a traceback must not grow with each of them.
            raise type(error)(error.detail, **error.extra) from error

    async def _create(self, name: str) -> None:
        with contextlib.suppress(TopicAlreadyExistsError):  # another broker was faster
            await self._admin.create_topic(name, None, None, None, {}, timeout_ms=_TIMEOUT_MS)
