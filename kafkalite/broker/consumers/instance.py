"""One consumer instance: what it reads, how far it is, and its place in the group."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from kafkalite.broker.consumers.assignment import ConsumerAssignment
from kafkalite.broker.consumers.commits import ConsumerCommits, OffsetToKeep
from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import (
    IllegalStateError,
    NotSubscribedError,
)
from kafkalite.broker.consumers.membership import ConsumerMembership, Identity, Partitions
from kafkalite.broker.consumers.messenger import Messenger, Messengers
from kafkalite.broker.consumers.page_turns import PageTurns
from kafkalite.broker.consumers.polls import ConsumerPolls
from kafkalite.broker.consumers.ports import Committed, Groups, Offsets, Reads
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.consumers.start import ConsumerStart
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.rest_records import OnError

JOIN_WAIT_S: Final = 3.0
"""How long subscribing waits for partitions, so that seeks work at once."""
REVOKE_PATIENCE_S: Final = 10.0
"""How long a partition that others shall have waits for the client to deal with what it got."""
_CLIENT_ID: Final = "rest"
_INSTANCE_PREFIX: Final = "rest-consumer-"
_RESUME_S: Final = 5.0
"""How long going on elsewhere waits for the group; it goes on without, and joins later."""


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
        reader = ConsumerReader(world.reads, self._news)
        self._assignment = ConsumerAssignment(
            world.view,
            world.offsets,
            ConsumerStart(world.groups, world.offsets, group),
            reader,
            self._news,
            definition=lambda: self._definition,
            keep_ends=self._keep_ends,
        )
        self._polls = ConsumerPolls(
            self._assignment,
            reader,
            PageTurns(self._assignment, reader, self._news),
            world.messengers,
            self._news,
            lambda: self._definition,
        )
        self._membership = ConsumerMembership(
            world.groups,
            group,
            Identity(f"{_INSTANCE_PREFIX}{name}", _CLIENT_ID),
            self,
            session_timeout_ms=world.session_timeout_ms,
        )
        self._commits = ConsumerCommits(
            world.groups, group, self._assignment.positions, lambda: self._membership.identity
        )
        self._defining = asyncio.Lock()
        self._using = 0
        self.last_used = asyncio.get_running_loop().time()
        """When a request for it was last answered; the loop's seconds."""

    # -- looking --------------------------------------------------------------------------------

    @property
    def definition(self) -> ConsumerDefinition:
        """As stored."""
        return self._definition

    @property
    def assignment(self) -> ConsumerAssignment:
        """What it reads, and where it is; seeks go there."""
        return self._assignment

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
        await self._polls.deal_with()
        if self._definition.pattern is not None and pattern is None:
            await self._leave()  # a member cannot take a pattern back
        await self._membership.subscribe(topics, pattern)
        await self._define(topics=tuple(topics), pattern=pattern)
        await self._membership.wait_settled(JOIN_WAIT_S)
        with contextlib.suppress(LogError, IllegalStateError):  # a poll will say what is wrong
            await self._assignment.locate()

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
        gone = self._assignment.others_than(partitions)
        if self._definition.auto_commit:
            await self._commits.by_itself(gone)
        self._assignment.drop(gone)
        self._assignment.gain(partitions)
        with contextlib.suppress(LogError, IllegalStateError):
            await self._assignment.locate()

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
        return await self._polls.poll(timeout_ms, max_bytes, on_error, messenger, is_again=is_again)

    # -- commits --------------------------------------------------------------------------------

    async def commit_delivered(self) -> None:
        """Commit all that was sent.

        Raises:
            LogError: the group refuses.
        """
        await self._polls.deal_with()
        await self._commits.all_dealt_with()

    async def commit(self, offsets: Mapping[TopicPartition, OffsetToKeep]) -> None:
        """Commit these offsets.

        Raises:
            LogError: the group refuses one of them; the others may be committed.
        """
        await self._commits.given(offsets)

    async def committed(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, Committed]:
        """Committed offsets of those of the partitions that have one."""
        found = await self._world.groups.committed(self.group)
        return {partition: found[partition] for partition in partitions if partition in found}

    async def commit_by_itself(self) -> None:
        """Commit what was dealt with, where the instance is to do so; failures wait for later."""
        if self._definition.auto_commit:
            await self._commits.by_itself()

    # -- the group's view of it -----------------------------------------------------------------

    def assigned(self, partitions: Partitions) -> None:
        """See Member."""
        self._assignment.gain(partitions)

    async def revoke(self, partitions: Partitions) -> None:
        """See Member."""
        self._assignment.hold_back(partitions)
        loop = asyncio.get_running_loop()
        due = loop.time() + REVOKE_PATIENCE_S
        while not (self._polls.is_closed or self._assignment.positions.is_acknowledged(partitions)):
            left = due - loop.time()
            if left <= 0 or not await wait_any([self._polls.dealt_with], left):
                break
        if self._definition.auto_commit:
            await self._commits.by_itself(partitions)
        self._assignment.drop(partitions)

    def lost(self, partitions: Partitions) -> None:
        """See Member."""
        self._assignment.drop(partitions)

    def fenced(self) -> None:
        """See Member."""
        self._polls.close(is_elsewhere=True)
        self._on_fenced(self)

    # -- its end --------------------------------------------------------------------------------

    def stop_waiting(self) -> None:
        """Answer polls with what there is: this broker is about to go."""
        self._polls.close()

    async def release(self) -> None:
        """Let another broker serve it: commit what was dealt with, keep the place in the group."""
        await self.commit_by_itself()
        self._polls.close(is_elsewhere=True)
        await self._membership.stop()

    async def retire(self, *, is_finished: bool) -> None:
        """Leave the group; `is_finished` says that the client has dealt with all it got."""
        if is_finished:
            await self._polls.deal_with()
        await self.commit_by_itself()
        self._polls.close()
        await self._membership.leave()

    async def _leave(self) -> None:
        await self._polls.deal_with()
        await self.commit_by_itself()
        await self._membership.leave()
        self._assignment.drop()

    async def _keep_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        kept = {TopicPartition(topic, at): n for topic, at, n in self._definition.starts}
        kept.update(ends)
        await self._define(starts=tuple((*place, at) for place, at in kept.items()))

    async def _define(self, **changes: object) -> None:
        async with self._defining:
            definition = msgspec.structs.replace(self._definition, **changes)
            if definition != self._definition:
                await self._save(definition)
                self._definition = definition
