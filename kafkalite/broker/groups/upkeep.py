"""What is done about groups without being asked: adopted, expired, rid of what is gone."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Final

from kafkalite.broker.groups.coordinated_group import CoordinatedGroup
from kafkalite.broker.groups.options import GroupOptions
from kafkalite.broker.groups.ports import GroupStore
from kafkalite.broker.groups.table import GroupTable
from kafkalite.broker.groups.topics import GroupTopics
from kafkalite.broker.ports import StoreError
from kafkalite.model.clock import Clock
from kafkalite.model.errors import CoordinatorLoadInProgressError, LogError
from kafkalite.model.ids import TopicId

_PAUSE_S: Final = 1.0
"""Between two looks."""
_GROUPS_AT_ONCE: Final = 50
"""That are loaded together: others ask for groups too."""

_log = logging.getLogger(__name__)


class GroupUpkeep:
    """Looks after all groups that this broker is to coordinate, whether anybody asks or not.

    - Groups with members are loaded where their coordinator is gone: who would notice that their
      members are dead too?
    - Offsets of a topic go when it goes, also where another one has its name by now.
    - A group without members goes when nothing was committed for the time of retention.

    Owns one task, which does not run while it is suspended; what was to be done is done later.
    Life: `start`, `suspend` and `resume`, `stop`. On the event loop.
    """

    def __init__(
        self,
        table: GroupTable,
        store: GroupStore,
        topics: GroupTopics,
        clock: Clock,
        options: GroupOptions,
        *,
        is_here: Callable[[str], bool],
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        """Assign only.

        Args:
            table: the groups that are held.
            store: all groups.
            topics: those that there are.
            clock: for what is done again later, and for the age of commits.
            options: times.
            is_here: whether this broker is to coordinate a group.
            catch_up: brings what is known of topics up to now.
        """
        self._table = table
        self._store = store
        self._topics = topics
        self._clock = clock
        self._options = options
        self._is_here = is_here
        self._catch_up = catch_up
        self._adopts = True
        self._gone: set[str] = set()
        self._ids: dict[str, TopicId] = {}
        self._check_due_ms = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def gone_topics(self) -> Collection[str]:
        """Topics that went, and whose offsets are still to be removed."""
        return self._gone

    def start(self) -> None:
        self._check_due_ms = self._clock.monotonic_ms() + self._options.check_interval_ms
        self.resume()

    def resume(self) -> None:
        self._adopts = True
        self._news.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="group-upkeep")

    def suspend(self) -> None:
        """Stop; what is being written may still be written."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """Stop for good."""
        self.suspend()
        if self._ending:
            await asyncio.wait(set(self._ending))

    def adopt(self) -> None:
        """Look soon for groups without a coordinator."""
        self._adopts = True
        self._news.set()

    def take_topics(self, topics: Mapping[str, TopicId]) -> None:
        """Take in which topics there are now; of those that went the offsets go soon.

        A topic whose name another one has by now went too.
        """
        gone = {name for name, topic_id in self._ids.items() if topics.get(name) != topic_id}
        self._ids = dict(topics)
        if gone:
            self._gone |= gone
            self._news.set()

    # -- the task -------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            left_ms = max(0, self._check_due_ms - self._clock.monotonic_ms())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_ms / 1000):
                    await self._news.wait()
            self._news.clear()
            try:
                await self.look()
            except (StoreError, LogError) as error:
                _log.warning("Looking after groups, will be tried again: %s", error)
                self._news.set()
            except Exception:  # noqa: BLE001 - whatever it is, groups must be looked after
                _log.exception("Looking after groups failed, will be tried again")
                self._news.set()
            # Also where two brokers believe to coordinate the same groups, for a while.
            await asyncio.sleep(_PAUSE_S)

    async def look(self) -> None:
        """Do what is to be done.

        Raises:
            StoreError, LogError: it could not all be done, and is still to be.
        """
        is_checking = self._clock.monotonic_ms() >= self._check_due_ms
        if not (self._adopts or self._gone or is_checking):
            return
        groups = [group for group in await self._store.list_groups() if self._is_here(group)]
        if self._adopts:
            self._adopts = False
            try:
                await self._adopt(groups)
            except BaseException:
                self._adopts = True
                raise
        if self._gone:
            gone = frozenset(self._gone)
            await self._forget_topics(groups, lambda topics: gone & topics.keys())
            self._gone -= gone
        if is_checking:
            await self._catch_up()
            known = set(self._topics.names())
            await self._forget_topics(
                groups, lambda topics: topics.keys() - known | self._topics.made_anew(topics)
            )
            await self._expire(groups)
            self._unload()
            self._check_due_ms = self._clock.monotonic_ms() + self._options.check_interval_ms

    async def _adopt(self, groups: Sequence[str]) -> None:
        loose = [group for group in groups if self._table.held(group) is None]
        stored = await self._store.load_many(loose)
        wanted = [
            group for group, each in zip(loose, stored, strict=True) if each and each.state.members
        ]
        if wanted:
            _log.info("Coordinating %d groups from now on", len(wanted))
        for start in range(0, len(wanted), _GROUPS_AT_ONCE):
            await self._load(wanted[start : start + _GROUPS_AT_ONCE])

    async def _load(self, groups: Iterable[str]) -> list[CoordinatedGroup]:
        outcomes = await asyncio.gather(
            *(self._table.get(group) for group in groups), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, CoordinatedGroup)]

    async def _forget_topics(
        self,
        groups: Sequence[str],
        gone_of: Callable[[Mapping[str, TopicId | None]], Set[str]],
    ) -> None:
        below = await self._store.topics_with_offsets(groups)
        for name, topics in zip(groups, below, strict=True):
            gone = frozenset(gone_of(topics))
            group = await self._table.get(name) if gone else None
            if group is not None:
                await group.forget_topics(gone)

    async def _expire(self, groups: Sequence[str]) -> None:
        too_old_ms = self._clock.wall_ms() - self._options.retention_ms
        stored = await self._store.load_many(groups)
        for name, each in zip(groups, stored, strict=True):
            if each is not None and (each.state.members or each.modified_ms > too_old_ms):
                continue
            if await self._store.last_commit_ms(name) > too_old_ms:
                continue
            group = await self._table.get(name)
            if group is not None and group.is_idle:
                _log.info("Group %s has no members, and nothing is committed: it goes", name)
                await self._table.remove(group)

    def _unload(self) -> None:
        """Hold groups no more that have no members, and that nobody asks for."""
        unused_ms = self._clock.monotonic_ms() - self._options.check_interval_ms
        for group in self._table:
            if group.is_idle and group.last_used_ms < unused_ms:
                error = CoordinatorLoadInProgressError(f"Group '{group.name}' is being loaded")
                self._table.drop(group, error)
