"""Brokers for the client's consumer, without a network: what it asks for is a call.

Partitions hold batches, leaders move when a test says so, requests fail when it says so.
"""

import asyncio
from collections.abc import Collection, Mapping

import msgspec

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.fetch_answer import FetchAnswer, FetchedPartition
from kafkalite.model.errors import (
    LogError,
    NotLeaderOrFollowerError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.batch import read_headers
from kafkalite.wire.messages import FetchPartition, FetchRequest
from tests.support.fetched import batch_at

BROKERS = [BrokerAddress(number, "broker", 9000 + number) for number in range(2)]


class MemoryPartition:
    """A log of batches, from `start` on."""

    def __init__(self, leader: BrokerAddress) -> None:
        self.leader = leader
        self.start = 0
        self.batches: list[bytes] = []
        self.error: LogError | None = None
        """What fetches are refused with."""

    @property
    def end(self) -> int:
        return read_headers(self.batches[-1])[0].next_offset if self.batches else self.start

    def append(self, count: int) -> None:
        self.batches.append(batch_at(self.end, count))


class MemoryBrokers:
    """What the consumer calls ClusterView and Connections. On the loop."""

    def __init__(self, partitions: int = 1) -> None:
        self.logs = {
            TopicPartition("t", number): MemoryPartition(BROKERS[0]) for number in range(partitions)
        }
        self.known: dict[TopicPartition, BrokerAddress] = {}
        """Leaders as clients know them."""
        self.fetches: list[tuple[BrokerAddress, FetchRequest]] = []
        self.refreshes = 0
        self.failures: list[LogError] = []
        """Of the next fetches, one each."""
        self.waiting = 0
        self.changed = asyncio.Condition()

    # -- for tests -------------------------------------------------------------------------------

    async def append(self, place: TopicPartition, count: int) -> None:
        """Add a batch, which ends waits."""
        async with self.changed:
            self.logs[place].append(count)
            self.changed.notify_all()

    # -- ClusterView -----------------------------------------------------------------------------

    async def partitions(self, topic: str, /) -> int:
        count = sum(place.topic == topic for place in self.logs)
        if not count:
            raise UnknownTopicOrPartitionError
        return count

    def leader(self, place: TopicPartition, /) -> BrokerAddress | None:
        return self.known.get(place)

    async def refresh(self, topics: Collection[str], /) -> None:
        self.refreshes += 1
        await asyncio.sleep(0)
        self.known |= {
            place: log.leader for place, log in self.logs.items() if place.topic in topics
        }

    def note_leader(self, place: TopicPartition, broker_id: int, url: str, /) -> None:
        self.known[place] = BROKERS[broker_id]

    def topic_id(self, topic: str, /) -> str | None:
        return f"id-{topic}"

    def brokers(self) -> list[BrokerAddress]:
        return BROKERS

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        *,
        may_repeat: bool,
    ) -> tuple[BrokerAddress, PeerReply]:
        return BROKERS[0], await self.request(BROKERS[0], method, target, headers, body, timeout_s)

    # -- Connections -----------------------------------------------------------------------------

    async def request(
        self,
        address: BrokerAddress,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        assert (method, target) == ("GET", "/v1/topics")
        topics = [{"name": "t", "partition_count": len(self.logs)}]
        return PeerReply(200, {}, msgspec.json.encode({"topics": topics}))

    async def fetch(
        self, address: BrokerAddress, request: FetchRequest, timeout_s: float
    ) -> FetchAnswer:
        self.fetches.append((address, request))
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        answer = self._answer(address, request)
        if _is_empty(answer) and request.max_wait_ms:
            self.waiting += 1
            try:
                async with self.changed:
                    await self.changed.wait()
            finally:
                self.waiting -= 1
            answer = self._answer(address, request)
        return answer

    def _answer(self, address: BrokerAddress, request: FetchRequest) -> FetchAnswer:
        left = request.max_bytes
        results = []
        for entry in request.partitions:
            result = self._read(address, entry, min(left, entry.max_bytes))
            left -= len(result.batches)
            results.append(result)
        return FetchAnswer(results)

    def _read(
        self, address: BrokerAddress, entry: FetchPartition, max_bytes: int
    ) -> FetchedPartition:
        log = self.logs[TopicPartition(entry.topic, entry.partition)]
        error = log.error
        if log.leader != address:
            error = NotLeaderOrFollowerError()
        elif not log.start <= entry.offset <= log.end:
            error = OffsetOutOfRangeError()
        found = b""
        for batch in log.batches if error is None and max_bytes > 0 else ():
            if read_headers(batch)[0].next_offset <= entry.offset:
                continue
            if found and len(found) + len(batch) > max_bytes:
                break
            found += batch
        moved = isinstance(error, NotLeaderOrFollowerError)
        return FetchedPartition(
            entry.topic,
            entry.partition,
            memoryview(found),
            error_code=0 if error is None else error.code,
            high_watermark=log.end,
            log_start_offset=log.start,
            leader_id=log.leader.id if moved else -1,
            leader_url=log.leader.url if moved else "",
        )


def _is_empty(answer: FetchAnswer) -> bool:
    return not any(each.batches or each.error_code for each in answer.partitions)
