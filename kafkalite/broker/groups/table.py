"""The groups that this broker coordinates now."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Final

from kafkalite.broker.groups.coordinated_group import CoordinatedGroup, Surroundings
from kafkalite.broker.groups.errors import again, in_words
from kafkalite.broker.groups.ports import GroupConflictError, StoredGroup
from kafkalite.broker.ports import StoreError
from kafkalite.groups.state import GroupState
from kafkalite.model.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    LogError,
    ThrottlingQuotaExceededError,
)

_MAX_ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)


class GroupTable:
    """Loads groups when they are asked for, and holds them until they are dropped.

    A group that is loaded is written once as it is, so that whoever coordinated it before cannot
    write any more (GRP-11). Owned by the GroupCoordinator; makes a task for each load, which ends
    by itself. While it is suspended it holds nothing and loads nothing. On the event loop.
    """

    def __init__(self, around: Surroundings) -> None:
        """Assign only; it begins suspended."""
        self._around = around
        self._held: dict[str, CoordinatedGroup] = {}
        self._busy: dict[str, asyncio.Task[CoordinatedGroup | None]] = {}
        """Groups that are being loaded or removed."""
        self._suspended_by: LogError | None = CoordinatorNotAvailableError(
            "The broker does not coordinate groups yet"
        )

    def __iter__(self) -> Iterator[CoordinatedGroup]:
        """Those that are held now; others may be loaded meanwhile."""
        return iter(tuple(self._held.values()))

    def __len__(self) -> int:
        return len(self._held)

    def held(self, name: str) -> CoordinatedGroup | None:
        return self._held.get(name)

    def check_open(self) -> None:
        """Raise, while it is suspended, what everybody is told."""
        if self._suspended_by is not None:
            raise again(self._suspended_by)

    async def get(self, name: str, *, create: bool = False) -> CoordinatedGroup | None:
        """The group, loaded if need be; None where there is none, unless it shall be created.

        Raises:
            LogError: it cannot be loaded now.
        """
        while True:
            self.check_open()
            group = self._held.get(name)
            if group is not None:
                return group
            busy = self._busy.get(name)
            if busy is None:
                self._check_room()
                busy = self._begin(name, self._load(name, create))
            # Not cancelled with this request: others wait for it too.
            loaded = await asyncio.shield(busy)
            if loaded is not None or not create:
                return loaded

    async def remove(self, group: CoordinatedGroup) -> None:
        """Remove a group that this broker holds from the store, with all it has.

        Raises:
            LogError: it cannot be done, or not now; it is read anew by whoever asks next.
        """
        if self._busy.get(group.name) is not None:
            raise CoordinatorLoadInProgressError(f"Group '{group.name}' is being loaded")
        await asyncio.shield(self._begin(group.name, self._remove(group)))

    def drop(self, group: CoordinatedGroup, error: LogError) -> None:
        """Hold a group no more; whoever waits for it is told `error`."""
        if self._held.get(group.name) is group:
            del self._held[group.name]
        group.close(error)

    def suspend(self, error: LogError) -> None:
        """Hold nothing and load nothing until `resume`; everybody is told `error`."""
        self._suspended_by = error
        for group in self:
            self.drop(group, error)

    def resume(self) -> None:
        self._suspended_by = None

    async def stop(self) -> None:
        """Wait for what is under way."""
        while self._busy:
            await asyncio.wait(set(self._busy.values()))

    # -- loading --------------------------------------------------------------------------------

    def _begin(
        self, name: str, work: Coroutine[object, None, CoordinatedGroup | None]
    ) -> "asyncio.Task[CoordinatedGroup | None]":
        task = asyncio.create_task(work, name=f"load group {name}")
        self._busy[name] = task

        def ended(task: "asyncio.Task[CoordinatedGroup | None]") -> None:
            del self._busy[name]
            if not task.cancelled():
                task.exception()  # counts as seen: whoever asked may be gone

        task.add_done_callback(ended)
        return task

    async def _load(self, name: str, create: bool) -> CoordinatedGroup | None:
        try:
            claimed = await self._claim(name, create)
        except StoreError as error:
            refusal = in_words(name, error)
            _log.warning("Loading group %s: %s", name, error)
            raise refusal from error
        if claimed is None:
            return None
        group = CoordinatedGroup(name, claimed, self._around)
        await self._forget_topics_made_anew(group)
        self.check_open()
        self._held[name] = group
        group.begin()
        return group

    async def _forget_topics_made_anew(self, group: CoordinatedGroup) -> None:
        """Rid a group, before anybody asks for it, of offsets that are of other topics (GRP-16).

        Nobody may have coordinated it when a topic went and another one got its name.
        """
        try:
            (topics,) = await self._around.store.topics_with_offsets([group.name])
        except StoreError as error:
            raise in_words(group.name, error) from error
        gone = self._around.topics.made_anew(topics)
        if gone:
            await group.forget_topics(gone)

    async def _claim(self, name: str, create: bool) -> StoredGroup | None:
        """Read a group and write it as it is, at once."""
        around = self._around
        for _ in range(_MAX_ATTEMPTS):
            stored = await around.store.load(name)
            if stored is None:
                if not create:
                    return None
                stored = StoredGroup(GroupState())
            try:
                version = await around.store.save_state(
                    name, stored.state, coordinator=around.own_id(), remainder=stored.remainder
                )
            except GroupConflictError as error:
                _log.info("Loading group %s: %s", name, error)
                continue
            return replace(stored, state=replace(stored.state, version=version))
        raise GroupConflictError(f"Others keep changing group {name}")

    async def _remove(self, group: CoordinatedGroup) -> None:
        self.drop(group, CoordinatorLoadInProgressError(f"Group '{group.name}' is being deleted"))
        await group.quiet()
        try:
            await self._around.store.delete_group(group.name, group.machine.stored_state.version)
        except StoreError as error:
            raise in_words(group.name, error) from error

    def _check_room(self) -> None:
        """Make room for one more group, at the cost of one that nobody needs in memory."""
        limit = self._around.options.max_groups
        if len(self._held) + len(self._busy) < limit:
            return
        idle = min(
            (group for group in self if group.is_idle),
            key=lambda group: group.last_used_ms,
            default=None,
        )
        if idle is None:
            raise ThrottlingQuotaExceededError(
                f"This broker coordinates {limit} groups with members already"
            )
        self.drop(idle, CoordinatorLoadInProgressError(f"Group '{idle.name}' is being loaded"))
