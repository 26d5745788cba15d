"""Reads an instance's partitions in turn, and keeps what is left over of a batch for the next poll.

What is kept is only ever a saving: a partition's position says where it is read on, and what does
not begin there is thrown away and read again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from kafkalite.broker.consumers.ports import ReadPage, Reads
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.errors import (
    CorruptMessageError,
    LogError,
    OffsetOutOfRangeError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.batch import header_at
from kafkalite.wire.messages import MAX_ENTRIES, FetchPartition, FetchRequest
from kafkalite.wire.records import decode_batch

_MAX_STORED_BYTES: Final = 2**31 - 1
"""Of one stored batch once decompressed: the most that any setting can have let in."""
_LEAST_SHARE: Final = 16 << 10
"""Bytes that each partition may give in one round, at least."""
_KEPT_BYTES: Final = 16 << 20
"""Of keys and values kept for the next poll, in all partitions of one instance."""
_REST_S: Final = 0.5
"""A partition that cannot be read is left alone for so long, so that others can be waited for."""


class _Rest(NamedTuple):
    """The records of a batch that did not fit any more."""

    records: Sequence[Record]
    begin: int
    size: int


class ConsumerReader:
    """What one instance reads with. Used by one poll at a time."""

    def __init__(
        self, reads: Reads, news: ReadWaiters, *, max_kept_bytes: int = _KEPT_BYTES
    ) -> None:
        """Assign only.

        Args:
            reads: the partitions.
            news: wakes once a poll that waits has to look at its instance anew.
            max_kept_bytes: of keys and values that are kept for the next poll.
        """
        self._reads = reads
        self._news = news
        self._kept: dict[TopicPartition, _Rest] = {}
        self._kept_bytes = 0
        self._max_kept_bytes = max_kept_bytes
        self._resting: dict[TopicPartition, float] = {}
        self._turns: dict[TopicPartition, None] = {}
        """Partitions in the order in which they are read; who gave records goes to the end."""
        self.out_of_range: set[TopicPartition] = set()
        """Partitions whose position is none of theirs; to be emptied by whoever resets them."""

    def drop(self, partition: TopicPartition) -> None:
        """Forget what is kept of a partition."""
        rest = self._kept.pop(partition, None)
        if rest is not None:
            self._kept_bytes -= rest.size
        self._resting.pop(partition, None)
        self._turns.pop(partition, None)

    async def read(
        self,
        positions: Mapping[TopicPartition, int],
        page: ReadPage,
        *,
        wait_ms: int,
        min_bytes: int,
    ) -> bool:
        """Put into `page` what there is, waiting while that is less than `min_bytes`.

        Returns early, perhaps with nothing, where there is news. Gives whether there was anything
        to be read from: else it has not waited.

        Raises:
            LogError: a partition is damaged where it is to be read on, and the page is empty.
        """
        turns = self._in_turn(positions)
        for partition in turns:
            if partition not in self._kept and partition not in self._resting:
                break  # it is to be asked before others have their second turn
            self._take_kept(partition, positions, page)
            if page.is_closed:
                return True
        is_asked = False
        while True:
            if any(each in self._kept for each in turns):
                wait_ms = 0
            request = self._request(positions, page, wait_ms, min_bytes)
            before = page.size, dict(page.next_offsets)
            if request.partitions:
                is_asked = True
                await self._take_fetched(request, positions, page)
            for partition in turns:
                if not page.is_closed:
                    self._take_kept(partition, positions, page)
            if page.is_closed or (page.size, page.next_offsets) == before:
                return is_asked or not page.is_empty
            wait_ms = 0

    def given(self, partitions: Sequence[TopicPartition]) -> None:
        """These had their turn."""
        for partition in partitions:
            if partition in self._turns:
                del self._turns[partition]
                self._turns[partition] = None

    def rest_s(self) -> float | None:
        """Seconds until one that is left alone is tried again; None: there is none."""
        now = asyncio.get_running_loop().time()
        return min((due - now for due in self._resting.values()), default=None)

    # -- what was kept --------------------------------------------------------------------------

    def _in_turn(self, positions: Mapping[TopicPartition, int]) -> list[TopicPartition]:
        for partition in positions:
            self._turns.setdefault(partition)
        return [partition for partition in self._turns if partition in positions]

    def _take_kept(
        self,
        partition: TopicPartition,
        positions: Mapping[TopicPartition, int],
        page: ReadPage,
    ) -> None:
        rest = self._kept.pop(partition, None)
        if rest is None:
            return
        self._kept_bytes -= rest.size
        position = page.next_offsets.get(partition, positions[partition])
        if rest.records[rest.begin].offset == position:
            self._keep(partition, rest.records, page.take(partition, rest.records, rest.begin))

    def _keep(self, partition: TopicPartition, records: Sequence[Record], begin: int) -> None:
        if begin == len(records):
            return
        size = sum(len(record.value or b"") + len(record.key or b"") for record in records[begin:])
        if self._kept_bytes + size <= self._max_kept_bytes:
            self._kept[partition] = _Rest(records, begin, size)
            self._kept_bytes += size

    # -- what is to be fetched ------------------------------------------------------------------

    def _request(
        self,
        positions: Mapping[TopicPartition, int],
        page: ReadPage,
        wait_ms: int,
        min_bytes: int,
    ) -> FetchRequest:
        now = asyncio.get_running_loop().time()
        for partition in [each for each, due in self._resting.items() if due <= now]:
            del self._resting[partition]
        wanted = [
            each
            for each in self._in_turn(positions)
            if each not in self._resting
            and each not in self._kept
            and each not in self.out_of_range
        ][:MAX_ENTRIES]
        budget = max(page.left, 1)
        share = max(budget // max(len(wanted), 1), min(_LEAST_SHARE, budget))
        missing = max(min(min_bytes, budget) - page.size, 0 if page.size else 1)
        return FetchRequest(
            [
                FetchPartition(*each, page.next_offsets.get(each, positions[each]), share)
                for each in wanted
            ],
            max_wait_ms=wait_ms if missing else 0,
            min_bytes=missing if wait_ms else 0,
            max_bytes=budget,
        )

    async def _take_fetched(
        self,
        request: FetchRequest,
        positions: Mapping[TopicPartition, int],
        page: ReadPage,
    ) -> None:
        for read in await self._fetch(request) or ():
            await self._take(read, positions, page)
            if page.is_closed:
                return

    async def _fetch(self, request: FetchRequest) -> list[PartitionRead] | None:
        """What was read; None where there was news before that came."""
        reads = self._reads.try_fetch(request)
        if reads is not None:
            return reads
        loop = asyncio.get_running_loop()
        fetching = asyncio.ensure_future(self._reads.fetch(request))
        wakeup: asyncio.Future[None] = loop.create_future()
        self._news.add(wakeup)
        try:
            await asyncio.wait((fetching, wakeup), return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else None
        finally:
            self._news.discard(wakeup)
            if not fetching.done():
                fetching.cancel()
                await asyncio.gather(fetching, return_exceptions=True)

    async def _take(
        self, read: PartitionRead, positions: Mapping[TopicPartition, int], page: ReadPage
    ) -> None:
        partition = TopicPartition(read.topic, read.partition)
        if read.error is not None:
            self._set_aside(partition, read.error, page)
            return
        for piece in read.pieces:
            batches = memoryview(await self._reads.read_piece(piece))
            position = 0
            while position < len(batches):
                header = header_at(batches, position)
                try:
                    records = decode_batch(batches[position:], header, max_bytes=_MAX_STORED_BYTES)
                except CorruptMessageError as error:
                    self._set_aside(partition, error, page)
                    return
                begin = _index_of(records, page.next_offsets.get(partition, positions[partition]))
                left = page.take(partition, records, begin)
                if left < len(records):
                    self._keep(partition, records, left)
                    return
                page.next_offsets[partition] = header.next_offset
                if page.is_closed:
                    return
                position += header.size
            await asyncio.sleep(0)

    def _set_aside(self, partition: TopicPartition, error: LogError, page: ReadPage) -> None:
        """Read the others without it for a while; a client that gets nothing else is told why."""
        if isinstance(error, OffsetOutOfRangeError):
            self.out_of_range.add(partition)
            return
        self._resting[partition] = asyncio.get_running_loop().time() + _REST_S
        if isinstance(error, CorruptMessageError) and page.is_empty:
            raise error


def _index_of(records: Sequence[Record], offset: int) -> int:
    """The first of them at `offset` or later: a batch may begin before what was asked for."""
    if not records or records[0].offset >= offset:
        return 0
    index = min(offset - records[0].offset, len(records))
    while index and records[index - 1].offset >= offset:
        index -= 1
    return index
