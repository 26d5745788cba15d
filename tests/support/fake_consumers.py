"""What a consumer instance lives on, in memory: a group, partitions, a store."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kafkalite.broker.consumers.messenger import Messenger
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView, TopicAt
from kafkalite.broker.partition_read import PartitionRead, ReadPiece
from kafkalite.broker.waiters import ReadWaiters, wait_any
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import InvalidRequestError, LogError, OffsetOutOfRangeError
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.model.offsets import NO_OFFSET, OffsetRange
from kafkalite.model.record import Record
from kafkalite.wire.batch import HEADER_SIZE, read_headers, stamp
from kafkalite.wire.group_messages import (
    LEAVING,
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
    TopicPartitions,
)
from kafkalite.wire.messages import FetchRequest
from kafkalite.wire.records import encode_batch


@dataclass(frozen=True, slots=True)
class FakeCommitted:
    """Implements consumer_ports.Committed."""

    offset: int
    metadata: str = ""


class FakeGroups:
    """Implements consumer_ports.Groups: one group whose one member gets what the test says."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, FakeCommitted] = {}
        self.heartbeats: list[HeartbeatRequest] = []
        self.commits: list[OffsetCommitRequest] = []
        self.refusals: list[LogError] = []
        """Answers to the next heartbeats, before any other."""
        self.commit_refusals: list[LogError] = []
        self.state = "Stable"
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._epoch = 1
        self._news = ReadWaiters()

    def assign(self, *partitions: TopicPartition) -> None:
        """What the member shall have from now on."""
        self._assignment = frozenset(partitions)
        self._epoch += 1
        self._news.wake()

    @property
    def owned(self) -> set[TopicPartition]:
        """What the member said last that it owns."""
        return {
            TopicPartition(each.topic, number)
            for each in self.heartbeats[-1].owned or ()
            for number in each.partitions
        }

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        self.heartbeats.append(request)
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        if request.pattern == "(":
            raise InvalidRequestError("not a pattern")
        if request.max_wait_ms and request.member_epoch == self._epoch:
            await wait_any([self._news], request.max_wait_ms / 1000)
        topics: dict[str, list[int]] = {}
        if request.member_epoch != LEAVING:
            for topic, number in sorted(self._assignment):
                topics.setdefault(topic, []).append(number)
        return HeartbeatResponse(
            request.member_id or "m",
            self._epoch,
            3_000,
            self._epoch,
            self.state,
            [TopicPartitions(topic, numbers) for topic, numbers in topics.items()],
            0,
            "http://localhost",
        )

    async def commit(self, group: str, request: OffsetCommitRequest) -> Sequence[LogError | None]:
        await asyncio.sleep(0)
        if self.commit_refusals:
            raise self.commit_refusals.pop(0)
        self.commits.append(request)
        for each in request.offsets:
            place = TopicPartition(each.topic, each.partition)
            self.offsets[place] = FakeCommitted(each.offset, each.metadata)
        return [None] * len(request.offsets)

    async def committed(self, group: str) -> Mapping[TopicPartition, FakeCommitted]:
        return dict(self.offsets)


class _Piece:
    buffers = ()

    def __init__(self, data: bytes, next_offset: int) -> None:
        self.size = len(data)
        self.next_offset = next_offset
        self.data = data

    def try_read(self) -> bytes | None:
        return self.data

    def read(self) -> bytes:
        return self.data


class FakePartitions:
    """Implements consumer_ports.Reads and Offsets over batches that the test appends."""

    def __init__(self, *partitions: TopicPartition) -> None:
        self._batches: dict[TopicPartition, list[tuple[int, bytes]]] = {
            partition: [] for partition in partitions
        }
        self._ends = dict.fromkeys(partitions, 0)
        self.starts = dict.fromkeys(partitions, 0)
        self._news = ReadWaiters()
        self.fetches: list[FetchRequest] = []
        self.disk: asyncio.Event | None = None
        """What reading waits for; None: nothing."""

    def view(self) -> MetadataView:
        """A picture of a cluster with these partitions."""
        counts: dict[str, int] = {}
        for topic, number in self._ends:
            counts[topic] = max(counts.get(topic, 0), number + 1)
        view = MetadataView()
        view.replace(
            ClusterPicture(
                "cluster",
                topics={
                    name: TopicAt(
                        Topic(name, TopicId(name), {n: (BrokerId(0),) for n in range(count)}), 1
                    )
                    for name, count in counts.items()
                },
            )
        )
        return view

    def append(self, partition: TopicPartition, *records: Record) -> None:
        """One batch."""
        data = encode_batch(list(records), now_ms=1)
        (header,) = read_headers(data)
        assert header.size > HEADER_SIZE
        base = self._ends[partition]
        stamped = stamp(base, header.batch_length, 0) + data[16:]
        self._batches[partition].append((base + len(records), stamped))
        self._ends[partition] = base + len(records)
        self._news.wake()

    def try_fetch(self, request: FetchRequest) -> list[PartitionRead] | None:
        self.fetches.append(request)
        reads = [
            self._read(TopicPartition(each.topic, each.partition), each.offset)
            for each in request.partitions
        ]
        found = sum(read.size for read in reads)
        enough = found >= request.min_bytes or any(read.error for read in reads)
        return reads if enough else None

    async def fetch(self, request: FetchRequest) -> list[PartitionRead]:
        await wait_any([self._news], request.max_wait_ms / 1000)
        return self.try_fetch(request) or []

    async def read_piece(self, piece: ReadPiece) -> bytes:
        await asyncio.sleep(0)
        if self.disk is not None:
            await self.disk.wait()
        return piece.read()

    async def readable(
        self, wanted: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, OffsetRange | LogError]:
        return {each: OffsetRange(self.starts[each], self._ends[each]) for each in wanted}

    async def at_time(
        self, wanted: Iterable[TopicPartition], time_ms: int
    ) -> Mapping[TopicPartition, int | LogError]:
        return dict.fromkeys(wanted, NO_OFFSET)

    def _read(self, partition: TopicPartition, offset: int) -> PartitionRead:
        if not self.starts[partition] <= offset <= self._ends[partition]:
            return PartitionRead(*partition, error=OffsetOutOfRangeError())
        pieces = [_Piece(data, end) for end, data in self._batches[partition] if end > offset]
        return PartitionRead(*partition, pieces, self._ends[partition], 0)


class FakeMessengers:
    """Stands for Messengers: those that the test names are gone."""

    def __init__(self) -> None:
        self.gone: set[Messenger] = set()

    async def is_gone(self, messenger: Messenger) -> bool:
        await asyncio.sleep(0)
        return messenger in self.gone


class FakeInstanceStore:
    """Implements consumer_ports.InstanceStore; shared by the brokers of a test."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], bytes] = {}

    async def save_instance(self, group: str, name: str, payload: bytes) -> None:
        await asyncio.sleep(0)
        self.stored[group, name] = payload

    async def load_instances(self, group: str) -> Mapping[str, bytes]:
        await asyncio.sleep(0)
        return {name: kept for (owner, name), kept in self.stored.items() if owner == group}

    async def delete_instance(self, group: str, name: str) -> None:
        await asyncio.sleep(0)
        self.stored.pop((group, name), None)
