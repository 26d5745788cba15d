"""Coordinates consumer groups: what members, simple consumers and administrators ask of a group."""

import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kafkalite.broker.groups.coordinated_group import CoordinatedGroup, Surroundings
from kafkalite.broker.groups.errors import in_words
from kafkalite.broker.groups.member_waiters import WaitingRoom
from kafkalite.broker.groups.offset_commits import OffsetCommits
from kafkalite.broker.groups.options import GroupOptions
from kafkalite.broker.groups.ports import CommittedOffset, GroupStore, StoredGroup
from kafkalite.broker.groups.table import GroupTable
from kafkalite.broker.groups.timers import GroupTimers
from kafkalite.broker.groups.topics import GroupTopics
from kafkalite.broker.groups.upkeep import GroupUpkeep
from kafkalite.broker.metadata_view import MetadataChange, MetadataView
from kafkalite.broker.ports import StoreError
from kafkalite.groups.description import GroupDescription
from kafkalite.groups.heartbeat import Heartbeat, HeartbeatAnswer
from kafkalite.groups.machine import GroupMachine
from kafkalite.groups.state import JOIN_EPOCH, GroupState
from kafkalite.model.clock import Clock
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    LogError,
    NonEmptyGroupError,
    NotCoordinatorError,
    OffsetMetadataTooLargeError,
    UnknownMemberIdError,
)
from kafkalite.model.group_name import check_group_id
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.group_messages import (
    NO_MEMBER,
    NO_MEMBER_EPOCH,
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    TopicPartitions,
)

_SUSPENDED: Final = "This broker has no connection to ZooKeeper at the moment"


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """One line of a list of groups."""

    group: str
    state: str
    """In the words of GroupPhase."""
    assignor: str
    """Empty where there are no members."""
    member_count: int


class GroupCoordinator:
    """Answers for the groups that this broker coordinates, loading them as they are asked for.

    Whoever asks is served: that another broker is to coordinate the group is for GroupRouting to
    know, and for ZooKeeper to enforce. While the session with ZooKeeper is suspended nothing is
    held, and everybody is told COORDINATOR_NOT_AVAILABLE. Life: `start`, `suspend` and `resume` as
    the session goes, `stop`. On the event loop.
    """

    def __init__(
        self,
        view: MetadataView,
        store: GroupStore,
        clock: Clock,
        own_id: Callable[[], BrokerId],
        options: GroupOptions,
        *,
        is_here: Callable[[str], bool],
        look: Callable[[str], Awaitable[None]],
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        """Build.

        Args:
            view: topics and brokers.
            store: how groups are kept.
            clock: for sessions, and for the age of what is kept.
            own_id: of this broker, which may not be known yet.
            options: bounds and times.
            is_here: whether this broker is to coordinate a group, as far as it knows.
            look: finds out whether those that should rather coordinate a group are alive.
            catch_up: brings `view` up to now.
        """
        self._view = view
        self._store = store
        self._clock = clock
        self._own_id = own_id
        self._options = options
        self._is_here = is_here
        self._look = look
        self._catch_up = catch_up
        self._topics = GroupTopics(view)
        self._deletions: frozenset[str] = frozenset()
        self._timers = GroupTimers(clock, self._tick)
        self._commits = OffsetCommits(store, options.max_gathered_offsets)
        self._room = WaitingRoom(options.max_waiting_heartbeats)
        self._table = GroupTable(
            Surroundings(
                store,
                self._commits,
                self._topics,
                clock,
                own_id,
                options,
                self._room,
                gone_topics=lambda: self._upkeep.gone_topics,
                on_timer=self._arm,
                on_closed=self._closed,
            )
        )
        self._upkeep = GroupUpkeep(
            self._table,
            store,
            self._topics,
            clock,
            options,
            is_here=is_here,
            catch_up=catch_up,
        )
        self._started = False

    # -- members --------------------------------------------------------------------------------

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        """Take in what a member says; `host` is where it is, for people to see.

        Answered once all that it grants is stored; without news, after `max_wait_ms` at the latest.

        Raises:
            LogError: the member is refused, or the group cannot be coordinated here now.
        """
        heartbeat = _heartbeat(request, host)
        is_joining = request.member_epoch == JOIN_EPOCH
        held = await self._get(group, create=is_joining)
        if held is None:
            raise UnknownMemberIdError(f"Group '{group}' has no member '{request.member_id}'")
        answer = await held.heartbeat(heartbeat, request.max_wait_ms)
        return self._response(answer)

    def _response(self, answer: HeartbeatAnswer) -> HeartbeatResponse:
        own_id = self._own_id()
        own = self._view.brokers.get(own_id)
        topics: defaultdict[str, list[int]] = defaultdict(list)
        for topic, number in sorted(answer.assignment):
            topics[topic].append(number)
        return HeartbeatResponse(
            member_id=answer.member_id,
            member_epoch=answer.member_epoch,
            heartbeat_interval_ms=answer.heartbeat_interval_ms,
            group_epoch=answer.group_epoch,
            state=str(answer.phase),
            assignment=[TopicPartitions(topic, numbers) for topic, numbers in topics.items()],
            coordinator_id=own_id,
            coordinator_url="" if own is None else own.url,
        )

    # -- offsets --------------------------------------------------------------------------------

    async def commit(self, group: str, request: OffsetCommitRequest) -> list[LogError | None]:
        """Commit offsets; gives why each was refused, in their order.

        Raises:
            LogError: of none of them is known whether it is committed.
        """
        offsets: dict[TopicPartition, CommittedOffset] = {}
        too_large: dict[TopicPartition, LogError] = {}
        names = [TopicPartition(each.topic, each.partition) for each in request.offsets]
        for name, each in zip(names, request.offsets, strict=True):
            size = len(each.metadata.encode())
            if size > self._options.max_metadata_bytes:
                too_large[name] = OffsetMetadataTooLargeError(
                    f"The metadata have {size} bytes, {self._options.max_metadata_bytes} are "
                    "possible (offset.metadata.max.bytes)"
                )
            else:
                offsets[name] = CommittedOffset(each.offset, each.leader_epoch, each.metadata)
        is_simple = request.member_id == NO_MEMBER and request.member_epoch < 0
        held = await self._get(group, create=is_simple)
        if held is None:
            raise UnknownMemberIdError(f"Group '{group}' has no member '{request.member_id}'")
        refused = too_large
        if offsets:
            refused |= await held.commit(request.member_id, request.member_epoch, offsets)
        return [refused.get(name) for name in names]

    async def reset(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Commit offsets of a group without members; of a group that does not exist too.

        Raises:
            NonEmptyGroupError: it has members.
            LogError: some of them are not committed.
        """
        held = await self._existing(group, create=True)
        if not held.machine.is_empty:
            raise NonEmptyGroupError(f"Group '{group}' has members")
        for error in (await held.commit(NO_MEMBER, NO_MEMBER_EPOCH, offsets)).values():
            raise NonEmptyGroupError(error.detail) if not held.machine.is_empty else error

    async def committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        """All committed offsets of a group; none of one that does not exist.

        Raises:
            CoordinatorNotAvailableError: they cannot be read now.
        """
        check_group_id(group)
        self._table.check_open()
        try:
            found = await self._store.fetch_offsets(group)
            if not found:
                return found
            (topics,) = await self._store.topics_with_offsets([group])
            if self._topics.made_anew(topics):
                await self._catch_up()
        except StoreError as error:
            raise in_words(group, error) from error
        # They go when the group is loaded; until then they are nobody's.
        gone = self._topics.made_anew(topics)
        return {name: offset for name, offset in found.items() if name.topic not in gone}

    async def delete_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> list[LogError | None]:
        """Forget offsets; gives why each was not, in their order.

        Raises:
            GroupIdNotFoundError: there is no such group.
            LogError: it cannot be done now.
        """
        held = await self._existing(group)
        refused = await held.delete_offsets(set(partitions))
        return [refused.get(partition) for partition in partitions]

    # -- administration -------------------------------------------------------------------------

    async def describe(self, group: str) -> GroupDescription:
        """Who is in a group, and who consumes what.

        Raises:
            GroupIdNotFoundError: there is no such group.
            CoordinatorNotAvailableError: it cannot be read now.
        """
        check_group_id(group)
        held = self._table.held(group)
        if held is not None:
            return held.machine.describe()
        self._table.check_open()
        try:
            stored = await self._store.load(group)
        except StoreError as error:
            raise in_words(group, error) from error
        if stored is None:
            raise _no_group(group)
        return self._described(stored)

    async def delete(self, group: str) -> None:
        """Remove a group with all it has.

        Raises:
            GroupIdNotFoundError: there is no such group.
            NonEmptyGroupError: it has members.
            LogError: it cannot be done now.
        """
        held = await self._existing(group)
        if not held.machine.is_empty:
            raise NonEmptyGroupError(f"Group '{group}' has members")
        await self._table.remove(held)

    async def group_ids(self) -> list[str]:
        """All groups of the cluster, sorted.

        Raises:
            CoordinatorNotAvailableError: they cannot be read now.
        """
        self._table.check_open()
        try:
            return await self._store.list_groups()
        except StoreError as error:
            raise CoordinatorNotAvailableError(f"Groups cannot be listed: {error}") from error

    async def summaries(self, groups: Sequence[str]) -> list[GroupSummary]:
        """A line for each of `groups`, which all have a state or offsets.

        Raises:
            CoordinatorNotAvailableError: they cannot be read now.
        """
        self._table.check_open()
        loose = [group for group in groups if self._table.held(group) is None]
        try:
            stored = dict(zip(loose, await self._store.load_many(loose), strict=True))
        except StoreError as error:
            raise CoordinatorNotAvailableError(f"Groups cannot be read: {error}") from error
        lines = []
        for group in groups:
            held = self._table.held(group)
            found = held.machine.describe() if held else self._described(stored.get(group))
            lines.append(GroupSummary(group, str(found.phase), found.assignor, len(found.members)))
        return lines

    def _described(self, stored: StoredGroup | None) -> GroupDescription:
        """A group that is not held, as its next coordinator would find it."""
        state = GroupState() if stored is None else stored.state
        machine = GroupMachine(
            state, self._topics, self._options.limits, self._clock.monotonic_ms()
        )
        return machine.describe()

    # -- life -----------------------------------------------------------------------------------

    @property
    def held_groups(self) -> int:
        """How many groups are in memory."""
        return len(self._table)

    @property
    def waiting_heartbeats(self) -> int:
        """How many heartbeats wait for news."""
        return self._room.taken

    @property
    def committed_calls(self) -> int:
        """How many commits were carried out."""
        return self._commits.calls

    def start(self) -> None:
        """Coordinate from now on; the broker is registered."""
        self._started = True
        self._deletions = self._view.deletions
        self._take_topics()
        self._view.subscribe(self._hear)
        self._table.resume()
        self._upkeep.start()

    def suspend(self) -> None:
        """Give up everything at once: the session is suspended or lost."""
        if self._started:
            self._table.suspend(CoordinatorNotAvailableError(_SUSPENDED))
            self._timers.stop()
            self._upkeep.suspend()

    def resume(self) -> None:
        """The session is back: groups are loaded as they are asked for."""
        if self._started:
            self._table.resume()
            self._upkeep.resume()

    def stop_waiting(self) -> None:
        """Answer those who wait for news: the broker is about to go."""
        self._room.close()
        for group in self._table:
            group.stop_waiting()

    async def stop(self) -> None:
        """Give up everything for good, once what is being written is written."""
        if not self._started:
            return
        self.suspend()
        self._started = False
        self._view.unsubscribe(self._hear)
        await self._upkeep.stop()
        await self._table.stop()
        await self._commits.stop()

    # -- groups ---------------------------------------------------------------------------------

    async def _get(self, group: str, *, create: bool) -> CoordinatedGroup | None:
        check_group_id(group)
        held = self._table.held(group)
        if held is None:
            if not self._is_here(group):
                await self._look(group)
            held = await self._table.get(group, create=create)
        return held

    async def _existing(self, group: str, *, create: bool = False) -> CoordinatedGroup:
        held = await self._get(group, create=create)
        if held is None:
            raise _no_group(group)
        return held

    def _arm(self, group: CoordinatedGroup) -> None:
        self._timers.set(group.name, group.machine.next_tick_ms)

    def _tick(self, name: str) -> None:
        group = self._table.held(name)
        if group is None:
            return
        if self._is_here(name):
            group.tick()
        else:  # it is for another broker to say who is dead
            self._table.drop(group, _elsewhere(name))

    def _closed(self, group: CoordinatedGroup) -> None:
        """A group gave itself up; whoever is asked next reads it anew, and nobody may ask."""
        self._table.drop(group, CoordinatorNotAvailableError(f"Group '{group.name}' is read anew"))
        self._upkeep.adopt()

    def _hear(self, change: MetadataChange) -> None:
        changed = change.topics | (self._deletions ^ self._view.deletions)
        self._deletions = self._view.deletions
        if change.brokers:
            for group in self._table:
                if not self._is_here(group.name):
                    self._table.drop(group, _elsewhere(group.name))
            self._upkeep.adopt()
        if changed:
            self._take_topics()
            for group in self._table:
                group.topics_changed(changed)

    def _take_topics(self) -> None:
        topics = self._view.topics
        self._upkeep.take_topics({name: topic.topic_id for name, topic in topics.items()})


def _heartbeat(request: HeartbeatRequest, host: str) -> Heartbeat:
    """What the machine is told. Who joins without an id is given one."""
    member_id = request.member_id
    if not member_id:
        if request.member_epoch != JOIN_EPOCH:
            raise UnknownMemberIdError("Only who joins may do so without a member id")
        member_id = str(uuid.uuid4())
    owned = request.owned
    return Heartbeat(
        member_id,
        request.member_epoch,
        instance_id=request.instance_id,
        client_id=request.client_id or None,
        host=host,
        rack=request.rack,
        topics=None if request.topics is None else tuple(request.topics),
        pattern=request.pattern,
        assignor=request.assignor,
        session_timeout_ms=request.session_timeout_ms,
        rebalance_timeout_ms=request.rebalance_timeout_ms,
        owned=None
        if owned is None
        else frozenset(
            TopicPartition(each.topic, number) for each in owned for number in each.partitions
        ),
    )


def _no_group(group: str) -> GroupIdNotFoundError:
    return GroupIdNotFoundError(f"Group '{group}' does not exist")


def _elsewhere(group: str) -> NotCoordinatorError:
    return NotCoordinatorError(f"Another broker is to coordinate group '{group}'")
