"""Reading partitions that other brokers lead, for a client of this one."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.replication.received_piece import received_pieces
from kafkalite.broker.sending_room import Lease
from kafkalite.broker.waiters import ReadWaiters
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import LogError, error_by_code
from kafkalite.model.ids import NO_LEADER
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.messages import FetchPartition, FetchRequest, FetchResult


class _Group:
    """Entries of one request that one broker leads."""

    __slots__ = ("entries", "found", "indexes", "leader")

    def __init__(self, leader: Broker) -> None:
        self.leader = leader
        self.indexes: list[int] = []
        self.entries: list[FetchPartition] = []
        self.found = 0
        """Bytes that it had when it was last asked."""


class RemoteReads:
    """What other brokers have for the entries of one fetch. Made for it, used by its task."""

    def __init__(
        self,
        forwarding: Forwarding,
        request: FetchRequest,
        piece_bytes: int,
        stopping: ReadWaiters,
    ) -> None:
        """Assign only.

        Args:
            forwarding: the way there.
            request: what is to be read; also entries that this broker leads.
            piece_bytes: in about which pieces it is wanted.
            stopping: wakes once nobody shall wait any longer.
        """
        self._forwarding = forwarding
        self._piece_bytes = piece_bytes
        self._request = request
        self._stopping = stopping
        self._groups: list[_Group] = []
        """As of the last look."""
        self._share = 0
        """Bytes that each of them may give."""

    def is_one_broker(self, indexes: Sequence[int]) -> bool:
        """Whether one other broker leads every entry; `indexes` are those led elsewhere."""
        groups = self._grouped(indexes)
        return len(groups) == 1 and len(groups[0].indexes) == len(self._request.partitions)

    async def look(
        self, reads: list[PartitionRead], indexes: Sequence[int], max_bytes: int, wait_ms: int
    ) -> None:
        """Put in place of `reads[index]` what the leader has; not where there is none to ask.

        Args:
            reads: one for each entry of the request.
            indexes: of the entries that are led elsewhere.
            max_bytes: of all that they give.
            wait_ms: how long leaders may wait until each has `min_bytes`; not once we stop.
        """
        self._groups = self._grouped(indexes)
        if not self._groups:
            return
        self._share = max(max_bytes // len(self._groups), 1)
        minimum = self._request.min_bytes if wait_ms else 0
        asking = [asyncio.create_task(self._ask(group, minimum, wait_ms)) for group in self._groups]
        try:
            if wait_ms:
                await self._first_of(asking, ())
                if not all(task.done() for task in asking):
                    return
            answers = await asyncio.gather(*asking)
        finally:
            await _cancel(asking)
        for group, answer in zip(self._groups, answers, strict=True):
            group.found = sum(read.size for read in answer)
            for index, read in zip(group.indexes, answer, strict=True):
                reads[index] = read

    async def wait(self, here: Sequence[ReadWaiters], wait_ms: int) -> None:
        """Wait until this broker's partitions, or one of those asked, have more than before."""
        asking = [
            asyncio.create_task(self._ask(group, group.found + 1, wait_ms))
            for group in self._groups
        ]
        try:
            await self._first_of(asking, here, wait_ms / 1000)
        finally:
            await _cancel(asking)

    async def _first_of(
        self,
        asking: Sequence[asyncio.Task[list[PartitionRead]]],
        here: Sequence[ReadWaiters],
        timeout_s: float | None = None,
    ) -> None:
        """Wait for any answer, for news here, or until we stop."""
        wakeup: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sets = (*here, self._stopping)
        for one in sets:
            one.add(wakeup)
        try:
            awaited: list[asyncio.Future[Any]] = [*asking, wakeup]
            await asyncio.wait(awaited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in sets:
                one.discard(wakeup)

    def _grouped(self, indexes: Sequence[int]) -> list[_Group]:
        groups: dict[int, _Group] = {}
        for index in indexes:
            entry = self._request.partitions[index]
            leader = self._forwarding.leader_of(entry.topic, entry.partition)
            if leader is not None:
                group = groups.setdefault(leader.id, _Group(leader))
                group.indexes.append(index)
                group.entries.append(entry)
        return list(groups.values())

    async def _ask(self, group: _Group, min_bytes: int, wait_ms: int) -> list[PartitionRead]:
        request = msgspec.structs.replace(
            self._request, partitions=group.entries, max_bytes=self._share, min_bytes=min_bytes
        )
        try:
            results, lease = await self._forwarding.fetch(group.leader, request, wait_ms)
        except LogError as error:
            return [
                PartitionRead(entry.topic, entry.partition, error=error) for entry in group.entries
            ]
        return [self._read_of(result, group.leader, lease) for result in results]

    def _read_of(self, result: FetchResult, leader: Broker, lease: Lease) -> PartitionRead:
        if result.error_code:
            error = error_by_code(result.error_code)(result.message, **dict(_known_of(result)))
            return PartitionRead(result.topic, result.partition, error=error, leader=leader)
        return PartitionRead(
            result.topic,
            result.partition,
            tuple(received_pieces(result.batches, self._piece_bytes, lease)),
            result.high_watermark,
            result.log_start_offset,
            leader=leader,
        )


async def _cancel(tasks: Sequence[asyncio.Task[list[PartitionRead]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _known_of(result: FetchResult) -> Iterator[tuple[str, object]]:
    if result.leader_id != NO_LEADER:
        yield "leader_id", result.leader_id
    if result.leader_url:
        yield "leader_url", result.leader_url
    if result.log_start_offset != NO_OFFSET:
        yield "log_start_offset", result.log_start_offset
    if result.high_watermark != NO_OFFSET:
        yield "high_watermark", result.high_watermark
