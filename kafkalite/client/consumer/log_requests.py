"""What a consumer asks about partitions and topics beside their records."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.consumer.ports import ClusterView, Connections
from kafkalite.client.problem import refusal
from kafkalite.model.errors import (
    LeaderNotAvailableError,
    LogError,
    NetworkError,
    OffsetOutOfRangeError,
    error_by_code,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.messages import MAX_ENTRIES, FetchPartition, FetchRequest

_JSON: Final = {"accept": "application/json"}
_OK: Final = 200
_NEVER: Final = 2**63 - 1
"""No partition holds this offset, and whoever says so says what it holds."""
_LOOKUPS_AT_ONCE: Final = 16

T = TypeVar("T")


class Bounds(NamedTuple):
    """What readers find of a partition: offsets `start` to `end` (exclusive)."""

    start: int
    end: int


class OffsetAndTimestamp(NamedTuple):
    """A record by its time."""

    offset: int
    timestamp: int
    """Its own, in ms since the Unix epoch: the one that was asked for, or a later one."""


class _Offset(msgspec.Struct):
    offset: int
    timestamp: int


class _Topic(msgspec.Struct):
    name: str
    partition_count: int


class _Topics(msgspec.Struct):
    topics: list[_Topic]


class LogRequests:
    """Asks leaders where they are known, and any broker for what any can say. On the loop."""

    def __init__(self, cluster: ClusterView, connections: Connections) -> None:
        self._cluster = cluster
        self._connections = connections

    async def bounds(
        self, partitions: Collection[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, Bounds | LogError]:
        """Where each partition begins and ends, or why that cannot be said at the moment."""
        found: dict[TopicPartition, Bounds | LogError] = {}
        by_leader: dict[BrokerAddress, list[TopicPartition]] = {}
        for each in partitions:
            leader = self._cluster.leader(each)
            if leader is None:
                found[each] = LeaderNotAvailableError()
            else:
                by_leader.setdefault(leader, []).append(each)
        asking = [
            self._bounds_at(leader, each[begin : begin + MAX_ENTRIES], timeout_s)
            for leader, each in by_leader.items()
            for begin in range(0, len(each), MAX_ENTRIES)
        ]
        for answer in await asyncio.gather(*asking):
            found |= answer
        return found

    async def offset_at(
        self, topic_partition: TopicPartition, timestamp: int, timeout_s: float
    ) -> OffsetAndTimestamp | None:
        """The first record at that time or later; None where there is none.

        Raises:
            LogError: the partition cannot be asked.
        """
        topic, partition = topic_partition
        path = f"/v1/topics/{quote(topic, safe='')}/partitions/{partition}/offsets?at={timestamp}"
        leader = self._cluster.leader(topic_partition)
        found = await self._ask(path, _Offset, timeout_s, leader)
        return None if found.offset < 0 else OffsetAndTimestamp(found.offset, found.timestamp)

    async def offsets_at(
        self, timestamps: Mapping[TopicPartition, int], timeout_s: float
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """As `offset_at`, of any number of partitions."""
        slots = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

        async def one(each: TopicPartition, timestamp: int) -> OffsetAndTimestamp | None:
            async with slots:
                return await self.offset_at(each, timestamp, timeout_s)

        found = await asyncio.gather(*(one(each, at) for each, at in timestamps.items()))
        return dict(zip(timestamps, found, strict=True))

    async def partition_counts(self, timeout_s: float) -> dict[str, int]:
        """All topics, with how many partitions each has; raises LogError."""
        found = await self._ask("/v1/topics", _Topics, timeout_s, None)
        return {each.name: each.partition_count for each in found.topics}

    async def _bounds_at(
        self, leader: BrokerAddress, partitions: Collection[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, Bounds | LogError]:
        entries = [FetchPartition(*each, _NEVER) for each in partitions]
        try:
            answer = await self._connections.fetch(
                leader, FetchRequest(entries, max_wait_ms=0), timeout_s
            )
        except LogError as error:
            return dict.fromkeys(partitions, error)
        found: dict[TopicPartition, Bounds | LogError] = {}
        for each, result in zip(partitions, answer.partitions, strict=True):
            outcome = error_by_code(result.error_code)(result.message or None)
            if isinstance(outcome, OffsetOutOfRangeError) and (
                result.log_start_offset != NO_OFFSET
            ):
                found[each] = Bounds(
                    result.log_start_offset, max(result.high_watermark, result.log_start_offset)
                )
            else:
                found[each] = outcome
        return found

    async def _ask(
        self, path: str, kind: type[T], timeout_s: float, leader: BrokerAddress | None
    ) -> T:
        if leader is None:
            answered, reply = await self._cluster.ask(
                "GET", path, _JSON, b"", timeout_s, may_repeat=True
            )
        else:
            answered = leader
            reply = await self._connections.request(leader, "GET", path, _JSON, b"", timeout_s)
        if reply.status != _OK:
            raise refusal(reply, answered)
        try:
            return msgspec.json.decode(reply.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NetworkError(f"{answered.netloc} is not a broker of kafkalite: {error}") from None
