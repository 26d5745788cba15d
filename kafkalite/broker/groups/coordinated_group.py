"""One consumer group, while this broker coordinates it: its machine, and all that waits for it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kafkalite.broker.groups.errors import again, in_words
from kafkalite.broker.groups.member_waiters import MemberWaiters, WaitingRoom
from kafkalite.broker.groups.offset_commits import OffsetCommits
from kafkalite.broker.groups.options import GroupOptions
from kafkalite.broker.groups.ports import (
    CommittedOffset,
    GroupCommit,
    GroupConflictError,
    GroupPicture,
    GroupStore,
    MirroredMember,
    StoredGroup,
)
from kafkalite.broker.groups.topics import GroupTopics
from kafkalite.broker.ports import StoreError
from kafkalite.groups.heartbeat import Heartbeat, HeartbeatAnswer
from kafkalite.groups.machine import GroupMachine
from kafkalite.groups.state import GroupState
from kafkalite.model.clock import Clock
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedInstanceIdError,
    FencedMemberEpochError,
    GroupSubscribedToTopicError,
    LogError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition

_SESSION_PARTS: Final = 2
"""A long poll takes no more than this part of its member's session."""
_LOOKS_A_SESSION: Final = 4
"""How often a group that only keeps its members is looked up, in the shortest session of them."""
_BEGUN_MS: Final = 1
"""The clock's millisecond has begun when a member is heard: its session counts from the end."""
_PUTTING_OUT: Final = (UnknownMemberIdError, FencedMemberEpochError, FencedInstanceIdError)
"""Refusals upon which a member lets go of everything."""
_OFFSETS_AT_ONCE: Final = 1_000
"""In one commit; what more is gathered comes with the next one."""

_log = logging.getLogger(__name__)

Offsets = Mapping[TopicPartition, CommittedOffset]
Refusals = dict[TopicPartition, LogError]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all groups of a broker share."""

    store: GroupStore
    commits: OffsetCommits
    topics: GroupTopics
    clock: Clock
    own_id: Callable[[], BrokerId]
    options: GroupOptions
    room: WaitingRoom
    gone_topics: Callable[[], Collection[str]]
    """Topics whose offsets are being removed, although others may have their names by now."""
    on_timer: Callable[["CoordinatedGroup"], None]
    """Told when a group wants to be looked at by another time."""
    on_closed: Callable[["CoordinatedGroup"], None]
    """Told of a group that gave itself up, because its state is no longer what it knows."""


@dataclass(slots=True, eq=False)
class _Wanted:
    """A client's offsets that are to be committed."""

    member_id: str
    member_epoch: int
    offsets: Offsets
    future: "asyncio.Future[None]"
    refused: Refusals = field(default_factory=dict)


class CoordinatedGroup:
    """Feeds the machine of one group, stores what it decides, and answers only then.

    Heartbeats of one turn of the loop are taken in together, stored together and answered together.
    States and commits are written in turn, never at once: a commit is judged by the state whose
    version it is checked against, and a conflict means that another broker coordinates the group
    (GRP-13). Whatever goes wrong with the store, the group is given up, and read anew by whoever is
    asked next: it is never guessed what is stored.

    Owned by the GroupTable. Its tasks end by themselves. Life: made with a state that this broker
    has just written, requests, `close`. On the event loop.
    """

    def __init__(self, name: str, stored: StoredGroup, around: Surroundings) -> None:
        """Begin with a group as stored, at the version under which this broker wrote it."""
        self.name = name
        members = stored.state.members.values()
        shortest_ms = min((member.session_timeout_ms for member in members), default=0)
        self._alone_ms = around.clock.monotonic_ms() + shortest_ms // _LOOKS_A_SESSION + _BEGUN_MS
        """From when on the coordinator before this one answers nobody any more (GRP-14).

        Whoever is heard of before may have been told by that one, later, that it is a member.
        """
        self.machine = GroupMachine(
            stored.state, around.topics, around.options.limits, self._alone_ms
        )
        self.closed_by: LogError | None = None
        self.last_used_ms = around.clock.monotonic_ms()
        self._around = around
        self._remainder = stored.remainder
        self._known: dict[TopicPartition, CommittedOffset | None] = {}
        """Offsets as they are stored, as far as they were read or written here."""
        self._turn = asyncio.Lock()
        """Held by whoever writes: the state, or offsets."""
        self._unstored: list[asyncio.Future[None]] = []
        """Heartbeats that wait until what they changed is stored."""
        self._storing: list[asyncio.Future[None]] = []
        """Those of them for whom it is being stored."""
        self._waiters = MemberWaiters(around.room)
        self._wanted: deque[_Wanted] = deque()
        self._committing: list[_Wanted] = []
        """Those that are being written."""
        self._writer: asyncio.Task[None] | None = None
        self._committer: asyncio.Task[None] | None = None
        self._is_shown = False
        self._sure_ms = around.clock.monotonic_ms()
        """When it was last known that nobody else had written the state."""
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Coordinate it from now on."""
        self._show()
        self._around.on_timer(self)
        self._write_soon()

    @property
    def is_idle(self) -> bool:
        """Whether it has no members, and nobody waits for anything."""
        waiting = [*self._storing, *self._unstored]
        waiting += [wanted.future for wanted in (*self._committing, *self._wanted)]
        is_waited_for = bool(self._waiters) or any(not future.done() for future in waiting)
        return self.machine.is_empty and not is_waited_for

    # -- members --------------------------------------------------------------------------------

    async def heartbeat(self, request: Heartbeat, max_wait_ms: int) -> HeartbeatAnswer:
        """Take in what a member says; gives what it may consume, once that is stored.

        Without news it waits for some, up to `max_wait_ms`, and part of the member's session.

        Raises:
            LogError: the machine's refusals; NotCoordinatorError, CoordinatorNotAvailableError.
        """
        self._check_open()
        now_ms = self._around.clock.monotonic_ms()
        self.last_used_ms = now_ms
        try:
            heard_ms = max(now_ms + _BEGUN_MS, self._alone_ms)
            has_to_wait = self.machine.heartbeat(request, heard_ms)
            self._around.on_timer(self)
            if has_to_wait:
                await self._until_stored()
            else:
                if max_wait_ms > 0 and not self.machine.has_news(request):
                    await self._until_news(request.member_id, max_wait_ms)
                await self._make_sure()
            return self.machine.answer(request)
        except _PUTTING_OUT:
            await self._make_sure_now()
            raise

    def topics_changed(self, names: frozenset[str]) -> None:
        """These topics were created, have more partitions, or are gone."""
        if self.closed_by is None:
            self.machine.topics_changed(names)
            self._write_soon()

    def tick(self) -> None:
        """Time passed."""
        if self.closed_by is None:
            self.machine.tick(self._around.clock.monotonic_ms())
            self._write_soon()
            self._around.on_timer(self)

    async def _until_stored(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unstored.append(future)
        self._write_soon()
        await future

    async def _until_news(self, member_id: str, max_wait_ms: int) -> None:
        wait_ms = min(max_wait_ms, self._session_ms // _SESSION_PARTS)
        await self._waiters.wait(member_id, wait_ms / 1000)

    @property
    def _session_ms(self) -> int:
        """The shortest session of the members."""
        members = self.machine.stored_state.members.values()
        return min((member.session_timeout_ms for member in members), default=0)

    async def _make_sure(self) -> None:
        """See to it that nobody else has coordinated the group for long (GRP-14).

        What only keeps a membership alive is not stored, so no conflict would tell: while members
        talk to a coordinator of the past, the present one would take them for dead. That one gives
        them a whole session, and this one looks several times in each.
        """
        now_ms = self._around.clock.monotonic_ms()
        if now_ms - self._sure_ms >= self._session_ms // _LOOKS_A_SESSION:
            await self._look_now()
        self._check_open()

    async def _make_sure_now(self) -> None:
        """See to it that nobody else coordinates the group (GRP-15).

        Who is told to be no member any more lets go of all that it has. A coordinator of the past
        must not say so to members of the present one, of which it has not heard.
        """
        if self._looking is not None:  # it may have begun before the other one did
            await asyncio.shield(self._looking)
        await self._look_now()
        self._check_open()

    async def _look_now(self) -> None:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_up(), name=f"look {self.name}")
        await asyncio.shield(self._looking)

    async def _look_up(self) -> None:
        try:
            async with self._turn:
                if self.closed_by is not None:
                    return
                await self._compare()
        except StoreError as error:
            refusal = in_words(self.name, error)
            _log.warning("Group %s: %s", self.name, refusal.detail)
            self._give_up(refusal)
        finally:
            self._looking = None

    async def _compare(self) -> None:
        """Compare what is known with what is stored; in turn.

        Raises:
            GroupConflictError: another broker has written since.
            StoreError: it cannot be read.
        """
        now_ms = self._around.clock.monotonic_ms()
        if not await self._around.store.is_at(self.name, self.machine.stored_state.version):
            raise GroupConflictError(f"The state of group {self.name} was written by another")
        self._sure_ms = now_ms

    # -- storing --------------------------------------------------------------------------------

    def _write_soon(self) -> None:
        """Store what is to be stored, after all that happens in this turn of the loop."""
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name=f"group {self.name}")

    async def _write(self) -> None:
        try:
            while self.closed_by is None:
                async with self._turn:
                    if self.closed_by is not None:
                        break
                    self._storing, self._unstored = self._unstored, []
                    state = self.machine.state_to_store()
                    if state is not None:
                        await self._save(state)
                _answer_all(self._storing, None)
                self._waiters.wake(self.machine.changed_members())
                self._around.on_timer(self)
                if state is None and not self._unstored:
                    break
        except StoreError as error:
            refusal = in_words(self.name, error)
            _log.warning("Group %s: %s", self.name, refusal.detail)
            self._give_up(refusal)
        except Exception as error:  # noqa: BLE001 - a bug must not leave members without an answer
            _log.exception("Group %s failed and is read anew", self.name)
            self._give_up(CoordinatorNotAvailableError(f"Group '{self.name}' failed: {error}"))
        finally:
            self._writer = None

    async def _save(self, state: GroupState) -> None:
        around = self._around
        now_ms = around.clock.monotonic_ms()
        version = await around.store.save_state(
            self.name, state, coordinator=around.own_id(), remainder=self._remainder
        )
        self.machine.stored(version, around.clock.monotonic_ms())
        self._sure_ms = now_ms
        self._show()

    def _show(self) -> None:
        """Have other tools see the group as it will be when somebody gets to it."""
        if self._is_shown or not self.machine.is_empty:
            self._is_shown = True
            self._around.store.show(self.name, self._look)

    def _look(self) -> GroupPicture | None:
        if self.closed_by is not None:
            return None
        members = self.machine.stored_state.members.values()
        return GroupPicture(
            {
                member.id: MirroredMember(
                    dict.fromkeys(member.topics or (member.pattern or "",), 1),
                    bool(member.pattern) and not member.topics,
                )
                for member in members
            },
            {partition: member.id for member in members for partition in member.held},
        )

    # -- offsets --------------------------------------------------------------------------------

    async def commit(self, member_id: str, member_epoch: int, offsets: Offsets) -> Refusals:
        """Commit offsets of a member, or of a simple consumer; gives why some are not committed.

        Raises:
            LogError: nothing is known of any of them, or there is too much to commit already.
        """
        self._check_open()
        self.last_used_ms = self._around.clock.monotonic_ms()
        commits = self._around.commits
        commits.reserve(len(offsets))
        try:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            wanted = _Wanted(member_id, member_epoch, offsets, future)
            self._wanted.append(wanted)
            if self._committer is None:
                self._committer = asyncio.create_task(self._commit(), name=f"commits {self.name}")
            await future
            commits.calls += 1
            return wanted.refused
        finally:
            commits.release(len(offsets))

    async def _commit(self) -> None:
        """Write what is wanted, until nothing is."""
        try:
            while self._wanted and self.closed_by is None:
                async with self._turn:
                    if self.closed_by is not None:
                        break
                    self._committing = self._take_wanted()
                    offsets = self._judge(self._committing)
                    if offsets:
                        await self._write_offsets(offsets)
                    elif any(wanted.refused for wanted in self._committing):
                        await self._compare()  # nothing was written that would tell (GRP-15)
                _answer_all((wanted.future for wanted in self._committing), None)
        except StoreError as error:
            refusal = in_words(self.name, error)
            _log.warning("Committing offsets of group %s: %s", self.name, refusal.detail)
            self._give_up(refusal)
        except Exception as error:  # noqa: BLE001 - as above
            _log.exception("Committing offsets of group %s failed", self.name)
            self._give_up(CoordinatorNotAvailableError(f"Group '{self.name}' failed: {error}"))
        finally:
            self._committer = None

    def _take_wanted(self) -> list[_Wanted]:
        some: list[_Wanted] = []
        count = 0
        while self._wanted and count < _OFFSETS_AT_ONCE:
            some.append(self._wanted.popleft())
            count += len(some[-1].offsets)
        return some

    def _judge(self, some: list[_Wanted]) -> dict[TopicPartition, CommittedOffset]:
        """Notes what is refused, by the state as it is now; gives the rest, later ones winning."""
        accepted: dict[TopicPartition, CommittedOffset] = {}
        for wanted in some:
            if wanted.future.done():
                continue  # the client has gone; nobody was told anything
            verdicts = self.machine.check_commit(
                wanted.member_id, wanted.member_epoch, wanted.offsets
            )
            for partition, offset in wanted.offsets.items():
                error = verdicts.get(partition) or self._why_unknown(partition)
                if error is None:
                    accepted[partition] = offset
                else:
                    wanted.refused[partition] = error
        return accepted

    def _why_unknown(self, partition: TopicPartition) -> LogError | None:
        # Or the old offsets of a topic that was made anew, soon to be removed, could not be told
        # from new ones.
        is_being_forgotten = partition.topic in self._around.gone_topics()
        if is_being_forgotten or not self._around.topics.has(partition):
            return UnknownTopicOrPartitionError(f"There is no partition {partition}")
        return None

    async def _write_offsets(self, offsets: Offsets) -> None:
        """Write offsets under the state that they were judged by.

        Raises:
            StoreError: they are not written, or nothing is known of them.
        """
        known = {name: self._known.pop(name) for name in offsets if name in self._known}
        version = self.machine.stored_state.version
        topic_id = self._around.topics.topic_id
        names = {partition.topic for partition in offsets}
        ids = {name: found for name in names if (found := topic_id(name)) is not None}
        error = await self._around.commits.write(
            GroupCommit(self.name, version, offsets, known, ids)
        )
        if error is not None:
            raise error
        self._known |= offsets

    async def delete_offsets(self, partitions: set[TopicPartition]) -> Refusals:
        """Remove committed offsets; gives why some are not removed.

        Raises:
            LogError: it cannot be done now; some may have been removed.
        """
        async with self._turn:
            self._check_open()
            subscribed = self.machine.subscribed_topics
            refused: Refusals = {
                partition: GroupSubscribedToTopicError(
                    f"Members of group '{self.name}' consume topic '{partition.topic}'"
                )
                for partition in partitions
                if partition.topic in subscribed
            }
            await self._remove(partitions - refused.keys())
        return refused

    async def forget_topics(self, topics: frozenset[str]) -> None:
        """Remove the offsets of topics that are gone, whatever has their names by now.

        Raises:
            LogError: it cannot be done now; some may have been removed.
        """
        async with self._turn:
            self._check_open()
            try:
                stored = await self._around.store.fetch_offsets(self.name)
            except StoreError as error:
                raise in_words(self.name, error) from error
            await self._remove({partition for partition in stored if partition.topic in topics})

    async def _remove(self, partitions: set[TopicPartition]) -> None:
        if not partitions:
            return
        for partition in partitions:
            self._known.pop(partition, None)
        version = self.machine.stored_state.version
        try:
            await self._around.store.delete_offsets(self.name, version, partitions)
        except StoreError as error:
            refusal = in_words(self.name, error)
            self._give_up(refusal)
            raise refusal from error

    # -- the end --------------------------------------------------------------------------------

    async def quiet(self) -> None:
        """Wait until nothing is being written any more; after `close`, nothing will be."""
        async with self._turn:
            pass

    def stop_waiting(self) -> None:
        """Answer the heartbeats that wait for news with what there is."""
        self._waiters.wake_all()

    def close(self, error: LogError) -> None:
        """Coordinate it no more: whoever waits is told `error`.

        A write that is under way may still happen, unless somebody writes the state before.
        """
        if self.closed_by is not None:
            return
        self.closed_by = error
        _answer_all([*self._storing, *self._unstored], error)
        _answer_all((wanted.future for wanted in (*self._committing, *self._wanted)), error)
        self._unstored.clear()
        self._wanted.clear()
        self._waiters.fail(error)
        if self._is_shown:
            self._around.store.show(self.name, self._look)

    def _give_up(self, error: LogError) -> None:
        if self.closed_by is None:
            self.close(error)
            self._around.on_closed(self)

    def _check_open(self) -> None:
        if self.closed_by is not None:
            raise again(self.closed_by)


def _answer_all(futures: Iterable["asyncio.Future[None]"], error: LogError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(again(error))
            future.exception()  # counts as seen: whoever waited may be gone
