"""Where partitions stand, whoever leads them: of many at once, and at points in time."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from kafkalite.broker.forwarding import Forwarding
from kafkalite.broker.partition import Partition
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.model.cluster import Broker
from kafkalite.model.errors import (
    LogError,
    NetworkError,
    OffsetNotAvailableError,
    OffsetOutOfRangeError,
    error_by_code,
    error_by_name,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET, OffsetRange
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.messages import MAX_ENTRIES, FetchPartition, FetchRequest, FetchResult

_NO_PARTITION_HOLDS_IT: Final = 2**63 - 1
"""An offset; whoever is asked for it says what it has instead."""
_AT_ONCE: Final = 16
"""Questions about points in time that are under way at the same time, of one request."""
_TIMEOUT_MS: Final = 10_000

T = TypeVar("T")
Found = Mapping[TopicPartition, T | LogError]


class _FoundOffset(msgspec.Struct):
    offset: int


class _Problem(msgspec.Struct):
    error: str = ""
    detail: str = ""


class FoundTime(NamedTuple):
    """A record found by its time; both are -1 where there is none."""

    offset: int
    timestamp: int


class OffsetLookup:
    """Asks the leaders of partitions, this broker among them. Lives on the loop; owns no task.

    Every answer has an entry for every partition that was asked for: what was found, or why it was
    not.
    """

    def __init__(self, partitions: PartitionTable, forwarding: Forwarding) -> None:
        self._partitions = partitions
        self._forwarding = forwarding

    async def readable(self, wanted: Iterable[TopicPartition]) -> Found[OffsetRange]:
        """What consumers can read of each partition: its log start up to its high watermark."""
        found: dict[TopicPartition, OffsetRange | LogError] = {}
        elsewhere: dict[int, tuple[Broker, list[TopicPartition]]] = {}
        for each in wanted:
            here = self._here(each, _readable_here)
            leader = self._forwarding.leader_of(*each) if isinstance(here, LogError) else None
            if leader is None:
                found[each] = here
            else:
                elsewhere.setdefault(leader.id, (leader, []))[1].append(each)
        answers = [
            self._ask(leader, asked[begin : begin + MAX_ENTRIES])
            for leader, asked in elsewhere.values()
            for begin in range(0, len(asked), MAX_ENTRIES)
        ]
        for answer in await asyncio.gather(*answers):
            found.update(answer)
        return found

    async def at_time(self, wanted: Iterable[TopicPartition], time_ms: int) -> Found[int]:
        """The first offset of each partition with that timestamp or a later one; NO_OFFSET: none.

        Records that consumers cannot read yet do not count.
        """
        permits = asyncio.Semaphore(_AT_ONCE)

        async def find(each: TopicPartition) -> tuple[TopicPartition, int | LogError]:
            here = self._here(each, lambda partition: found_at(partition, time_ms).offset)
            leader = self._forwarding.leader_of(*each) if isinstance(here, LogError) else None
            if leader is None:
                return each, here
            async with permits:
                return each, await self._ask_time(leader, each, time_ms)

        return dict(await asyncio.gather(*[find(each) for each in wanted]))

    def _here(self, wanted: TopicPartition, look: Callable[[Partition], T]) -> T | LogError:
        try:
            partition = self._partitions.get(*wanted)
            partition.check_leads()
            partition.check_offsets_available()
            return look(partition)
        except LogError as error:
            return self._forwarding.named(error)

    async def _ask(self, leader: Broker, asked: Sequence[TopicPartition]) -> Found[OffsetRange]:
        entries = [FetchPartition(*each, _NO_PARTITION_HOLDS_IT) for each in asked]
        try:
            results, _ = await self._forwarding.fetch(
                leader, FetchRequest(entries, max_wait_ms=0, max_bytes=1), wait_ms=0
            )
        except LogError as error:
            return dict.fromkeys(asked, error)
        return {each: _range_of(result) for each, result in zip(asked, results, strict=True)}

    async def _ask_time(
        self, leader: Broker, wanted: TopicPartition, time_ms: int
    ) -> int | LogError:
        topic, number = wanted
        target = f"/v1/topics/{quote(topic, safe='')}/partitions/{number}/offsets?at={time_ms}"
        try:
            reply = await self._forwarding.request(leader, "GET", target, {}, b"", _TIMEOUT_MS)
            return _offset_of(reply, leader)
        except LogError as error:
            return error


def found_at(partition: Partition, time_ms: int) -> FoundTime:
    """The first readable record of a partition with that timestamp or a later one."""
    found = partition.log.offset_for_timestamp(time_ms)
    # What consumers cannot read yet is not there for them.
    if found is None or found.offset >= partition.offsets.high_watermark:
        return FoundTime(NO_OFFSET, NO_TIMESTAMP)
    return FoundTime(found.offset, found.timestamp)


def _readable_here(partition: Partition) -> OffsetRange:
    start, high_watermark, _ = partition.offsets
    return OffsetRange(start, high_watermark)


def _range_of(result: FetchResult) -> OffsetRange | LogError:
    if result.error_code == OffsetOutOfRangeError.code and result.high_watermark != NO_OFFSET:
        return OffsetRange(result.log_start_offset, result.high_watermark)
    if result.error_code == 0:
        return OffsetNotAvailableError("The leader did not say what it holds.")
    return error_by_code(result.error_code)(result.message or None)


def _offset_of(reply: PeerReply, leader: Broker) -> int:
    try:
        if reply.status < 300:
            return msgspec.json.decode(reply.body, type=_FoundOffset).offset
        problem = msgspec.json.decode(reply.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NetworkError(f"Broker {leader.id} answered what cannot be read.") from None
    raise error_by_name(problem.error)(problem.detail or None)
