"""What a topic gets, read once for all tails that have read all there was before.

FEED-1  Who follows gets what it would have read by itself: every record from its place on, once.
FEED-2  Who takes events too slowly falls behind and reads by itself again: what a feed holds for
        others is bounded.
FEED-3  A feed has nothing to tell but records. Where anything else happens it ends, and each
        follower sees for itself what it was.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from kafkalite.broker.consumers.ports import Reads
from kafkalite.broker.consumers.reader import ConsumerReader
from kafkalite.broker.tails.mark import TailMark
from kafkalite.broker.tails.page import TailPage, TailRecords
from kafkalite.broker.turns import Turn, Turns, give
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition

_log = logging.getLogger(__name__)

Positions = Mapping[TopicPartition, int]
"""Partition -> offset of its next record."""

MAX_HELD_EVENTS: Final = 16
"""For those who have not taken them yet."""
MAX_HELD_BYTES: Final = 1 << 20
"""Of keys and values in them, where that is more than one event."""
_LOOK_S: Final = 60.0
_LEAST_PAUSE_S: Final = 0.01
"""After a look that found nothing."""


class FeedKey(NamedTuple):
    """What tails have in common that follow one feed."""

    topic_id: str
    partitions: tuple[TopicPartition, ...]
    max_bytes: int
    max_records: int


class FeedEvent(NamedTuple):
    """Records that came."""

    found: TailRecords
    before: Positions
    after: Positions
    size: int
    """Bytes of keys and values."""


class Feed:
    """Reads on from where its followers stand, and keeps what they have yet to take.

    Owned by TailFeeds, on the loop. It has a task for as long as anybody follows.
    """

    def __init__(self, key: FeedKey, positions: Positions, reads: Reads, turns: Turns) -> None:
        """Assign only; `positions` are where it begins."""
        self.key = key
        self.positions = positions
        """Where it has read to."""
        self.is_over = False
        """Whether nothing comes any more."""
        self.waiting: dict[Turn, None] = {}
        """Followers that have taken all there is, in the order in which they came."""
        self._followers: set[Follower] = set()
        self._events: deque[FeedEvent] = deque()
        self._first = 0
        """The sequence of the first of them."""
        self._size = 0
        self._turns = turns
        # Nothing but its followers' leaving ends it early, which cancels it.
        self._reader = ConsumerReader(reads, ReadWaiters(), max_kept_bytes=MAX_HELD_BYTES)

    def follow(self, positions: Positions) -> "Follower | None":
        """A follower that has read to `positions`; None where the feed is further somewhere."""
        ours = self.positions
        if any(positions[each] < ours[each] for each in ours):
            return None
        follower = Follower(self, self._next, None if positions == ours else positions)
        self._followers.add(follower)
        return follower

    def leave(self, follower: "Follower") -> bool:
        """One follows no more; gives whether nobody does."""
        self._followers.discard(follower)
        return not self._followers

    def event(self, sequence: int) -> FeedEvent | None:
        """An event that is held."""
        index = sequence - self._first
        return self._events[index] if 0 <= index < len(self._events) else None

    def is_gone(self, sequence: int) -> bool:
        """Whether an event is not held any more."""
        return sequence < self._first

    async def run(self) -> None:
        """Read until something else than records comes."""
        try:
            while await self._look():
                pass
        except LogError as error:
            _log.info("A feed of topic %s ends: %s", self.key.partitions[0].topic, error)
        finally:
            self.is_over = True
            for turn in self.waiting:
                give(turn)

    async def _look(self) -> bool:
        reader = self._reader
        page = TailPage(self.key.max_bytes, self.key.max_records)
        rest_s = reader.rest_s()
        wait_s = _LOOK_S if rest_s is None else min(max(rest_s, _LEAST_PAUSE_S), _LOOK_S)
        is_asked = await reader.read(self.positions, page, wait_ms=int(wait_s * 1000), min_bytes=1)
        if page.next_offsets:
            reader.given([each for each, _ in page.parts])
            self._hold(page)
            # What comes meanwhile is one event: the more there are who follow, the larger it is.
            await self._turns.give(self.waiting)
            self._let_go()
        elif not reader.out_of_range:
            # Whoever waited for records has, mostly; a broker that is about to go lets nobody wait.
            await asyncio.sleep(_LEAST_PAUSE_S if is_asked else wait_s)
        return not reader.out_of_range

    def _hold(self, page: TailPage) -> None:
        before = self.positions
        self.positions = {**before, **page.next_offsets}
        found = TailRecords(page.parts, _mark(self.key, self.positions))
        self._events.append(FeedEvent(found, before, self.positions, page.size))
        self._size += page.size
        while len(self._events) > 1 and (
            len(self._events) > MAX_HELD_EVENTS or self._size > MAX_HELD_BYTES
        ):
            self._drop_first()

    def _let_go(self) -> None:
        """Drop what all have taken."""
        taken = min((each.sequence for each in self._followers), default=self._next)
        while self._first < taken:
            self._drop_first()

    def _drop_first(self) -> None:
        self._size -= self._events.popleft().size
        self._first += 1

    @property
    def _next(self) -> int:
        return self._first + len(self._events)


class Follower:
    """One tail's place in a feed. Used by one task."""

    __slots__ = ("_feed", "_positions", "sequence")

    def __init__(self, feed: Feed, sequence: int, positions: Positions | None) -> None:
        """Assign only; `positions` where the tail has read more than the feed."""
        self._feed = feed
        self._positions = positions
        self.sequence = sequence
        """Of the event that is to be taken next."""

    @property
    def feed(self) -> Feed:
        return self._feed

    @property
    def is_lost(self) -> bool:
        """Whether nothing comes any more: the feed has ended, or gone on without it."""
        return self._feed.is_over or self._feed.is_gone(self.sequence)

    def take(self) -> FeedEvent | None:
        """The next event; None where there is none."""
        event = self._feed.event(self.sequence)
        if event is None:
            return None
        self.sequence += 1
        if self._positions is None:
            return event
        rest = _behind(event, self._positions, self._feed.key)
        self._positions = None if rest.after == event.after else rest.after
        return rest

    async def wait(self, news: ReadWaiters, wait_s: float) -> None:
        """Until there is another event, `news`, no feed any more, or for so long."""
        # Unlike `wait_any` it goes on in the turn of the loop in which it is woken: once the last
        # one was, the feed takes it that all have taken the event.
        loop = asyncio.get_running_loop()
        turn: Turn = loop.create_future()
        timer = loop.call_later(wait_s, give, turn)
        waiting = self._feed.waiting
        waiting[turn] = None
        news.add(turn)
        try:
            await turn
        finally:
            timer.cancel()
            news.discard(turn)
            del waiting[turn]


class TailFeeds:
    """The feeds of one broker. Lives on the loop; owns their tasks."""

    def __init__(self, reads: Reads) -> None:
        """There is none yet."""
        self._reads = reads
        self._turns = Turns()
        self._feeds: dict[FeedKey, tuple[Feed, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    def follow(self, key: FeedKey, positions: Positions) -> Follower | None:
        """Follow what comes behind `positions`, to which all has been read.

        None where others have read more of some partition: to be tried again once more was read.
        """
        feed, _ = self._feeds.get(key) or (None, None)
        if feed is None or feed.is_over:
            feed = Feed(key, dict(positions), self._reads, self._turns)
            task = asyncio.create_task(feed.run())
            task.add_done_callback(_report)
            self._feeds[key] = feed, task
        return feed.follow(positions)

    def leave(self, follower: Follower) -> None:
        """One follows no more; a feed that nobody follows ends."""
        feed = follower.feed
        if not feed.leave(follower):
            return
        known, task = self._feeds.get(feed.key) or (None, None)
        if known is feed and task is not None:
            del self._feeds[feed.key]
            task.cancel()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("A feed failed", exc_info=task.exception())


def _behind(event: FeedEvent, positions: Positions, key: FeedKey) -> FeedEvent:
    """What of an event is new to one who has read to `positions`."""
    after = {each: max(at, event.after[each]) for each, at in positions.items()}
    parts = []
    for partition, records in event.found.parts:
        begin = positions[partition]
        new = [record for record in records if record.offset >= begin]
        if new:
            parts.append((partition, new))
    return FeedEvent(TailRecords(parts, _mark(key, after)), positions, after, event.size)


def _mark(key: FeedKey, positions: Positions) -> str:
    offsets = {each.partition: offset for each, offset in positions.items()}
    return TailMark(key.topic_id, offsets).encode()
