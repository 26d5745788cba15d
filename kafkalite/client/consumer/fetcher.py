"""Reads partitions from their leaders: one long-polling request in flight to each.

What comes goes to the prefetch queue, still encoded. How much is asked for is bounded by the room
there, shared among the leaders; who finds no room waits until something was handed out.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple, Protocol

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.consumer.failures import UnreadableError
from kafkalite.client.consumer.ports import ClusterView, Connections, Pauses
from kafkalite.client.consumer.positions import PartitionPosition, Positions
from kafkalite.client.consumer.prefetch import FetchedPart, Prefetch
from kafkalite.client.fetch_answer import FetchAnswer, FetchedPartition
from kafkalite.model.errors import (
    CorruptMessageError,
    LogError,
    OffsetOutOfRangeError,
    error_by_code,
)
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.batch import read_headers
from kafkalite.wire.messages import MAX_ENTRIES, FetchPartition, FetchRequest

_CROWDED_WAIT_MS: Final = 50
"""How long a request may wait that does not name all partitions of its leader."""
_RETRY_S: Final = 0.1
"""How long a partition rests after an error of its own: twice as long after each one more, ..."""
_MOST_DOUBLINGS: Final = 4
"""... so many times."""


class FetchOptions(NamedTuple):
    """How much to ask for; the fields are Kafka's consumer settings."""

    max_bytes: int = 50 << 20
    partition_max_bytes: int = 2 << 20
    min_bytes: int = 1
    max_wait_ms: int = 500
    request_timeout_ms: int = 30_000


class FetchOwner(Protocol):
    """Who wants to know; all of it is called on the loop."""

    def note_records(self) -> None:
        """There is something to hand out."""

    def note_error(self) -> None:
        """There is something to raise."""

    def note_lost_position(self) -> None:
        """A partition does not hold its position any more."""

    def note_refreshed(self) -> None:
        """Brokers were asked again what there is."""

    def note_trouble(self, error: LogError) -> None:
        """Something went wrong, and is tried again."""

    def note_bug(self, error: BaseException) -> None:
        """Fetching has ended by something unforeseen."""


class _Asked(NamedTuple):
    """An entry of a request, and what it was asked for."""

    partition: PartitionPosition
    stint: int


class _Link:
    """A leader, its partitions in the order of their turns, and the request in flight."""

    def __init__(self, address: BrokerAddress) -> None:
        self.address = address
        self.partitions: dict[TopicPartition, PartitionPosition] = {}
        self.task: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        self.asked: dict[TopicPartition, _Asked] = {}
        self.request: asyncio.Task[FetchAnswer] | None = None


class Fetcher:
    """Owned by a consumer, on the loop: `follow` when partitions, leaders or positions change.

    `close()` ends it. `make_room` is for when something was handed out.
    """

    def __init__(
        self,
        options: FetchOptions,
        positions: Positions,
        prefetch: Prefetch,
        cluster: ClusterView,
        connections: Connections,
        make_pauses: Callable[[], Pauses],
        owner: FetchOwner,
    ) -> None:
        """Assign only.

        Args:
            options: how much to ask for.
            positions: what to read.
            prefetch: where it goes.
            cluster: who leads.
            connections: the way there.
            make_pauses: between attempts at one leader.
            owner: is told what happens.
        """
        self._options = options
        self._positions = positions
        self._prefetch = prefetch
        self._cluster = cluster
        self._connections = connections
        self._make_pauses = make_pauses
        self._owner = owner
        self._links: dict[BrokerAddress, _Link] = {}
        self._leaderless: asyncio.Task[None] | None = None
        self._reserved = 0
        self._is_closed = False
        self.needed_room = 0
        """How much room somebody waits for, 0: nobody does; any thread may read it."""

    def follow(self) -> None:
        """Look anew at what to read from whom."""
        if self._is_closed:
            return
        wanted: dict[BrokerAddress, list[PartitionPosition]] = {}
        has_leaderless = False
        for each in self._positions:
            leader = self._cluster.leader(each.topic_partition)
            if leader is None:
                has_leaderless = True
            else:
                wanted.setdefault(leader, []).append(each)
        for address in [address for address in self._links if address not in wanted]:
            self._end(self._links.pop(address))
        for address, partitions in wanted.items():
            self._link(address, partitions)
        if has_leaderless:
            self._refresh_soon()

    def make_room(self) -> None:
        """Go on where there was none."""
        self.needed_room = 0
        for link in self._links.values():
            link.wake.set()

    async def close(self) -> None:
        """End all requests."""
        self._is_closed = True
        tasks = [link.task for link in self._links.values() if link.task is not None]
        if self._leaderless is not None:
            tasks.append(self._leaderless)
        for task in tasks:
            task.cancel()
        self._links.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- links -----------------------------------------------------------------------------------

    def _link(self, address: BrokerAddress, partitions: Iterable[PartitionPosition]) -> None:
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = _Link(address)
        now = {each.topic_partition: each for each in partitions}
        kept = {key: now.pop(key) for key in link.partitions if key in now}
        link.partitions = {**now, **kept}  # who is new comes first
        link.wake.set()
        if link.task is None or link.task.done():
            link.task = asyncio.create_task(self._run(link), name="fetch")
            link.task.add_done_callback(self._note_end)
        elif link.request is not None and self._has_news(link):
            # It waits for records of others, or at another place: begin anew.
            link.request.cancel()

    def _has_news(self, link: _Link) -> bool:
        """Whether somebody is to be asked for whom the request in flight does not ask."""
        if len(link.asked) >= MAX_ENTRIES:
            return False
        now_s = time.monotonic()
        return any(
            self._is_due(each, now_s)
            and (
                (asked := link.asked.get(key)) is None
                or asked.partition is not each
                or asked.stint != each.stint
            )
            for key, each in link.partitions.items()
        )

    def _end(self, link: _Link) -> None:
        if link.task is not None:
            link.task.cancel()

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._owner.note_bug(error)

    async def _run(self, link: _Link) -> None:
        pauses = self._make_pauses()
        while link.partitions:
            now_s = time.monotonic()
            entries = self._due_entries(link, now_s)
            room = self._room()
            if not entries or room <= 0:
                await self._wait(link, now_s, is_starved=bool(entries))
                continue
            try:
                await self._fetch(link, entries, room)
            except LogError as error:
                await self._recover(link, error, pauses)
            else:
                pauses.reset()

    async def _wait(self, link: _Link, now_s: float, *, is_starved: bool) -> None:
        """Wait until somebody may be asked for, where at `now_s` nobody may."""
        link.wake.clear()
        if is_starved:
            self.needed_room = self._wanted_room() + self._reserved
            if self._room() > 0 or self._prefetch.drop_parked():
                return  # something was handed out meanwhile
        pause_s = _until_due(link.partitions.values(), now_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await link.wake.wait()

    def _is_due(self, each: PartitionPosition, now_s: float) -> bool:
        return (
            each.fetch_offset != NO_OFFSET
            and not each.is_paused
            and each.error is None
            and each.retry_at_s <= now_s
        )

    def _due_entries(self, link: _Link, now_s: float) -> list[_Asked]:
        entries: list[_Asked] = []
        for each in link.partitions.values():
            if self._is_due(each, now_s):
                entries.append(_Asked(each, each.stint))
                if len(entries) >= MAX_ENTRIES:
                    break
        return entries

    def _room(self) -> int:
        """How many bytes a request may ask for now; 0 where there is too little room."""
        wanted = self._wanted_room()
        return wanted if self._prefetch.room - self._reserved >= wanted else 0

    def _wanted_room(self) -> int:
        # Half a leader's share each, so that one answer is worked on while another one comes.
        share = self._prefetch.max_bytes // (2 * max(len(self._links), 1))
        return max(min(share, self._options.max_bytes), 1)

    # -- requests --------------------------------------------------------------------------------

    async def _fetch(self, link: _Link, entries: list[_Asked], room: int) -> None:
        options = self._options
        is_whole = len(entries) < MAX_ENTRIES
        request = FetchRequest(
            [
                FetchPartition(
                    *asked.partition.topic_partition,
                    asked.partition.fetch_offset,
                    max_bytes=options.partition_max_bytes,
                )
                for asked in entries
            ],
            max_wait_ms=options.max_wait_ms if is_whole else _CROWDED_WAIT_MS,
            min_bytes=options.min_bytes,
            max_bytes=room,
        )
        link.asked = {each.partition.topic_partition: each for each in entries}
        timeout_s = (options.max_wait_ms + options.request_timeout_ms) / 1000
        asking = asyncio.create_task(self._connections.fetch(link.address, request, timeout_s))
        self._reserved += room
        link.request = asking
        try:
            answer = await asking
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return  # by `_link`: it is to begin anew
        finally:
            self._reserved -= room
            link.request = None
            asking.cancel()
            if self.needed_room:
                self.make_room()
        if answer.error_code:
            raise error_by_code(answer.error_code)(answer.message or None)
        self._take(link, entries, answer.partitions)

    def _take(
        self, link: _Link, entries: list[_Asked], results: Iterable[FetchedPartition]
    ) -> None:
        parts: list[FetchedPart] = []
        size = 0
        has_moved = False
        for asked, result in zip(entries, results, strict=True):
            partition = asked.partition
            if partition.stint != asked.stint:
                continue
            if result.error_code:
                has_moved |= self._refused(partition, result)
                continue
            partition.refusals = 0
            partition.high_watermark = result.high_watermark
            partition.log_start_offset = result.log_start_offset
            if not result.batches:
                continue
            try:
                headers = read_headers(result.batches)
            except LogError as error:
                self._fail(partition, error)
                continue
            parts.append(FetchedPart(partition, asked.stint, headers, result.batches))
            size += len(result.batches)
            key = partition.topic_partition
            if key in link.partitions:
                # Its turn is over: who comes late must not starve behind full answers.
                link.partitions[key] = link.partitions.pop(key)
        if parts and self._prefetch.put(parts, size):
            self._owner.note_records()
        if has_moved:
            self.follow()

    # -- errors ----------------------------------------------------------------------------------

    def _refused(self, partition: PartitionPosition, result: FetchedPartition) -> bool:
        """An error of one partition; True: somebody else leads it."""
        error = error_by_code(result.error_code)(result.message or None)
        if isinstance(error, OffsetOutOfRangeError):
            if partition.position != partition.fetch_offset:
                # What came is handed out first; nobody knows what the log will hold then.
                self._delay(partition)
                return False
            partition.lose()
            self._owner.note_lost_position()
            return False
        if error.refresh_metadata:
            self._delay(partition)
            if result.leader_id != NO_LEADER and result.leader_url:
                partition.retry_at_s = 0.0
                self._cluster.note_leader(
                    partition.topic_partition, result.leader_id, result.leader_url
                )
                return True
            self._refresh_soon()
            return False
        if error.retriable and not isinstance(error, CorruptMessageError):
            self._delay(partition)
        else:
            self._fail(partition, error)
        return False

    def _fail(self, partition: PartitionPosition, cause: LogError) -> None:
        """What the poll raises that comes to this place."""
        if partition.position != partition.fetch_offset:
            self._delay(partition)
            return
        offset = partition.fetch_offset
        error = UnreadableError(partition.topic_partition, offset, offset + 1, cause)
        error.__cause__ = cause
        partition.error = error
        self._owner.note_error()

    def _delay(self, partition: PartitionPosition) -> None:
        pause_s = _RETRY_S * (1 << min(partition.refusals, _MOST_DOUBLINGS))
        partition.refusals += 1
        partition.retry_at_s = time.monotonic() + pause_s

    async def _recover(self, link: _Link, error: LogError, pauses: Pauses) -> None:
        """A leader does not answer: see whether somebody else leads by now."""
        self._owner.note_trouble(error)
        await asyncio.sleep(pauses.next_pause())
        await self._refresh({each.topic for each in link.partitions})
        self.follow()

    def _refresh_soon(self) -> None:
        if self._leaderless is None or self._leaderless.done():
            self._leaderless = asyncio.create_task(self._find_leaders(), name="find-leaders")
            self._leaderless.add_done_callback(self._note_end)

    async def _find_leaders(self) -> None:
        """Ask until every partition has a leader that takes requests for it."""
        pauses = self._make_pauses()
        while topics := self._unled_topics():
            await self._refresh(topics)
            self._owner.note_refreshed()
            self.follow()
            await asyncio.sleep(pauses.next_pause())

    def _unled_topics(self) -> set[str]:
        now_s = time.monotonic()
        return {
            each.topic_partition.topic
            for each in self._positions
            if each.retry_at_s > now_s or self._cluster.leader(each.topic_partition) is None
        }

    async def _refresh(self, topics: Collection[str]) -> None:
        try:
            await self._cluster.refresh(topics)
        except LogError as error:
            self._owner.note_trouble(error)


def _is_cancelled() -> bool:
    """Whether the running task is to end, and not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _until_due(partitions: Iterable[PartitionPosition], now_s: float) -> float | None:
    """Seconds from `now_s` until one of them may be asked for again; None: not a matter of time.

    `now_s` is when they were looked at: one whose rest ends since is told of, too.
    """
    later = [each.retry_at_s for each in partitions if each.retry_at_s > now_s]
    return min(later) - now_s if later else None
