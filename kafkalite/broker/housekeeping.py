"""What happens on a timer: retention, flushing by interval, checkpoints."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from kafkalite.broker.partition import Partition
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError

_PARTITIONS_A_TURN: Final = 50
"""Others run after so many."""

_log = logging.getLogger(__name__)


class Chore(NamedTuple):
    """Something to be done every so often."""

    name: str
    interval_ms: int
    do: Callable[[], Awaitable[None]]


class Housekeeping:
    """Runs chores, each in a task of its own, between `start()` and `stop()`.

    A chore that fails is logged and tried again at its next turn: the disk may be full for a while.
    """

    def __init__(self, chores: Iterable[Chore]) -> None:
        self._chores = tuple(chores)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(_repeat(chore), name=f"chore-{chore.name}")
            for chore in self._chores
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _repeat(chore: Chore) -> None:
    while True:
        await asyncio.sleep(chore.interval_ms / 1000)
        try:
            await chore.do()
        except (LogError, OSError) as error:
            _log.error("%s failed, will be tried again: %s", chore.name, error)
        except Exception:  # noqa: BLE001 - whatever it is, the chore must go on
            _log.exception("%s failed, will be tried again", chore.name)


async def clean_logs(partitions: Iterable[Partition], clock: Clock) -> None:
    """Let go of what retention no longer keeps.

    `partitions` is looked at again after others ran: a log whose topic went is not to be touched.
    """
    held = set(partitions)
    for count, partition in enumerate(list(held), 1):
        if partition not in held:
            continue
        now = clock.wall_ms()
        try:
            deleted = partition.log.apply_retention(now, partition.offsets.high_watermark)
        except (LogError, OSError) as error:
            _log.error("Cleaning %s failed: %s", partition.topic_partition, error)
            continue
        if deleted:
            _log.info("%s: %d segments are old enough to go", partition.topic_partition, deleted)
        if count % _PARTITIONS_A_TURN == 0:
            await asyncio.sleep(0)
            held = set(partitions)


async def expire_producers(
    partitions: Iterable[Partition], clock: Clock, expiration_ms: int
) -> None:
    """Forget the producer ids that sent a partition nothing for `expiration_ms`."""
    for count, partition in enumerate(list(partitions), 1):
        partition.log.producers.expire(clock.wall_ms(), expiration_ms)
        if count % _PARTITIONS_A_TURN == 0:
            await asyncio.sleep(0)
