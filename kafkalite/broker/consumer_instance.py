"""One consumer instance: what it reads, how far it is, and its place in the group."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kafkalite.broker.consumer_commits import ConsumerCommits, OffsetToKeep
from kafkalite.broker.consumer_definition import ConsumerDefinition
from kafkalite.broker.consumer_errors import (
    IllegalStateError,
    NotAssignedError,
    NotSubscribedError,
    TooManyConsumersError,
)
from kafkalite.broker.consumer_membership import ConsumerMembership, Partitions
from kafkalite.broker.consumer_messenger import Messenger, Messengers
from kafkalite.broker.consumer_page import ConsumerPage
from kafkalite.broker.consumer_ports import Committed, Groups, Offsets, Reads
from kafkalite.broker.consumer_positions import ConsumerPositions
from kafkalite.broker.consumer_reader import ConsumerReader
from kafkalite.broker.consumer_start import ConsumerStart, Starts
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.errors import LogError, NotCoordinatorError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.rest_records import OnError

MAX_QUEUED_POLLS: Final = 100
"""Of one instance; one more is told to come back later."""
JOIN_WAIT_S: Final = 3.0
"""How long subscribing waits for partitions, so that seeks work at once."""
REVOKE_PATIENCE_S: Final = 10.0
"""How long a partition that others shall have waits for the client to deal with what it got."""
_LOOK_AGAIN_S: Final = 1.0
"""A poll that has nothing to read looks for topics that appear."""
_LOCATE_AGAIN_S: Final = 0.2
"""A poll looks for positions that nobody could tell."""
_LEAST_TURN_S: Final = 0.01
"""What looking for records takes at least where there are none."""
_RESUME_S: Final = 5.0
"""How long going on elsewhere waits for the group; it goes on without, and joins later."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumerWorld:
    """What instances live on."""

    groups: Groups
    reads: Reads
    offsets: Offsets
    view: MetadataView
    messengers: Messengers
    session_timeout_ms: int


class ConsumerInstance:
    """One instance, served by one broker at a time. Lives on the loop; owned by ConsumerInstances.

    Polls queue; all else may come at any time, also while a poll waits. A partition that others
    shall have is let go once the client has dealt with what it got of it (CON-1), which it shows by
    polling or committing, or once it has taken too long.
    """

    def __init__(
        self,
        group: str,
        name: str,
        definition: ConsumerDefinition,
        world: ConsumerWorld,
        *,
        save: Callable[[ConsumerDefinition], Awaitable[None]],
        on_fenced: Callable[["ConsumerInstance"], None],
    ) -> None:
        """Assign only.

        Args:
            group: its group.
            name: unique in the group.
            definition: as stored.
            world: what it lives on.
            save: stores another definition.
            on_fenced: told once another broker serves the instance.
        """
        self.group = group
        self.name = name
        self._definition = definition
        self._world = world
        self._save = save
        self._on_fenced = on_fenced
        self._news = ReadWaiters()
        """Wakes polls that wait: the assignment changes, or the instance goes."""
        self._dealt_with = ReadWaiters()
        """Wakes who waits for the client to deal with what it got."""
        self._positions = ConsumerPositions()
        self._reader = ConsumerReader(world.reads, self._news)
        self._membership = ConsumerMembership(
            world.groups, group, name, self, session_timeout_ms=world.session_timeout_ms
        )
        self._commits = ConsumerCommits(
            world.groups, group, self._positions, lambda: self._membership.identity
        )
        self._start = ConsumerStart(world.groups, world.offsets, group)
        self._assigned: set[TopicPartition] = set(definition.assignment)
        self._letting_go: set[TopicPartition] = set()
        self._turn = asyncio.Lock()
        self._defining = asyncio.Lock()
        self._queued = 0
        self._messenger: Messenger | None = None
        """Who sent the client the last records that it has not dealt with yet; None: we did."""
        self._handed_out = 0
        """Polls that gave records."""
        self._using = 0
        self._is_closed = False
        self._is_elsewhere = False
        self.last_used = asyncio.get_running_loop().time()
        """When a request for it was last answered; the loop's seconds."""

    # -- looking --------------------------------------------------------------------------------

    @property
    def definition(self) -> ConsumerDefinition:
        """As stored."""
        return self._definition

    @property
    def assignment(self) -> list[TopicPartition]:
        """What it may read now, in order."""
        return sorted(self._assigned - self._letting_go)

    @property
    def is_in_use(self) -> bool:
        """Whether a request for it is being served."""
        return self._using > 0

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """For the time of a request: its client is there."""
        self._using += 1
        try:
            yield
        finally:
            self._using -= 1
            self.last_used = asyncio.get_running_loop().time()

    # -- what it reads --------------------------------------------------------------------------

    async def resume(self) -> None:
        """Go on where another broker, or this one, left off; does not wait for partitions."""
        definition = self._definition
        if definition.is_subscribed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESUME_S):
                    await self._membership.subscribe(definition.topics, definition.pattern)

    async def subscribe(self, topics: Sequence[str], pattern: str | None) -> None:
        """Subscribe to topics or a pattern, in place of what was subscribed to.

        Returns once there are partitions, or there will be none, or after JOIN_WAIT_S.

        Raises:
            IllegalStateError: partitions were assigned by the client itself.
            InvalidPatternError: the pattern is none.
            LogError, StoreError: the group, or the store, refuses.
        """
        if self._definition.assignment:
            raise IllegalStateError(
                "Subscription to topics, partitions and pattern are mutually exclusive"
            )
        if self._definition.pattern is not None and pattern is None:
            await self._leave()  # a member cannot take a pattern back
        await self._membership.subscribe(topics, pattern)
        await self._define(topics=tuple(topics), pattern=pattern)
        await self._membership.wait_settled(JOIN_WAIT_S)
        with contextlib.suppress(LogError, IllegalStateError):  # a poll will say what is wrong
            await self._locate()

    async def unsubscribe(self) -> None:
        """End the subscription, or the assignment."""
        await self._leave()
        await self._define(topics=(), pattern=None, assignment=())

    async def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read exactly these from now on.

        Raises:
            IllegalStateError: it is subscribed.
            StoreError: the store refuses.
        """
        if self._definition.is_subscribed:
            raise IllegalStateError(
                "Subscription to topics, partitions and pattern are mutually exclusive"
            )
        await self._define(assignment=tuple(dict.fromkeys(partitions)))
        wanted = set(partitions)
        if self._definition.auto_commit:
            await self._commits.by_itself(self._assigned - wanted)
        self._drop(self._assigned - wanted)
        self._assigned = wanted
        self._news.wake()
        with contextlib.suppress(LogError, IllegalStateError):
            await self._locate()

    # -- positions ------------------------------------------------------------------------------

    def check_assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """See that all of these may be read.

        Raises:
            NotAssignedError: one may not.
        """
        for partition in partitions:
            if partition not in self._assigned or partition in self._letting_go:
                raise NotAssignedError(partition)

    def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Go on at these offsets.

        Raises:
            NotAssignedError: one of the partitions is not assigned; nothing was done.
        """
        self.check_assigned(offsets)
        for partition, offset in offsets.items():
            self._reader.drop(partition)
            self._positions.seek(partition, offset)
        self._news.wake()

    async def seek_to_beginning(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on at the first records that there are; raises as `seek`, and LogError."""
        self.check_assigned(partitions)
        self.seek(await self._start.bounds(partitions, "earliest"))

    async def seek_to_end(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on after the last records that there are; raises as `seek`, and LogError."""
        self.check_assigned(partitions)
        self.seek(await self._start.bounds(partitions, "latest"))

    async def seek_to_time(self, partitions: Sequence[TopicPartition], time_ms: int) -> None:
        """Go on at the first records of that time or later; raises as `seek`, and LogError."""
        self.check_assigned(partitions)
        found = await self._world.offsets.at_time(partitions, time_ms)
        offsets: dict[TopicPartition, int] = {}
        for partition, offset in found.items():
            if isinstance(offset, LogError):
                raise offset
            offsets[partition] = offset
        beyond = [partition for partition, offset in offsets.items() if offset == NO_OFFSET]
        offsets.update(await self._start.bounds(beyond, "latest"))
        self.seek(offsets)

    # -- records --------------------------------------------------------------------------------

    async def poll(
        self,
        timeout_ms: int,
        max_bytes: int,
        on_error: OnError,
        messenger: Messenger | None = None,
        *,
        is_again: bool = False,
    ) -> list[bytes]:
        """Rows of records, at once where there are some, else after a wait; none: time is up.

        That it is called says that the rows of earlier polls were dealt with; those that went by
        another broker only if that is still there.

        Args:
            timeout_ms: how long to wait for the first record.
            max_bytes: of keys and values; at least one record comes all the same.
            on_error: what becomes of records that do not fit the format.
            messenger: the broker that will send the client the answer; None: this one.
            is_again: the answer to the last poll was lost on its way.

        Raises:
            NotSubscribedError: there is nothing to read.
            PoisonRecordError: the next record does not fit the format; the position stays.
            TooManyConsumersError: too many polls wait already.
            IllegalStateError: there is no position, and no rule to get one.
            NotCoordinatorError: another broker serves the instance by now.
            LogError: something is damaged.
        """
        if not (self._definition.is_subscribed or self._definition.assignment):
            raise NotSubscribedError
        if self._queued >= MAX_QUEUED_POLLS:
            raise TooManyConsumersError(
                f"{MAX_QUEUED_POLLS} requests for records of this instance wait already"
            )
        loop = asyncio.get_running_loop()
        due = loop.time() + timeout_ms / 1000
        await self._deal_with(is_again=is_again)
        self._queued += 1
        try:
            async with self._turn:
                while not self._is_closed:
                    left = max(due - loop.time(), 0.0)
                    rows = await self._poll_once(left, max_bytes, on_error)
                    if rows:
                        self._messenger = messenger
                        self._handed_out += 1
                        return rows
                    if loop.time() >= due:
                        break
        finally:
            self._queued -= 1
        if self._is_elsewhere:
            raise NotCoordinatorError("Another broker serves this consumer instance now")
        return []

    async def _poll_once(self, left_s: float, max_bytes: int, on_error: OnError) -> list[bytes]:
        loop = asyncio.get_running_loop()
        page = ConsumerPage(self._definition.format, max_bytes, on_error)
        await self._locate()
        begun = loop.time()
        positions = {
            partition: position
            for partition in self._assigned - self._letting_go
            if (position := self._positions.get(partition)) is not None and self._exists(partition)
        }
        rest_s = self._reader.rest_s()
        wait_s = left_s if rest_s is None else min(left_s, max(rest_s, 0.0))
        is_asked = await self._reader.read(
            positions, page, wait_ms=int(wait_s * 1000), min_bytes=self._definition.fetch_min_bytes
        )
        rows = self._hand_out(page, positions)
        if page.poison is not None and not rows:
            raise page.poison
        if self._reader.out_of_range:
            await self._reset()
        elif is_asked and not page.next_offsets and loop.time() - begun < _LEAST_TURN_S:
            await asyncio.sleep(_LEAST_TURN_S)  # nobody waits, as when this broker stops
        elif not is_asked and left_s > 0:
            pause_s = _LOOK_AGAIN_S if len(positions) == len(self._assigned) else _LOCATE_AGAIN_S
            await wait_any([self._news], min(left_s, pause_s))
        return rows

    def _hand_out(self, page: ConsumerPage, positions: Mapping[TopicPartition, int]) -> list[bytes]:
        """The rows that are still to be sent: now, for whoever calls this sends them."""

        def is_ours(partition: TopicPartition) -> bool:
            return (
                partition in self._assigned
                and partition not in self._letting_go
                and self._positions.get(partition) == positions[partition]
            )

        if self._is_closed:
            return []
        rows = page.rows_of(is_ours)
        for partition, offset in page.next_offsets.items():
            if is_ours(partition):
                self._positions.advance(partition, offset)
        self._reader.given(page.partitions)
        return rows

    async def _deal_with(self, *, is_again: bool = False) -> None:
        """The client goes on: it has dealt with what it got, if it got it."""
        messenger, before = self._messenger, self._handed_out
        if messenger is not None and not is_again:
            is_again = await self._world.messengers.is_gone(messenger)
            if self._handed_out != before:
                return  # another poll got more meanwhile, which nobody has dealt with
        if is_again:
            for partition in self._positions.rewind():
                self._reader.drop(partition)
        self._positions.acknowledge()
        self._messenger = None
        self._dealt_with.wake()

    def _exists(self, partition: TopicPartition) -> bool:
        topic = self._world.view.topics.get(partition.topic)
        return topic is not None and partition.partition in topic.assignment

    # -- where to begin -------------------------------------------------------------------------

    async def _locate(self) -> None:
        """Find positions for partitions that have none."""
        missing = [
            partition
            for partition in self._assigned - self._letting_go
            if partition not in self._positions and self._exists(partition)
        ]
        if missing:
            await self._begin(await self._start.find(missing, self._definition))

    async def _reset(self) -> None:
        """Find new positions for partitions that do not have what was to be read."""
        lost = [each for each in self._reader.out_of_range if each in self._assigned]
        self._reader.out_of_range.clear()
        for partition in lost:
            self._reader.drop(partition)
        self._positions.drop(lost)
        await self._begin(await self._start.reset(lost, self._definition))

    async def _begin(self, starts: Starts) -> None:
        if starts.new_ends:
            kept = {TopicPartition(topic, at): n for topic, at, n in self._definition.starts}
            kept.update(starts.new_ends)
            await self._define(starts=tuple((*place, at) for place, at in kept.items()))
        for partition, offset in starts.offsets.items():
            if partition in self._assigned and partition not in self._positions:
                self._positions.start(partition, offset)

    # -- commits --------------------------------------------------------------------------------

    async def commit_delivered(self) -> None:
        """Commit all that was sent.

        Raises:
            LogError: the group refuses.
        """
        await self._deal_with()
        await self._commits.all_dealt_with()

    async def commit(self, offsets: Mapping[TopicPartition, OffsetToKeep]) -> None:
        """Commit these offsets.

        Raises:
            LogError: the group refuses one of them; the others may be committed.
        """
        await self._commits.given(offsets)
        self._dealt_with.wake()

    async def committed(
        self, partitions: Sequence[TopicPartition] | None
    ) -> Mapping[TopicPartition, Committed]:
        """Committed offsets of some partitions, or of all that are assigned."""
        found = await self._world.groups.committed(self.group)
        wanted = self.assignment if partitions is None else partitions
        return {partition: found[partition] for partition in wanted if partition in found}

    async def commit_by_itself(self) -> None:
        """Commit what was dealt with, where the instance is to do so; failures wait for later."""
        if self._definition.auto_commit:
            await self._commits.by_itself()

    # -- the group's view of it -----------------------------------------------------------------

    def assigned(self, partitions: Partitions) -> None:
        """See Member."""
        self._assigned |= partitions
        self._news.wake()

    async def revoke(self, partitions: Partitions) -> None:
        """See Member."""
        self._letting_go |= partitions
        for partition in partitions:
            self._reader.drop(partition)
        self._news.wake()
        loop = asyncio.get_running_loop()
        due = loop.time() + REVOKE_PATIENCE_S
        while not (self._is_closed or self._positions.is_acknowledged(partitions)):
            left = due - loop.time()
            if left <= 0 or not await wait_any([self._dealt_with], left):
                break
        if self._definition.auto_commit:
            await self._commits.by_itself(partitions)
        self._drop(partitions)
        self._assigned -= partitions
        self._letting_go -= partitions

    def lost(self, partitions: Partitions) -> None:
        """See Member."""
        self._drop(partitions)
        self._assigned -= partitions
        self._letting_go -= partitions
        self._news.wake()

    def fenced(self) -> None:
        """See Member."""
        self._is_elsewhere = True
        self._close()
        self._on_fenced(self)

    # -- its end --------------------------------------------------------------------------------

    def stop_waiting(self) -> None:
        """Answer polls with what there is: this broker is about to go."""
        self._close()

    async def release(self) -> None:
        """Let another broker serve it: commit what was dealt with, keep the place in the group."""
        await self.commit_by_itself()
        self._is_elsewhere = True
        self._close()
        await self._membership.stop()

    async def retire(self, *, is_finished: bool) -> None:
        """Leave the group; `is_finished` says that the client has dealt with all it got."""
        if is_finished:
            await self._deal_with()
        await self.commit_by_itself()
        self._close()
        await self._membership.leave()

    def _close(self) -> None:
        self._is_closed = True
        self._news.wake()
        self._dealt_with.wake()

    async def _leave(self) -> None:
        await self._deal_with()
        await self.commit_by_itself()
        await self._membership.leave()
        self._drop(set(self._assigned))
        self._assigned.clear()
        self._letting_go.clear()
        self._news.wake()

    def _drop(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in list(partitions):
            self._reader.drop(partition)
            self._positions.drop([partition])

    async def _define(self, **changes: object) -> None:
        async with self._defining:
            definition = msgspec.structs.replace(self._definition, **changes)
            if definition != self._definition:
                await self._save(definition)
                self._definition = definition
