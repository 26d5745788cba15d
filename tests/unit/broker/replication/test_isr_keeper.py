"""What leaders propose comes to the store, and what the store says comes to the leaders."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from kafkalite.broker.metadata_view import StateAt, TopicAt
from kafkalite.broker.partition import Partition
from kafkalite.broker.probes import ReplicationProbe
from kafkalite.broker.replication import isr_keeper
from kafkalite.broker.replication.isr_keeper import IsrKeeper
from kafkalite.controller.events import StateChange
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.replication.position import Position
from tests.support.fake_metadata import FakeMetadata, FakeMetadataStore, fake_brokers
from tests.support.partitions import LAG_MS, OTHER_ID, OWN_ID, TOPIC_ID, Logs, led_by

_PARTITIONS = 3


class _Store(FakeMetadataStore):
    """Notes what it is asked to write, and stops on the way when told to."""

    def __init__(self, metadata: FakeMetadata) -> None:
        super().__init__(metadata, metadata.member().view)
        self.asked: list[list[TopicPartition]] = []
        self.gate: asyncio.Event | None = None
        self.leaves_out: set[TopicPartition] = set()
        self.has_a_bug = False

    async def write_isr(
        self, changes: Sequence[StateChange]
    ) -> Mapping[TopicPartition, PartitionState | None]:
        self.asked.append([each.partition for each in changes])
        if self.has_a_bug:
            raise RuntimeError("a bug")
        if self.gate is not None:
            await self.gate.wait()
        known = [each for each in changes if each.partition not in self.leaves_out]
        return await super().write_isr(known)


class _Cluster:
    """Partitions led here with one follower, which the test moves."""

    def __init__(self, logs: Logs) -> None:
        self.clock = logs.clock
        self.metadata = FakeMetadata()
        for broker in fake_brokers([OWN_ID, OTHER_ID]):
            self.metadata.register(broker)
        replicas = (OWN_ID, OTHER_ID)
        topic = Topic("t", TOPIC_ID, dict.fromkeys(range(_PARTITIONS), replicas))
        self.metadata.topics["t"] = TopicAt(topic, self.metadata.next_revision())
        self.store = _Store(self.metadata)
        self.partitions: list[Partition] = []
        self.roles: list[Partition] = []
        self.last_fetch_ms: int | None = None
        self.probe = ReplicationProbe()
        self.keeper = IsrKeeper(
            self,
            self.store,
            self.store.view,
            logs.clock,
            lambda *_: self.last_fetch_ms,
            lag_ms=LAG_MS,
            probe=self.probe,
        )
        for number in range(_PARTITIONS):
            partition = logs.partition(number, on_isr_due=self.keeper.due)
            self.partitions.append(partition)
            self.elect(number, OWN_ID)

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.partitions)

    def role_changed(self, partition: Partition) -> None:
        self.roles.append(partition)

    def elect(self, number: int, leader: BrokerId, *, epoch: int = 0, tell: bool = True) -> None:
        partition = self.partitions[number]
        name = partition.topic_partition
        before = self.metadata.states.get(name)
        version = 0 if before is None else before.state.version + 1
        state = replace(led_by(leader, epoch=epoch, isr=(leader,)), version=version)
        self.metadata.states[name] = StateAt(state, self.metadata.next_revision())
        self.metadata.publish()
        if tell:
            partition.apply(state, (OWN_ID, OTHER_ID))

    def fetch(self, *numbers: int) -> None:
        """The follower has everything, which is nothing."""
        epoch = self.metadata.brokers[OTHER_ID].epoch
        for number in numbers:
            self.partitions[number].read_replica(OTHER_ID, epoch, Position(0, -1, 0), 100)

    def isr(self, number: int) -> tuple[BrokerId, ...]:
        return self.metadata.states[TopicPartition("t", number)].state.isr


def _run(logs: Logs, scenario: Callable[[_Cluster], Awaitable[None]]) -> None:
    async def run() -> None:
        cluster = _Cluster(logs)
        cluster.keeper.start()
        await _turns()
        try:
            await scenario(cluster)
        finally:
            await cluster.keeper.stop()

    asyncio.run(run())


async def _turns(count: int = 10) -> None:
    """Let the keeper do what it can do without time passing."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_changes_that_are_due_together_are_written_together(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.fetch(0, 2)
        await _turns()
        assert cluster.store.asked == [[TopicPartition("t", 0), TopicPartition("t", 2)]]
        assert [cluster.isr(number) for number in range(3)] == [(0, 1), (0,), (0, 1)]
        assert cluster.partitions[0].isr == (0, 1)
        assert (cluster.probe.isr_expands, cluster.probe.isr_shrinks) == (2, 0)

    _run(logs, scenario)


def test_what_becomes_due_while_another_is_written_is_written_next(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.store.gate = asyncio.Event()
        cluster.fetch(0)
        await _turns()
        cluster.fetch(1)
        await _turns()
        assert len(cluster.store.asked) == 1
        cluster.store.gate.set()
        await _turns()
        assert cluster.isr(0) == cluster.isr(1) == (0, 1)

    _run(logs, scenario)


@pytest.mark.slow
def test_followers_that_fall_behind_are_noticed_without_anything_happening(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isr_keeper, "_MAX_CHECK_MS", 10)

    async def scenario(cluster: _Cluster) -> None:
        cluster.fetch(0)
        await _turns()
        assert cluster.isr(0) == (0, 1)
        deadline = asyncio.get_running_loop().time() + 30
        while cluster.isr(0) != (0,):
            cluster.clock.now_ms += 1_000
            await asyncio.sleep(0.02)
            assert asyncio.get_running_loop().time() < deadline
        assert (cluster.probe.isr_expands, cluster.probe.isr_shrinks) == (1, 1)

    _run(logs, scenario)


def test_nothing_is_sent_while_suspended_and_the_rest_follows(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.keeper.suspend()
        cluster.fetch(0)
        await _turns()
        assert cluster.store.asked == []
        cluster.keeper.resume()
        await _turns()
        assert cluster.isr(0) == (0, 1)

    _run(logs, scenario)


def test_change_that_was_under_way_when_the_session_broke_is_tried_as_it_was(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.store.gate = asyncio.Event()
        cluster.fetch(0)
        await _turns()
        cluster.keeper.suspend()
        await _turns()
        leading = cluster.partitions[0].leading
        assert leading is not None
        assert leading.pending is not None
        cluster.store.gate.set()
        cluster.keeper.resume()
        await _turns()
        assert leading.pending is None
        assert cluster.isr(0) == (0, 1)

    _run(logs, scenario)


def test_leader_that_was_replaced_hears_of_it_by_what_it_writes(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.store.gate = asyncio.Event()
        cluster.fetch(0)
        await _turns()
        cluster.elect(0, OTHER_ID, epoch=1, tell=False)
        cluster.store.gate.set()
        await _turns()
        assert cluster.partitions[0].leader_to_follow == OTHER_ID
        assert cluster.roles == [cluster.partitions[0]]
        assert cluster.isr(0) == (OTHER_ID,)
        assert (cluster.probe.isr_expands, cluster.probe.isr_shrinks) == (0, 0)

    _run(logs, scenario)


def test_change_of_which_nothing_is_known_stays_pending_without_being_sent_at_once(
    logs: Logs,
) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.store.leaves_out = {TopicPartition("t", 0)}
        cluster.fetch(0, 1)
        await _turns(50)
        assert len(cluster.store.asked) == 1
        leading = cluster.partitions[0].leading
        assert leading is not None
        assert leading.pending is not None
        assert cluster.isr(1) == (0, 1)

    _run(logs, scenario)


@pytest.mark.parametrize("failure", ["unavailable", "bug"])
def test_store_that_fails_is_tried_again(
    logs: Logs,
    failure: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isr_keeper, "_MAX_CHECK_MS", 10)

    async def scenario(cluster: _Cluster) -> None:
        cluster.store.has_a_bug = failure == "bug"
        cluster.metadata.is_available = False
        cluster.fetch(0)
        await _turns()
        assert cluster.isr(0) == (0,)
        cluster.store.has_a_bug = False
        cluster.metadata.is_available = True
        deadline = asyncio.get_running_loop().time() + 30
        while cluster.isr(0) != (0, 1):
            cluster.clock.now_ms += 10
            await asyncio.sleep(0.02)
            assert asyncio.get_running_loop().time() < deadline

    _run(logs, scenario)
    assert "will be tried again" in caplog.text


def test_partition_of_a_topic_that_is_gone_is_let_be(logs: Logs) -> None:
    async def scenario(cluster: _Cluster) -> None:
        cluster.store.gate = asyncio.Event()
        cluster.fetch(0)
        await _turns()
        del cluster.metadata.states[TopicPartition("t", 0)]
        cluster.store.gate.set()
        await _turns(50)
        assert len(cluster.store.asked) == 1

    _run(logs, scenario)
