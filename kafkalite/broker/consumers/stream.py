"""One stream: what a group's member is given, read by the broker and pushed to its client.

STR-1  A record counts as dealt with only once its client acknowledged an event that came with or
       after it; only then is it committed.
STR-2  What coming back acknowledges is committed before anything of that partition is sent.
STR-3  No more than the window is sent beyond what is acknowledged; the client is told once.
STR-4  An acknowledgement commits nothing of a partition that is not the stream's any more.
STR-5  Where reading begins at a partition's end, that offset is committed first.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from kafkalite.broker.consumers.assignment import ConsumerAssignment
from kafkalite.broker.consumers.commits import ConsumerCommits, OffsetToKeep
from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.errors import IllegalStateError
from kafkalite.broker.consumers.membership import ConsumerMembership, Identity, Partitions
from kafkalite.broker.consumers.page import ConsumerPage
from kafkalite.broker.consumers.page_turns import PageTurns
from kafkalite.broker.consumers.ports import Groups, Offsets, Reads
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.consumers.start import ConsumerStart
from kafkalite.broker.consumers.stream_mark import MarkRoom, Progress, StreamMark
from kafkalite.broker.consumers.stream_window import StreamWindow
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.errors import (
    FencedMemberEpochError,
    LogError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.rest_records import OnError

REVOKE_PATIENCE_S: Final = 10.0
"""How long a partition that others shall have waits for the client to acknowledge what it got."""
ACKNOWLEDGE_PATIENCE_S: Final = 300.0
"""How long a full window waits for an acknowledgement: Kafka's max.poll.interval.ms."""
_KEPT_BYTES: Final = 2 << 20
"""Of what did not fit into an event, in all partitions of one stream."""
_RETRY_S: Final = 0.5

_log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class StreamWorld:
    """What streams live on."""

    groups: Groups
    reads: Reads
    offsets: Offsets
    view: MetadataView
    own_id: Callable[[], BrokerId]
    session_timeout_ms: int


@dataclass(frozen=True, slots=True)
class StreamWish:
    """What a client asks for."""

    group: str
    definition: ConsumerDefinition
    """Topics or pattern, format, and where to begin where nothing is committed."""
    instance_id: str
    client_id: str
    host: str
    max_bytes: int
    """Of keys and values in one event."""
    max_records: int
    """In one event."""
    max_inflight: int
    """Records that may be sent beyond what is acknowledged."""
    last: StreamMark | None = None
    """The last event that the client has, which acknowledges all up to it."""


class StreamEvent(NamedTuple):
    """Something to tell the client."""

    name: str
    data: bytes
    """JSON."""
    mark: str = ""
    """Its id, where acknowledging it means something."""


class GroupStream:
    """One member, whose client listens. Lives on the loop; owned by GroupStreams.

    `next_event` is called by one task, again and again; all else may come at any time.
    Life: `join`, events and acknowledgements, `leave` or `release`.
    """

    def __init__(self, wish: StreamWish, world: StreamWorld) -> None:
        """Assign only."""
        self.wish = wish
        self.is_over = False
        """Whether nothing comes any more: what `next_event` gave last was the end."""
        self._world = world
        self._news = ReadWaiters()
        """Wakes `next_event`: there is something else to do than to wait for records."""
        self._acknowledged = ReadWaiters()
        """Wakes who waits for the client to deal with what it got."""
        reader = ConsumerReader(world.reads, self._news, max_kept_bytes=_KEPT_BYTES)
        self._assignment = ConsumerAssignment(
            world.view,
            world.offsets,
            ConsumerStart(world.groups, world.offsets, wish.group),
            reader,
            self._news,
            definition=lambda: wish.definition,
            keep_ends=self._keep_ends,
        )
        self._turns = PageTurns(self._assignment, reader, self._news)
        self._membership = ConsumerMembership(
            world.groups,
            wish.group,
            Identity(wish.instance_id, wish.client_id, wish.host),
            self,
            session_timeout_ms=world.session_timeout_ms,
        )
        self._commits = ConsumerCommits(
            world.groups,
            wish.group,
            self._assignment.positions,
            lambda: self._membership.identity,
        )
        self._window = StreamWindow(wish.max_inflight)
        self._notices: deque[StreamEvent] = deque()
        self._gained: set[TopicPartition] = set()
        """Assigned, and not read yet: what the client has of them is to be committed first."""
        self._owned: set[TopicPartition] = set()
        self._resumed = {} if wish.last is None else dict(wish.last.progress)
        """What the client had of partitions that this stream has not got yet."""
        self._full_since: float | None = None
        self._trouble = ""
        """What the client was told last that goes wrong."""

    async def join(self) -> None:
        """Become a member.

        Raises:
            InvalidPatternError: the pattern is none.
            LogError: the group refuses.
        """
        definition = self.wish.definition
        await self._membership.subscribe(definition.topics, definition.pattern)
        topics = self._world.view.topics
        missing = ", ".join(f"'{name}'" for name in definition.topics if name not in topics)
        if missing:
            message = f"There is no topic {missing} yet; waiting until there is"
            self._notices.appendleft(_trouble(UnknownTopicOrPartitionError(message)))
        identity = self._membership.identity
        self._notices.appendleft(
            StreamEvent(
                "member",
                _encode(
                    {
                        "group": self.wish.group,
                        "member_id": identity.member_id,
                        "instance_id": self.wish.instance_id,
                        "broker_id": self._world.own_id(),
                        "max_inflight": self.wish.max_inflight,
                    }
                ),
                self._mark(),
            )
        )

    # -- events ---------------------------------------------------------------------------------

    async def next_event(self, wait_s: float) -> StreamEvent | None:
        """What to tell the client next; None: nothing for so long, or because it is over."""
        if not self._notices and not self.is_over:
            event = await self._look(wait_s)
            if event is not None:
                return event
        return self._notices.popleft() if self._notices else None

    async def _look(self, wait_s: float) -> StreamEvent | None:
        try:
            if self._gained:
                await self._take_gained()
                return None
            if self._window.left:
                event = await self._records(wait_s)
            else:
                event = await self._wait_for_room(wait_s)
        except IllegalStateError as error:
            return self._end("error", {"message": str(error)})
        except LogError as error:
            return await self._in_trouble(error)
        self._trouble = ""
        return event

    async def _records(self, wait_s: float) -> StreamEvent | None:
        wish, positions = self.wish, self._assignment.positions
        page = ConsumerPage(
            wish.definition.format,
            wish.max_bytes,
            OnError.BINARY,
            min(wish.max_records, self._window.left),
        )
        room = MarkRoom([*self._resumed, *positions.in_flight()])
        rows = await self._turns.take(
            page,
            wait_s,
            min_bytes=wish.definition.fetch_min_bytes,
            is_over=lambda: self.is_over,
            admits=room.admits,
        )
        if not rows:
            return await self._wait_for_room(wait_s) if room.was_refused else None
        self._full_since = None
        for partition, count in page.counts.items():
            self._window.sent(partition, page.next_offsets[partition], count)
        return StreamEvent("records", b'{"records":[%b]}' % b",".join(rows), self._mark())

    async def _wait_for_room(self, wait_s: float) -> StreamEvent | None:
        now = asyncio.get_running_loop().time()
        if self._full_since is None:
            self._full_since = now
            return StreamEvent(
                "paused",
                _encode(
                    {
                        "reason": "Nothing more is sent before something is acknowledged",
                        "inflight": self._window.records,
                        "max_inflight": self.wish.max_inflight,
                    }
                ),
            )
        if now - self._full_since > ACKNOWLEDGE_PATIENCE_S:
            seconds = int(ACKNOWLEDGE_PATIENCE_S)
            return self._end(
                "closed", {"reason": f"Nothing was acknowledged for {seconds} seconds"}
            )
        await wait_any([self._news, self._acknowledged], wait_s)
        return None

    async def _in_trouble(self, error: LogError) -> StreamEvent | None:
        """Tell the client what goes wrong, once; it may pass."""
        _log.info("Stream %s of group %s: %s", self.wish.instance_id, self.wish.group, error)
        if error.detail == self._trouble:
            await wait_any([self._news], _RETRY_S)
            return None
        self._trouble = error.detail
        return _trouble(error)

    def _end(self, name: str, members: dict[str, Any]) -> StreamEvent:
        self.is_over = True
        self._acknowledged.wake()
        return StreamEvent(name, _encode(members))

    def _mark(self) -> str:
        """The id of all that was sent."""
        topics = self._world.view.topics
        progress = dict(self._resumed)
        for partition, place in self._assignment.positions.in_flight().items():
            topic = topics.get(partition.topic)
            progress[partition] = Progress(*place, "" if topic is None else topic.topic_id)
        return StreamMark(
            self._world.own_id(), self.wish.instance_id, *self._membership.identity, progress
        ).encode()

    # -- acknowledgements -----------------------------------------------------------------------

    async def acknowledge(self, mark: StreamMark) -> dict[TopicPartition, LogError | None]:
        """Commit all that was sent up to an event; gives of each partition why it was refused.

        Raises:
            LogError: nothing is known of any of them, or the event is a former member's.
        """
        positions = self._assignment.positions
        if mark.member_id != self._membership.identity.member_id:
            if not all(
                positions.is_committed_below(partition, progress.delivered)
                for partition, progress in mark.progress.items()
            ):
                raise former_member(mark)
            return dict.fromkeys(mark.progress)  # by coming back, most likely
        results: dict[TopicPartition, LogError | None] = {}
        offsets: dict[TopicPartition, OffsetToKeep] = {}
        for partition, progress in mark.progress.items():
            if partition in self._resumed:
                continue  # it is to be committed once it is this stream's
            results[partition] = None
            if positions.is_committed_below(partition, progress.delivered):
                continue
            offset = positions.acknowledge_below(partition, progress.delivered)
            if offset is None:
                results[partition] = FencedMemberEpochError(
                    f"Partition {partition} is not this stream's any more"
                )
            else:
                offsets[partition] = OffsetToKeep(offset)
        if offsets:
            results.update(await self._commits.try_given(offsets))
        for partition, refusal in results.items():
            if refusal is None:
                self._window.acknowledged(partition, mark.progress[partition].delivered)
        self._full_since = None
        self._acknowledged.wake()
        return results

    async def _take_gained(self) -> None:
        """Read what was assigned, too, from behind what the client has acknowledged (STR-2)."""
        gained = frozenset(self._gained)
        due = {each: self._resumed[each] for each in gained if each in self._resumed}
        if due:
            await self._commit_resumed(due)
            for partition in due:
                del self._resumed[partition]
        self._gained -= gained
        ours = gained & self._owned
        if ours:
            self._assignment.gain(ours)
            self._notices.append(_notice("assigned", ours))

    async def _commit_resumed(self, due: dict[TopicPartition, Progress]) -> None:
        """Commit what the last event acknowledges, where nobody has moved the group since."""
        committed = await self._world.groups.committed(self.wish.group)
        topics = self._world.view.topics
        offsets = {}
        for partition, progress in due.items():
            now = committed[partition].offset if partition in committed else progress.committed
            topic = topics.get(partition.topic)
            is_same = topic is not None and topic.topic_id.startswith(progress.topic_id)
            if is_same and progress.committed <= now < progress.delivered:
                offsets[partition] = OffsetToKeep(progress.delivered)
        for partition, refusal in (await self._commits.try_given(offsets)).items():
            _log.info("What was acknowledged of %s comes again: %s", partition, refusal)

    async def _keep_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        """Commit where reading began at the end: the next one would find a later end."""
        refused = await self._commits.try_given(
            {partition: OffsetToKeep(offset) for partition, offset in ends.items()}
        )
        for partition, refusal in refused.items():
            if partition in self._owned:
                raise refusal

    # -- the group's view of it -----------------------------------------------------------------

    def assigned(self, partitions: Partitions) -> None:
        """See Member."""
        self._owned |= partitions
        self._gained |= partitions
        self._news.wake()

    async def revoke(self, partitions: Partitions) -> None:
        """See Member."""
        self._gained -= partitions
        self._assignment.hold_back(partitions)
        self._notices.append(_notice("revoked", partitions))
        self._news.wake()
        loop = asyncio.get_running_loop()
        due = loop.time() + REVOKE_PATIENCE_S
        while not (self.is_over or partitions.isdisjoint(self._assignment.positions.in_flight())):
            left = due - loop.time()
            if left <= 0 or not await wait_any([self._acknowledged], left):
                break
        self._drop(partitions)

    def lost(self, partitions: Partitions) -> None:
        """See Member."""
        self._gained -= partitions
        self._notices.append(_notice("lost", partitions))
        self._drop(partitions)

    def fenced(self) -> None:
        """See Member."""
        if not self.is_over:
            reason = f"Another stream has the instance id {self.wish.instance_id!r} now"
            self._notices.append(self._end("fenced", {"reason": reason}))
            self._news.wake()

    def _drop(self, partitions: Partitions) -> None:
        self._owned -= partitions
        self._assignment.drop(partitions)
        self._window.drop(partitions)
        self._acknowledged.wake()

    # -- its end --------------------------------------------------------------------------------

    def stop_waiting(self) -> None:
        """End it: this broker is about to go, and another one will go on with it."""
        self.is_over = True
        self._news.wake()
        self._acknowledged.wake()

    async def leave(self) -> None:
        """Have others read its partitions at once."""
        self.stop_waiting()
        await self._membership.leave()

    async def release(self) -> None:
        """Keep its place in the group for whoever goes on with it."""
        self.stop_waiting()
        await self._membership.stop()


def former_member(mark: StreamMark) -> UnknownMemberIdError:
    """Why an event cannot be acknowledged any more."""
    return UnknownMemberIdError(
        f"The event is one of member {mark.member_id!r}, which the stream is not any more; what "
        "was not acknowledged comes again"
    )


def _notice(name: str, partitions: Iterable[TopicPartition]) -> StreamEvent:
    places = [
        {"topic": partition.topic, "partition": partition.partition}
        for partition in sorted(partitions)
    ]
    return StreamEvent(name, _encode({"partitions": places}))


def _trouble(error: LogError) -> StreamEvent:
    return StreamEvent("trouble", _encode({"error": error.name, "message": error.detail}))
