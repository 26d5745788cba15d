"""Finds out whether brokers are dead whose session still lives."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from kafkalite.broker.ports import Peers
from kafkalite.model.cluster import Broker
from kafkalite.model.ids import BrokerId

_log = logging.getLogger(__name__)

LOOK_AGAIN_AFTER_S: Final = 0.05
"""One refusal may be a listener that is just being opened; two in a row are believed."""
WATCH_EVERY_S: Final = 1.0

_Incarnation = tuple[BrokerId, int]


async def is_dead(peers: Peers, broker: Broker) -> bool:
    """Whether nobody listens at the broker's address, looked at twice."""
    if not await peers.refuses(broker):
        return False
    await asyncio.sleep(LOOK_AGAIN_AFTER_S)
    return await peers.refuses(broker)


class DeathWatch:
    """Looks at brokers that somebody calls unreachable, and watches the dead until they are back.

    Owned by a ControllerTerm. Owns one task for each broker it looks at or watches: at most one an
    incarnation, so no more than there are brokers. Life: `look`, `stop`.
    """

    def __init__(
        self,
        peers: Peers,
        *,
        is_registered: Callable[[Broker], bool],
        on_dead: Callable[[Broker], None],
        on_back: Callable[[Broker], None],
    ) -> None:
        """Build.

        Args:
            peers: how to look.
            is_registered: whether this incarnation still is; else nobody has to watch it.
            on_dead: called when a broker is found dead.
            on_back: called when one that was accepts connections again.
        """
        self._peers = peers
        self._is_registered = is_registered
        self._on_dead = on_dead
        self._on_back = on_back
        self._looks: dict[_Incarnation, asyncio.Task[bool]] = {}
        self._watches: dict[_Incarnation, asyncio.Task[None]] = {}

    def look_at(self, brokers: Iterable[Broker]) -> None:
        """Look at all of these, without waiting for what is found."""
        for broker in brokers:
            self._look_at(broker)

    async def look(self, broker: Broker) -> bool:
        """Whether the broker is dead; looks, unless that is known or being looked at."""
        if (broker.id, broker.epoch) in self._watches:
            return True
        # Who asks may go away; others may wait for the same look.
        return await asyncio.shield(self._look_at(broker))

    def _look_at(self, broker: Broker) -> asyncio.Task[bool]:
        key = broker.id, broker.epoch
        task = self._looks.get(key)
        if task is None:
            task = asyncio.create_task(self._look(broker), name=f"look at broker {broker.id}")
            self._looks[key] = task
            task.add_done_callback(lambda _: self._looks.pop(key, None))
        return task

    async def stop(self) -> None:
        """End all tasks."""
        tasks = [*self._looks.values(), *self._watches.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look(self, broker: Broker) -> bool:
        if not await is_dead(self._peers, broker):
            return False
        _log.warning("Broker %d refuses connections: it counts as dead", broker.id)
        key = broker.id, broker.epoch
        task = asyncio.create_task(self._watch(broker), name=f"watch broker {broker.id}")
        self._watches[key] = task
        task.add_done_callback(lambda _: self._watches.pop(key, None))
        self._on_dead(broker)
        return True

    async def _watch(self, broker: Broker) -> None:
        while self._is_registered(broker):
            if not await self._peers.refuses(broker):
                _log.info("Broker %d accepts connections again", broker.id)
                self._on_back(broker)
                return
            await asyncio.sleep(WATCH_EVERY_S)
