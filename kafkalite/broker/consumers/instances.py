"""The consumer instances that this broker serves: those of the groups that it coordinates.

An instance is what its definition in ZooKeeper says. What is kept of it here serves its client
while that shows itself, and can be made anew by any broker, from what the group has committed:

CON-3  A definition is stored before its client is answered, and an instance that is stored is found
       by whichever broker is asked: none is lost with the broker that served it.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import (
    ConsumerError,
    ConsumerExistsError,
    ConsumerNotFoundError,
    TooManyConsumersError,
)
from kafkalite.broker.consumers.instance import ConsumerInstance, ConsumerWorld
from kafkalite.broker.consumers.ports import InstanceStore
from kafkalite.broker.metadata_view import MetadataChange
from kafkalite.broker.ports import StoreError
from kafkalite.model.clock import Clock
from kafkalite.model.errors import LogError

MAX_INSTANCES: Final = 10_000
"""That one broker serves at the same time."""
MAX_STORED: Final = 1_000
"""Definitions of one group."""
AUTO_COMMIT_INTERVAL_S: Final = 5.0
"""How often an instance commits by itself."""
FORGET_MS: Final = 7 * 86_400_000
"""A definition whose client was let go so long ago goes, too."""

_TICK_S: Final = 1.0

_log = logging.getLogger(__name__)

_Place = tuple[str, str]
"""Group and name."""


class ConsumerInstances:
    """The table of instances, and the task that commits for them and lets idle ones go."""

    def __init__(
        self,
        world: ConsumerWorld,
        store: InstanceStore,
        clock: Clock,
        *,
        is_ours: Callable[[str], bool],
        instance_timeout_ms: Callable[[], int],
    ) -> None:
        """Assign only.

        Args:
            world: what instances live on.
            store: keeps definitions.
            clock: the machine's.
            is_ours: whether this broker coordinates a group.
            instance_timeout_ms: after so long without a request an instance is let go.
        """
        self._world = world
        self._store = store
        self._clock = clock
        self._is_ours = is_ours
        self._instance_timeout_ms = instance_timeout_ms
        self._instances: dict[_Place, ConsumerInstance] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._task: asyncio.Task[None] | None = None
        self._releasing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to look after instances."""
        self._world.view.subscribe(self._on_change)
        self._task = asyncio.create_task(self._look_after())

    def stop_waiting(self) -> None:
        """Answer every request that waits for records, and let none wait from now on."""
        for instance in self._instances.values():
            instance.stop_waiting()

    def let_go(self) -> None:
        """Others may serve the instances by now: have each found anew when it is asked for."""
        self._release(list(self._instances.values()))

    async def stop(self) -> None:
        """Let other brokers serve the instances; each commits what was dealt with."""
        task, self._task = self._task, None
        if task is None:  # never started, or stopped before
            return
        self._world.view.unsubscribe(self._on_change)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self.let_go()
        await asyncio.gather(*self._releasing, return_exceptions=True)

    # -- for clients ----------------------------------------------------------------------------

    async def create(
        self,
        group: str,
        name: str | None,
        definition: ConsumerDefinition,
        *,
        may_take_over: bool = False,
    ) -> str:
        """Create an instance; gives its name, which is made up where none is given.

        The name of an instance whose client was let go is free, and with `may_take_over` also that
        of one that was created just the same.

        Raises:
            ConsumerExistsError: the name is taken.
            TooManyConsumersError: there are too many already.
            StoreError: it cannot be stored.
        """
        name = name or f"rest-consumer-{uuid.uuid4()}"
        async with self._lock(group):
            stored = await self._load(group)
            former = stored.get(name)
            if former is not None and not _is_free(former, definition, may_take_over=may_take_over):
                await self._serve(group, name, former)  # from now on its client has to show itself
                raise ConsumerExistsError(
                    "Consumer with specified consumer ID already exists in the specified consumer "
                    "group."
                )
            if len(stored) >= MAX_STORED or len(self._instances) >= MAX_INSTANCES:
                raise TooManyConsumersError("There are as many consumer instances as there may be")
            served = self._instances.pop((group, name), None)
            if served is not None:
                await served.retire(is_finished=False)
            await self._store.save_instance(group, name, definition.encode())
            await self._serve(group, name, definition)
        return name

    async def find(self, group: str, name: str) -> ConsumerInstance:
        """The instance of that name, wherever it was served before.

        Raises:
            ConsumerNotFoundError: there is none.
            LogError, StoreError: it cannot be looked up, or cannot go on in its group.
        """
        served = self._instances.get((group, name))
        if served is not None:
            return served
        async with self._lock(group):
            definition = (await self._load(group)).get(name)
            if definition is None:
                raise ConsumerNotFoundError("Consumer instance not found.")
            if definition.idle_since_ms is not None:
                definition = msgspec.structs.replace(definition, idle_since_ms=None)
                await self._store.save_instance(group, name, definition.encode())
            return await self._serve(group, name, definition)

    async def delete(self, group: str, name: str) -> None:
        """Delete an instance: it leaves the group, having committed what its client got.

        Raises:
            ConsumerNotFoundError: there is none.
            StoreError: it cannot be deleted from the store.
        """
        async with self._lock(group):
            served = self._instances.pop((group, name), None)
            if served is None and name not in await self._load(group):
                raise ConsumerNotFoundError("Consumer instance not found.")
            if served is not None:
                await served.retire(is_finished=True)
            await self._store.delete_instance(group, name)

    # -- looking after them ---------------------------------------------------------------------

    async def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        committed = loop.time()
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                if loop.time() - committed >= AUTO_COMMIT_INTERVAL_S:
                    committed = loop.time()
                    await asyncio.gather(
                        *[one.commit_by_itself() for one in self._instances.values()]
                    )
                await self._retire_idle()
            except (LogError, StoreError, ConsumerError) as error:
                _log.info("Consumer instances: %s", error)
            except Exception:  # noqa: BLE001 - the other instances have to be looked after
                _log.exception("Looking after consumer instances failed")

    async def _retire_idle(self) -> None:
        latest = asyncio.get_running_loop().time() - self._instance_timeout_ms() / 1000
        idle = [
            one for one in self._instances.values() if one.last_used <= latest and not one.is_in_use
        ]
        for instance in idle:
            async with self._lock(instance.group):
                if instance.is_in_use or instance.last_used > latest:
                    continue
                if self._instances.pop((instance.group, instance.name), None) is not instance:
                    continue
                await instance.retire(is_finished=False)
                definition = msgspec.structs.replace(
                    instance.definition, idle_since_ms=self._clock.wall_ms()
                )
                await self._store.save_instance(instance.group, instance.name, definition.encode())

    def _on_change(self, change: MetadataChange) -> None:
        if change.brokers:
            self._release([one for one in self._instances.values() if not self._is_ours(one.group)])

    def _release(self, instances: Sequence[ConsumerInstance]) -> None:
        for instance in instances:
            self._instances.pop((instance.group, instance.name), None)
            task = asyncio.create_task(instance.release())
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)

    def _fenced(self, instance: ConsumerInstance) -> None:
        if self._instances.get((instance.group, instance.name)) is instance:
            del self._instances[instance.group, instance.name]

    # -- the store ------------------------------------------------------------------------------

    async def _serve(
        self, group: str, name: str, definition: ConsumerDefinition
    ) -> ConsumerInstance:
        served = self._instances.get((group, name))
        if served is not None:
            return served
        if len(self._instances) >= MAX_INSTANCES:
            raise TooManyConsumersError("There are as many consumer instances as there may be")

        async def save(changed: ConsumerDefinition) -> None:
            await self._store.save_instance(group, name, changed.encode())

        instance = ConsumerInstance(
            group, name, definition, self._world, save=save, on_fenced=self._fenced
        )
        self._instances[group, name] = instance
        try:
            await instance.resume()
        except BaseException:
            self._fenced(instance)
            await instance.release()
            raise
        return instance

    async def _load(self, group: str) -> dict[str, ConsumerDefinition]:
        """The definitions of a group; those that nobody came back to are removed."""
        found: dict[str, ConsumerDefinition] = {}
        oldest = self._clock.wall_ms() - FORGET_MS
        for name, payload in (await self._store.load_instances(group)).items():
            definition = ConsumerDefinition.decode(payload)
            if definition is None:
                _log.warning("The definition of instance %s of %s cannot be read", name, group)
            elif definition.idle_since_ms is not None and definition.idle_since_ms < oldest:
                await self._store.delete_instance(group, name)
            else:
                found[name] = definition
        return found

    def _lock(self, group: str) -> asyncio.Lock:
        lock = self._locks.get(group)
        if lock is None:
            lock = self._locks[group] = asyncio.Lock()
        return lock


def _is_free(
    former: ConsumerDefinition, wanted: ConsumerDefinition, *, may_take_over: bool
) -> bool:
    """Whether a name that is stored may be used for another instance."""
    if former.idle_since_ms is not None:
        return True
    created = msgspec.structs.replace(former, topics=(), pattern=None, assignment=(), starts=())
    return may_take_over and created == wanted
