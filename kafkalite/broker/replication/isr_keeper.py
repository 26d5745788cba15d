"""Keeps the in-sync replicas of the partitions led here: writes what their leaders propose."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.partition import Partition
from kafkalite.broker.ports import MetadataStore, StoreError
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.controller.events import StateChange
from kafkalite.model.clock import Clock
from kafkalite.model.cluster import PartitionState
from kafkalite.model.ids import BrokerId, TopicPartition

_MAX_CHECK_MS: Final = 1_000
"""Followers that lag, or came back, are looked for at least so often."""
_PARTITIONS_A_TURN: Final = 100
"""Others run after so many were looked at."""

_log = logging.getLogger(__name__)

_Proposal = tuple[Partition, StateChange]


class LedPartitions(Protocol):
    """What it needs of the partition table."""

    def __iter__(self) -> Iterator[Partition]:
        """All that are held."""

    def role_changed(self, partition: Partition) -> None:
        """A partition found out by itself that it leads no more."""


class IsrKeeper:
    """Writes the changes of in-sync replicas that are due, many at a time.

    Owns one task. While it is suspended, because the session with ZooKeeper is, the task does not
    run and nothing new is sent; what was on its way may have been written, and is tried again as it
    was. Life: `start`, `suspend` and `resume` as the session goes, `stop`. On the event loop.
    """

    def __init__(
        self,
        partitions: LedPartitions,
        store: MetadataStore,
        view: MetadataView,
        clock: Clock,
        last_fetch_ms: Callable[[BrokerId, TopicPartition], int | None],
        *,
        lag_ms: int,
        probe: ReplicationProbe,
    ) -> None:
        """Assign only.

        Args:
            partitions: those held here.
            store: where states are.
            view: tells which brokers are registered.
            clock: the machine's.
            last_fetch_ms: when the session of a broker fetched last, None if it has none that
                holds the partition.
            lag_ms: replica.lag.time.max.ms.
            probe: counts.
        """
        self._partitions = partitions
        self._store = store
        self._view = view
        self._clock = clock
        self._last_fetch_ms = last_fetch_ms
        self._probe = probe
        self._check_ms = min(_MAX_CHECK_MS, max(lag_ms // 2, 1))
        self._due: dict[Partition, None] = {}
        self._has_due = asyncio.Event()
        self._started = False
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def due(self, partition: Partition) -> None:
        """Look at a partition now, and not only when all are looked at."""
        self._due[partition] = None
        self._has_due.set()

    def start(self) -> None:
        """Begin to write; there is a session."""
        self._started = True
        self.resume()

    def suspend(self) -> None:
        """Stop at once: the session is suspended or lost."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def resume(self) -> None:
        """The session is back."""
        if self._started and self._task is None:
            self._task = asyncio.create_task(self._run(), name="isr-keeper")

    async def stop(self) -> None:
        """Write no more."""
        self._started = False
        self.suspend()
        if self._ending:
            await asyncio.wait(set(self._ending))

    async def _run(self) -> None:
        check_at_ms = self._clock.monotonic_ms()
        while True:
            now_ms = self._clock.monotonic_ms()
            if now_ms < check_at_ms and not self._due:
                await self._wait_for_due((check_at_ms - now_ms) / 1000)
                now_ms = self._clock.monotonic_ms()
            looked_at = list(self._due)
            if now_ms >= check_at_ms:
                check_at_ms = now_ms + self._check_ms
                looked_at = list(self._partitions)
            self._due.clear()
            self._has_due.clear()
            try:
                await self._write(await self._proposals(looked_at))
            except StoreError as error:
                _log.warning(
                    "In-sync replicas could not be written, will be tried again: %s", error
                )
                await asyncio.sleep(self._check_ms / 1000)
            except Exception:  # noqa: BLE001 - whatever it is, replicas must come and go
                _log.exception("Keeping in-sync replicas failed, will be tried again")
                await asyncio.sleep(self._check_ms / 1000)

    async def _wait_for_due(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_due.wait()
        except TimeoutError:
            pass  # all are to be looked at

    async def _proposals(self, partitions: Sequence[Partition]) -> list[_Proposal]:
        found: list[_Proposal] = []
        now_ms = self._clock.monotonic_ms()
        for count, partition in enumerate(partitions, 1):
            name = partition.topic_partition
            change = partition.isr_change(now_ms, partial(self._fetched, name), self._view.brokers)
            if change is not None:
                found.append((partition, change))
            if count % _PARTITIONS_A_TURN == 0:
                await asyncio.sleep(0)
        return found

    def _fetched(self, name: TopicPartition, follower: BrokerId) -> int | None:
        return self._last_fetch_ms(follower, name)

    async def _write(self, proposals: Sequence[_Proposal]) -> None:
        if not proposals:
            return
        outcome = await self._store.write_isr([change for _, change in proposals])
        for partition, change in proposals:
            if change.partition not in outcome:
                continue  # nothing is known of it: it stays as it is until the next look
            state = outcome[change.partition]
            self._tell(partition.isr, change, state)
            partition.isr_written(state)
            if not partition.is_leader:
                self._partitions.role_changed(partition)
            elif partition.follows(state):
                self.due(partition)  # something may have come up meanwhile

    def _tell(
        self, before: Collection[BrokerId], change: StateChange, state: PartitionState | None
    ) -> None:
        if state is None or state.isr != change.state.isr:
            _log.info("In-sync replicas of %s were changed by another first", change.partition)
            return
        _log.info("In-sync replicas of %s are now %s", change.partition, list(state.isr))
        self._probe.isr_shrinks += not set(before).issubset(state.isr)
        self._probe.isr_expands += not set(state.isr).issubset(before)
