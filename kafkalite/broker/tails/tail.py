"""One client's tail of a topic: its records as they come, from wherever it left off.

TAIL-1  Who names the last event that it got goes on with the record behind it, in every partition:
        nothing comes twice, nothing is left out that is still there.
TAIL-2  Where records were removed before they were sent, or cut off, the client is told.
TAIL-3  A tail ends with its topic: another topic of that name is not its continuation.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kafkalite.broker.consumers.ports import Offsets, Reads
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.broker.tails.feed import FeedKey, Follower, TailFeeds
from kafkalite.broker.tails.mark import MAX_PARTITIONS, TailMark
from kafkalite.broker.tails.page import TailPage, TailRecords
from kafkalite.broker.tails.start import TailEdge, TailStart, locate
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidRequestError,
    LogError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)

_KEPT_BYTES: Final = 1 << 20
"""Of keys and values that one tail holds for its next event."""
_RETRY_S: Final = 0.5
_LEAST_TURN_S: Final = 0.01
"""What looking for records takes at least where there are none and nobody waits."""


@dataclass(frozen=True, slots=True)
class TailWorld:
    """What tails live on."""

    reads: Reads
    offsets: Offsets
    view: MetadataView


@dataclass(frozen=True, slots=True)
class TailWish:
    """What a client asks for."""

    topic: str
    partitions: tuple[int, ...]
    """Empty: all, also those that the topic gets later."""
    start: TailStart
    max_bytes: int
    """Of keys and values in one event."""
    max_records: int
    """In one event."""
    last: TailMark | None = None
    """The last event that the client has; it goes before `start`."""


class TailNotice(NamedTuple):
    """Something else to tell the client."""

    name: str
    members: Mapping[str, Any]
    mark: str = ""


class TopicTail:
    """Lives on the loop; owned by TopicTails. `open`, then `next_event` by one task, then `close`.

    Once it has read all there is it follows a feed, which reads for all that stand there.
    """

    def __init__(self, wish: TailWish, world: TailWorld, feeds: TailFeeds) -> None:
        """Assign only."""
        self.wish = wish
        self.is_over = False
        """Whether nothing comes any more: what `next_event` gave last was the end."""
        self._is_stopping = False
        self._world = world
        self._feeds = feeds
        self._follower: Follower | None = None
        self._alone_until = 0.0
        """A feed has just ended; what it was is to be seen first."""
        self._is_checked = False
        """Whether the topic is as it was when it was looked at last."""
        self._news = ReadWaiters()
        self._reader = ConsumerReader(world.reads, self._news, max_kept_bytes=_KEPT_BYTES)
        self._positions: Mapping[TopicPartition, int] = {}
        self._from_beginning: set[TopicPartition] = set()
        """Those of which nothing was sent, or asked for by an offset: any beginning is theirs."""
        self._topic_id = ""
        self._trouble = ""
        """What the client was told last that goes wrong."""

    async def open(self) -> TailNotice:
        """Find where to begin; gives what the client is told first.

        Raises:
            UnknownTopicOrPartitionError: there is no such topic, or partition.
            InvalidRequestError: it has more partitions than one tail may read.
            LogError: some partition's leader cannot be asked.
        """
        topic = self._world.view.topics.get(self.wish.topic)
        if topic is None:
            raise UnknownTopicOrPartitionError(f"There is no topic {self.wish.topic!r}")
        wanted = self._wanted(topic)
        if len(wanted) > MAX_PARTITIONS:
            raise InvalidRequestError(
                f"A stream reads {MAX_PARTITIONS} partitions at most, not {len(wanted)}; name "
                "some of them in ?partitions="
            )
        self._topic_id = topic.topic_id
        start, last = self.wish.start, self.wish.last
        if last is not None:
            # Of another topic all records came later.
            offsets = last.offsets if last.is_of(topic.topic_id) else {}
            start = TailStart(offsets, edge=TailEdge.EARLIEST)
        self._positions = await locate(start, wanted, self._world.offsets)
        if not start.offsets:
            self._from_beginning = {each for each, at in self._positions.items() if at == 0}
        return self._started(wanted)

    async def next_event(self, wait_s: float) -> TailRecords | TailNotice | None:
        """What to tell the client next; None: nothing for so long, or because it is over."""
        if self.is_over:
            return None
        if not self._is_checked:
            notice = self._check()
            if notice is not None:
                return notice
        try:
            if self._reader.out_of_range:
                return await self._move()
            return await self._read(wait_s)
        except LogError as error:
            return await self._in_trouble(error)

    def _check(self) -> TailNotice | None:
        """See what has become of the topic."""
        topic = self._world.view.topics.get(self.wish.topic)
        is_deleted = topic is None or topic.topic_id != self._topic_id
        if topic is None or is_deleted or self._is_stopping:
            return self._end(is_deleted=is_deleted)
        added = [each for each in self._wanted(topic) if each not in self._positions]
        if added and len(self._positions) + len(added) <= MAX_PARTITIONS:
            self._stop_following()
            self._positions = {**self._positions, **dict.fromkeys(added, 0)}
            self._from_beginning.update(added)
            return self._started(added)
        self._is_checked = True
        return None

    def wake(self) -> None:
        """Have `next_event` look at the topic anew."""
        self._is_checked = False
        self._news.wake()

    def stop_waiting(self) -> None:
        """End it: this broker is about to go, and any other one will go on with it."""
        self._is_stopping = True
        self._is_checked = False
        self._news.wake()

    def close(self) -> None:
        """Nobody listens any more."""
        self._stop_following()

    def mark(self) -> str:
        """The id of all that was sent."""
        offsets = {each.partition: offset for each, offset in self._positions.items()}
        return TailMark(self._topic_id, offsets).encode()

    # -- records --------------------------------------------------------------------------------

    async def _read(self, wait_s: float) -> TailRecords | None:
        if self._follower is not None:
            return await self._follow(self._follower, wait_s)
        if asyncio.get_running_loop().time() < self._alone_until:
            return await self._look(wait_s)
        before = self._positions
        found = await self._look(0.0)
        if self._positions is not before or self._reader.out_of_range or not self._is_checked:
            return found  # what happened to the topic meanwhile wakes nobody any more
        self._follower = self._feeds.follow(self._feed_key(), self._positions)
        if self._follower is None:
            return await self._look(wait_s)
        return await self._follow(self._follower, wait_s)

    async def _follow(self, follower: Follower, wait_s: float) -> TailRecords | None:
        """What the feed gives."""
        event = follower.take()
        if event is None and not follower.is_lost:
            await follower.wait(self._news, wait_s)
            event = follower.take() if self._is_checked else None
        if event is not None:
            self._positions = event.after
            if self._from_beginning:
                self._from_beginning.difference_update(each for each, _ in event.found.parts)
            return event.found if event.found.parts else None
        if follower.is_lost:
            if follower.feed.is_over:
                self._alone_until = asyncio.get_running_loop().time() + _RETRY_S
            self._stop_following()
        return None

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._feeds.leave(self._follower)
            self._follower = None

    def _feed_key(self) -> FeedKey:
        wish = self.wish
        partitions = tuple(sorted(self._positions))
        return FeedKey(self._topic_id, partitions, wish.max_bytes, wish.max_records)

    async def _look(self, wait_s: float) -> TailRecords | None:
        """What there is where this one stands; waits for some, unless that is 0."""
        wish, reader = self.wish, self._reader
        page = TailPage(wish.max_bytes, wish.max_records)
        rest_s = reader.rest_s()
        read_s = wait_s if rest_s is None else min(wait_s, max(rest_s, 0.0))
        is_asked = await reader.read(self._positions, page, wait_ms=int(read_s * 1000), min_bytes=1)
        if not page.next_offsets:
            if wait_s and not reader.out_of_range:
                # Whoever waited for records has; else for one that is left alone for a while.
                pause_s = _LEAST_TURN_S if is_asked else max(read_s, _LEAST_TURN_S)
                await wait_any([self._news], pause_s)
            return None
        self._positions = {**self._positions, **page.next_offsets}
        self._from_beginning.difference_update(page.next_offsets)
        reader.given([each for each, _ in page.parts])
        return TailRecords(page.parts, self.mark()) if page.parts else None

    async def _move(self) -> TailNotice | None:
        """Go on where there is something, of a partition that has nothing where we are."""
        partition = min(self._reader.out_of_range)
        offset = self._positions[partition]
        readable = (await self._world.offsets.readable([partition]))[partition]
        if isinstance(readable, LogError):
            raise readable
        self._reader.out_of_range.discard(partition)
        to = min(max(offset, readable.start), readable.end)
        if to == offset:
            return None
        self._positions = {**self._positions, partition: to}
        if partition in self._from_beginning and to > offset:
            return None
        reason = "records there were removed" if to > offset else "the log ends before"
        members = {"partition": partition.partition, "from": offset, "to": to, "reason": reason}
        return TailNotice("moved", members, self.mark())

    # -- all else -------------------------------------------------------------------------------

    def _wanted(self, topic: Topic) -> list[TopicPartition]:
        numbers = self.wish.partitions or sorted(topic.assignment)
        for number in numbers:
            if number not in topic.assignment:
                raise UnknownTopicOrPartitionError(f"There is no partition {topic.name}-{number}")
        return [TopicPartition(topic.name, number) for number in numbers]

    def _started(self, partitions: Sequence[TopicPartition]) -> TailNotice:
        offsets = {str(each.partition): self._positions[each] for each in partitions}
        return TailNotice("start", {"topic": self.wish.topic, "offsets": offsets}, self.mark())

    def _end(self, *, is_deleted: bool) -> TailNotice:
        self.is_over = True
        if is_deleted:
            error: type[LogError] = UnknownTopicOrPartitionError
            reason = f"Topic {self.wish.topic!r} has been deleted"
        else:
            error = BrokerNotAvailableError
            reason = "This broker is stopping; another one goes on"
        return TailNotice("end", {"error": error.name, "reason": reason}, self.mark())

    async def _in_trouble(self, error: LogError) -> TailNotice | None:
        """Tell the client what goes wrong, once; it may pass."""
        _log.info("A stream of topic %s: %s", self.wish.topic, error)
        if error.detail == self._trouble:
            await wait_any([self._news], _RETRY_S)
            return None
        self._trouble = error.detail
        return TailNotice("trouble", {"error": error.name, "message": error.detail})
