"""Brokers that replicate within one process: real logs, sessions and loops, and no network."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from kafkalite.broker.metadata_view import ClusterUpdate, MetadataView
from kafkalite.broker.partition import Partition, PartitionOptions
from kafkalite.broker.partition_read import PartitionRead
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.broker.replication.replica_fetcher import ReplicaFetchers
from kafkalite.broker.replication.replica_sessions import ReplicaAnswer, ReplicaSessions
from kafkalite.config.setting import MAX_LONG
from kafkalite.config.topic_config import topic_settings
from kafkalite.config.views import FlushPolicy, ReplicaOptions
from kafkalite.model.cluster import Broker, PartitionState
from kafkalite.model.errors import UnknownTopicOrPartitionError
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition
from kafkalite.storage.log_directories import LogDirectories
from kafkalite.transport.errors import PeerRefusedError
from kafkalite.wire.messages import FetchRequest, FetchResponse, FetchResult
from kafkalite.wire.records import decode_batches
from tests.support.fake_clock import FakeClock
from tests.support.fake_peers import SilentPeers
from tests.support.faulty_disk import FaultyDisk
from tests.support.logs import LOGS, TOPIC_ID
from tests.support.partitions import LAG_MS, NOW_MS, batch_of, broker_settings

TOPIC = "t"
_MAX_BYTES = 1 << 24
_FIELDS_OF_ERRORS = frozenset({"log_start_offset", "high_watermark", "leader_id"})


def state(leader: int, epoch: int = 0, isr: tuple[int, ...] = (0, 1)) -> PartitionState:
    ids = tuple(map(BrokerId, isr))
    return PartitionState(BrokerId(leader), LeaderEpoch(epoch), ids, ControllerEpoch(1), epoch)


class ReplicatingBroker:
    """One broker: partitions, each flushed a turn of the loop after it asks; sessions; fetchers."""

    def __init__(self, number: int, cluster: "Cluster") -> None:
        self.id = BrokerId(number)
        self.disk = FaultyDisk()
        self.options = cluster.options
        self.flushes = True
        """Whether what asks for a flush gets one."""
        self.waiting: list[Partition] = []
        """Who asked for a flush and did not get it."""
        self.throttled_rate = MAX_LONG
        self.refused: list[int] = []
        self._cluster = cluster
        self._directories = LogDirectories([LOGS], self.disk)
        self._directories.open()
        self._directories.assign(number, "cluster")
        self._partitions: dict[int, Partition] = {}
        self.probe = ReplicationProbe()
        self.sessions = ReplicaSessions(
            cast("PartitionTable", self), cluster.view, cluster.clock, self.probe,
            max_bytes=_MAX_BYTES, max_wait_ms=60_000, throttled_rate=lambda: self.throttled_rate,
        )  # fmt: skip
        self.fetchers = ReplicaFetchers(
            cluster.view, cluster, cluster.clock, self.probe,
            own_id=lambda: self.id, options=cluster.options,
            throttled_rate=lambda: self.throttled_rate,
            on_refused=lambda broker: self.refused.append(broker.id),
        )  # fmt: skip

    def start(self) -> None:
        self.sessions.start()
        self.fetchers.start()

    async def stop(self) -> None:
        await self.fetchers.stop()
        self.sessions.close()
        self._directories.close()

    def replace(self, number: int, topic_id: TopicId) -> Partition:
        """Its topic was deleted, and is created anew."""
        partition = self._partitions.pop(number)
        partition.close(UnknownTopicOrPartitionError("it is gone"))
        self.fetchers.update(partition)
        self._directories.remove_log(partition.log)
        return self.add(number, topic_id=topic_id)

    def add(
        self, number: int = 0, config: dict[str, str] | None = None, *, topic_id: TopicId = TOPIC_ID
    ) -> Partition:
        """A new partition, of which nothing is known yet."""
        settings = topic_settings(broker_settings(LOGS), config or {})
        log = self._directories.create_log(
            TopicPartition(TOPIC, number), topic_id, settings.log_options, is_new=True
        )
        partition = self._partitions[number] = Partition(
            log,
            settings,
            PartitionOptions(self._cluster.policy, LAG_MS),
            self.id,
            self._cluster.clock,
            initial_high_watermark=0,
            on_append=lambda partition, _: self._on_append(partition),
            on_isr_due=lambda _: None,
        )
        return partition

    def apply(self, number: int, new: PartitionState) -> None:
        """What the partition table does with a state."""
        partition = self._partitions[number]
        partition.apply(new, (BrokerId(0), BrokerId(1), BrokerId(2)))
        self.fetchers.update(partition)

    def __getitem__(self, number: int) -> Partition:
        return self._partitions[number]

    def get(self, topic: str, number: int) -> Partition:
        """As a PartitionTable gives it."""
        if number not in self._partitions:
            raise UnknownTopicOrPartitionError(f"there is no {topic}-{number}")
        return self._partitions[number]

    def append(self, *values: bytes, number: int = 0) -> None:
        batch, header = batch_of(*values)
        self[number].append(batch, [header], acks_all=False)

    def values(self, number: int = 0) -> list[bytes | None]:
        """All that the log holds."""
        log = self[number].log
        found: list[bytes | None] = []
        offset = log.start_offset
        while offset < log.end_offset:
            read = log.read(offset, 1 << 20, log.end_offset)
            found += [each.value for each in decode_batches(read.read(), max_bytes=_MAX_BYTES)]
            offset = read.next_offset
        return found

    def _on_append(self, partition: Partition) -> None:
        if self.flushes:
            asyncio.get_running_loop().call_soon(self.flush, partition)
        else:
            self.waiting.append(partition)

    def flush(self, partition: Partition) -> None:
        job = partition.log.flush_job()
        if job is not None:
            job.run()
            partition.log.flushed(job, None)
            partition.on_flushed()


class Cluster(SilentPeers):
    """Brokers on one clock, and the way between them: it implements Peers."""

    def __init__(
        self,
        count: int = 2,
        *,
        policy: FlushPolicy = FlushPolicy.COMMIT,
        options: ReplicaOptions | None = None,
    ) -> None:
        self.clock = FakeClock(NOW_MS)
        self.policy = policy
        self.options = options or ReplicaOptions(backoff_max_ms=20, wait_max_ms=60_000)
        self.view = MetadataView()
        self.requests: list[tuple[int, FetchRequest]] = []
        """To whom, and what."""
        self.refuses_fetches_to: set[int] = set()
        self.alter: Callable[[FetchResponse], FetchResponse] = lambda answer: answer
        """What becomes of an answer on its way."""
        self.brokers = [ReplicatingBroker(number, self) for number in range(count)]
        self.register(*range(count))
        for broker in self.brokers:
            broker.start()

    def register(self, *numbers: int, epoch: int = 100) -> None:
        """These, and no others, are registered."""
        self.view.apply(
            ClusterUpdate(
                brokers={
                    BrokerId(each): Broker(BrokerId(each), f"host{each}", 9092, epoch=epoch)
                    for each in numbers
                }
            )
        )

    async def stop(self) -> None:
        for broker in self.brokers:
            await broker.stop()

    def __getitem__(self, number: int) -> ReplicatingBroker:
        return self.brokers[number]

    def replicate(
        self, number: int = 0, *, leader: int = 0, isr: tuple[int, ...] = (0, 1),
        config: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """A new partition on all brokers."""
        for broker in self.brokers:
            broker.add(number, config)
        self.elect(leader, number=number, isr=isr)

    def elect(
        self, leader: int, epoch: int = 0, *, number: int = 0, isr: tuple[int, ...] = (0, 1)
    ) -> None:
        """All hear of a state, the leader first."""
        new = state(leader, epoch, isr)
        for broker in sorted(self.brokers, key=lambda broker: broker.id != leader):
            broker.apply(number, new)

    async def fetch(self, broker: Broker, request: FetchRequest, timeout_s: float) -> FetchResponse:
        self.requests.append((broker.id, request))
        if broker.id in self.refuses_fetches_to:
            raise PeerRefusedError("nobody listens")
        # As over a wire: nothing is shared, and nothing arrives at once.
        await asyncio.sleep(0)
        request = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=FetchRequest)
        answer = response_of(await self[broker.id].sessions.fetch(request))
        answer = msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=FetchResponse)
        return self.alter(answer)


def response_of(answer: ReplicaAnswer) -> FetchResponse:
    """What `api/data_plane/fetch.py` makes of an answer."""
    error = answer.error
    results = [_result_of(read) for read in answer.reads]
    if error is None:
        return FetchResponse(partitions=results)
    return FetchResponse(
        error_code=error.code, error=error.name, message=error.detail, partitions=results
    )


def _result_of(read: PartitionRead) -> FetchResult:
    fields: dict[str, Any] = {
        "high_watermark": read.high_watermark,
        "log_start_offset": read.log_start_offset,
    }
    if read.error is not None:
        fields = {"error_code": read.error.code, "error": read.error.name}
        fields |= {
            key: value for key, value in read.error.extra.items() if key in _FIELDS_OF_ERRORS
        }
    return FetchResult(
        read.topic,
        read.partition,
        leader_epoch=read.leader_epoch,
        diverging_epoch=read.diverging_epoch,
        diverging_end_offset=read.diverging_end_offset,
        batches=b"".join(piece.read() for piece in read.pieces),
        **fields,
    )


async def until(condition: Callable[[], bool], turns: int = 20_000) -> None:
    """Let the loop turn until `condition` holds; nothing here waits for a real clock for long."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def settle(turns: int = 50) -> None:
    """Let everything that can happen at once happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


def run_cluster(
    test: Callable[[Cluster], Awaitable[None]], cluster_of: Callable[[], Cluster] = Cluster
) -> None:
    """Run a test with a cluster that is stopped whatever comes."""

    async def run() -> None:
        cluster = cluster_of()
        try:
            await test(cluster)
        finally:
            await cluster.stop()

    asyncio.run(run())
