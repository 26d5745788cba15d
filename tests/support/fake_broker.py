"""A broker without disk, network or ZooKeeper, as far as the control plane looks at one.

Topics are the real thing (TopicAdmin, controller and view, on the store in memory); partitions are
a few numbers. `control_plane` gives a client that talks to the application in this process.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import cast

import httpx

from kafkalite.api.control import make_control_app
from kafkalite.api.http.front import HttpFront
from kafkalite.api.http.origins import NO_SITES
from kafkalite.broker.broker import Broker, State
from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.control.reassignment import ReassignmentAdmin
from kafkalite.broker.control.topic_admin import TopicAdmin, TopicDefaults
from kafkalite.broker.log_dirs import LogDirState
from kafkalite.broker.ports import Peers
from kafkalite.broker.probes import DataProbe, ReplicationProbe
from kafkalite.broker.producer_ids import ProducerIds
from kafkalite.config.broker_config import apply_dynamic
from kafkalite.config.keys import BrokerSettings
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model import cluster
from kafkalite.model.cluster import PartitionState
from kafkalite.model.errors import (
    KafkaStorageError,
    LeaderNotAvailableError,
    LogError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.model.offsets import LogOffsets, OffsetRange
from kafkalite.replication.leader_replica import LeaderReplica
from kafkalite.storage.timestamps import TimestampOffset
from kafkalite.transport.errors import PeerError, PeerRefusedError
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest
from tests.support.fake_clock import FakeClock
from tests.support.fake_metadata import FakeMetadata, fake_brokers
from tests.support.fake_peers import SilentPeers
from tests.support.forwarding import forwarding


@dataclass
class FakeLog:
    """Timestamps of records; the offset of each is its index."""

    timestamps: list[int] = field(default_factory=list)
    damaged: tuple[OffsetRange, ...] = ()
    failure: KafkaStorageError | None = None
    size_bytes: int = 0
    producers: tuple[int, ...] = ()
    """Ids of idempotent ones."""

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        return next(
            (TimestampOffset(t, n) for n, t in enumerate(self.timestamps) if t >= timestamp), None
        )

    def max_timestamp_offset(self) -> TimestampOffset | None:
        if not self.timestamps:
            return None
        newest = max(self.timestamps)
        return TimestampOffset(newest, self.timestamps.index(newest))


@dataclass
class FakeSettings:
    """Those of a topic that anybody looks at."""

    min_insync_replicas: int = 1


@dataclass
class FakePartition:
    """A partition's numbers."""

    topic_partition: TopicPartition
    log: FakeLog = field(default_factory=FakeLog)
    start: int = 0
    high_watermark: int = 0
    is_leader: bool = True
    leader_epoch: int = 0
    state: PartitionState | None = None
    isr: tuple[BrokerId, ...] = (BrokerId(0),)
    replicas: tuple[BrokerId, ...] = (BrokerId(0),)
    settings: FakeSettings = field(default_factory=FakeSettings)
    leading: LeaderReplica | None = None
    refusal: LogError | None = None
    """What it says where it does not lead."""

    @property
    def offsets(self) -> LogOffsets:
        return LogOffsets(self.start, self.high_watermark, len(self.log.timestamps))

    def check_leads(self) -> None:
        if not self.is_leader:
            raise self.refusal or LeaderNotAvailableError(f"{self.topic_partition} has no leader")

    def check_offsets_available(self) -> None:
        """They are."""

    def delete_records(self, before: int) -> int:
        if before > self.high_watermark:
            raise OffsetOutOfRangeError(f"not {before}")
        self.start = self.high_watermark if before == -1 else max(before, self.start)
        return self.start


class FakePartitions:
    """The partitions that a test has put there."""

    def __init__(self) -> None:
        self.held: dict[TopicPartition, FakePartition] = {}
        self.failures: dict[TopicPartition, KafkaStorageError] = {}
        self.settled = asyncio.Event()
        self.settled.set()

    async def wait_until_settled(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.settled.wait(), timeout_s)

    def add(
        self,
        topic: str,
        number: int,
        *,
        timestamps: list[int] | None = None,
        high_watermark: int | None = None,
    ) -> FakePartition:
        log = FakeLog(timestamps or [])
        log.size_bytes = 100 * len(log.timestamps)
        readable = len(log.timestamps) if high_watermark is None else high_watermark
        partition = FakePartition(TopicPartition(topic, number), log, high_watermark=readable)
        self.held[partition.topic_partition] = partition
        return partition

    def get(self, topic: str, number: int) -> FakePartition:
        try:
            return self.held[TopicPartition(topic, number)]
        except KeyError:
            raise UnknownTopicOrPartitionError(f"no {topic}-{number}") from None

    def __iter__(self) -> Iterator[FakePartition]:
        return iter(self.held.values())

    def __len__(self) -> int:
        return len(self.held)


class FakeLogDirs:
    """Log directories that a test describes."""

    def __init__(self) -> None:
        self.states: list[LogDirState] = []

    async def describe(self, topics: Collection[str] | None = None) -> list[LogDirState]:
        return [
            state._replace(
                replicas=[
                    r for r in state.replicas if topics is None or r.partition.topic in topics
                ]
            )
            for state in self.states
        ]


class FakeControllerClient:
    """A controller that gives the answer which a test has chosen."""

    def __init__(self) -> None:
        self.asked: list[ControllerRequest] = []
        self.reply = ControllerReply()

    async def ask(self, request: ControllerRequest) -> ControllerReply:
        self.asked.append(request)
        return self.reply


class FakePeers:
    """Other brokers, all of which give the answer, or the error, that a test has chosen."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, str]] = []
        self.reply: PeerReply | PeerError = PeerRefusedError("nobody listens")

    async def request(
        self,
        broker: cluster.Broker,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        del headers, body, timeout_s
        self.asked.append((broker.id, method, target))
        if isinstance(self.reply, PeerError):
            raise self.reply
        return self.reply


@dataclass
class FakeReplication:
    """Replicates nothing."""

    probe: ReplicationProbe = field(default_factory=ReplicationProbe)


class FakeBroker:
    """Broker 0 of a cluster of `brokers`; the others live in the metadata only."""

    def __init__(self, *, brokers: int = 1, settings: Mapping[str, object] | None = None) -> None:
        self.id = BrokerId(0)
        self.state: State = "running"
        self.metadata = FakeMetadata()
        self.member = self.metadata.member()
        for broker in fake_brokers(range(brokers)):
            self.metadata.register(broker)
        self.view = self.member.view
        self.probe = DataProbe()
        self.replication = FakeReplication()
        self.partitions = FakePartitions()
        self.streams: Sequence[object] = ()
        self.tails: Sequence[object] = ()
        self.record_streams: Sequence[object] = ()
        self._static = BrokerSettings.model_validate(
            {"zookeeper_connect": "nowhere:2181", "broker_id": 0, **(settings or {})}
        )
        self.topics = TopicAdmin(
            self.view,
            self.member,
            defaults=lambda: TopicDefaults(1, 1),
            deletes_topics=lambda: self.settings.delete_topic_enable,
            random=Random(1),
        )
        self.producer_ids = ProducerIds(lambda: self.member.claim_producer_ids(self.id))
        self.reassignments = ReassignmentAdmin(self.view, self.member, Random(1))
        self.log_dirs = FakeLogDirs()
        self.controller_client = FakeControllerClient()
        self.peers = FakePeers()
        self.forwarding = forwarding(self.view, cast("Peers", self.peers))
        self.controller = ControllerDriver(
            self.view,
            self.member,
            lambda: self.id,
            clock=FakeClock(),
            policy=lambda: ControllerPolicy(deletes_topics=self.settings.delete_topic_enable),
            peers=SilentPeers(),
        )

    @property
    def settings(self) -> BrokerSettings:
        configs = self.view.broker_configs
        return apply_dynamic(
            self._static, configs.get("<default>", {}), configs.get(str(self.id), {})
        )

    def not_ready_reasons(self) -> list[str]:
        return [] if self.state == "running" else [f"the broker is {self.state}"]


@asynccontextmanager
async def control_plane(broker: FakeBroker) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the control plane of `broker`, as it is served; the controller runs meanwhile.

    An exception that leaves the application is raised here: a broker must never let one out.
    """
    app = HttpFront(make_control_app(cast("Broker", broker)), NO_SITES, 1024)
    broker.controller.start()
    try:
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:
            yield client
    finally:
        await broker.controller.stop()
