"""Replicas that lost something: whom the controller is told of, when, and how often."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kafkalite.broker.healing import Healing
from kafkalite.broker.metadata_view import (
    ClusterPicture,
    MetadataView,
    StateAt,
    TopicAt,
)
from kafkalite.broker.partition import Partition
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import EligibleLeadersNotAvailableError, KafkaStorageError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.wire.controller_messages import ControllerReply, ControllerRequest, ReplicaDamaged
from tests.support.partitions import OTHER_ID, OWN_ID, TOPIC_ID, Logs, batch_of, flush, led_by

_T0 = TopicPartition("t", 0)
_FAILURE = KafkaStorageError("Log directory /one failed: it burned")


class _Controller:
    """Notes what it is asked, and gives the answer that a test has chosen."""

    def __init__(self) -> None:
        self.asked: list[ControllerRequest] = []
        self.reply = ControllerReply()

    async def ask(self, request: ControllerRequest) -> ControllerReply:
        self.asked.append(request)
        return self.reply


class _Table:
    def __init__(self) -> None:
        self.failed: dict[TopicPartition, KafkaStorageError] = {}
        self.held: list[Partition] = []

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.held)

    @property
    def failures(self) -> Mapping[TopicPartition, KafkaStorageError]:
        return self.failed


class _Healing:
    """A Healing, and all that it looks at."""

    def __init__(self) -> None:
        self.controller = _Controller()
        self.table = _Table()
        self.view = MetadataView()
        self.healing = Healing(self.table, self.view, self.controller.ask, lambda: OWN_ID)

    @property
    def asked(self) -> list[ControllerRequest]:
        return self.controller.asked

    def look(self, partition: Partition | None = None, *, times: int = 1) -> None:
        if partition is not None:
            self.healing.look(partition)
        for _ in range(times):
            asyncio.run(self.healing.look_at_all())


def _of(epoch: int) -> ReplicaDamaged:
    return ReplicaDamaged("t", 0, OWN_ID, epoch)


def _with_damage(logs: Logs) -> Partition:
    partition = logs.led()
    for value in (b"a" * 100, b"b" * 100, b"c" * 100):
        batch, header = batch_of(value)
        partition.append(batch, [header], acks_all=False)
    flush(partition)
    path: Path = next(partition.log.directory.glob("*.log"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    partition.log.inspect(1)
    assert partition.log.damaged
    return partition


def test_damaged_leader_tells_the_controller_once_as_long_as_nothing_changes(logs: Logs) -> None:
    healing, partition = _Healing(), _with_damage(logs)
    partition.apply(led_by(OWN_ID, epoch=3, isr=(0, 1)))
    for _ in range(3):
        healing.look(partition)
    assert healing.asked == [_of(3)]


def test_controller_is_told_again_after_a_while_if_nothing_came_of_it(logs: Logs) -> None:
    healing, partition = _Healing(), _with_damage(logs)
    partition.apply(led_by(OWN_ID, epoch=3, isr=(0, 1)))
    error = EligibleLeadersNotAvailableError("not now")
    healing.controller.reply = ControllerReply(error.code, error.name, error.detail)
    healing.look(partition, times=10)
    assert healing.asked == [_of(3)]
    healing.look(times=10)
    assert healing.asked == [_of(3)] * 2


def test_alone_in_sync_it_says_so_once_and_asks_when_there_is_another(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    healing, partition = _Healing(), _with_damage(logs)
    healing.look(partition, times=50)
    assert healing.asked == []
    assert caplog.text.count("no other replica is in sync") == 1
    assert "[1, 2)" in caplog.text
    partition.apply(led_by(OWN_ID, epoch=0, isr=(0, 1)))
    healing.look(partition)
    assert healing.asked == [_of(0)]


def test_damaged_follower_needs_no_controller(logs: Logs) -> None:
    healing, partition = _Healing(), _with_damage(logs)
    partition.apply(led_by(OTHER_ID, epoch=1, isr=(1, 0)))
    healing.look(partition, times=20)
    assert healing.asked == []


@pytest.mark.parametrize("leader", [OWN_ID, OTHER_ID])
def test_replica_whose_log_failed_tells_the_controller_whether_it_leads_or_not(
    logs: Logs, leader: BrokerId
) -> None:
    healing, partition = _Healing(), logs.partition()
    partition.apply(led_by(leader, epoch=2, isr=(0, 1)))
    healing.look(partition)
    assert healing.asked == []
    partition.log.fail(_FAILURE)
    healing.look(partition)
    assert healing.asked == [_of(2)]


def test_follower_that_takes_nothing_leaves_the_isr_unless_it_soon_does(logs: Logs) -> None:
    healing, partition = _Healing(), logs.partition()
    healing.table.held.append(partition)
    partition.apply(led_by(OTHER_ID, epoch=2, isr=(1, 0)))
    healing.look()
    assert healing.asked == []
    partition.refusal = KafkaStorageError("full")
    healing.look(times=3)
    assert healing.asked == [_of(2)]
    partition.apply(led_by(OTHER_ID, epoch=3, isr=(1,)))
    partition.refusal = None
    healing.look()
    partition.apply(led_by(OTHER_ID, epoch=3, isr=(1, 0)))
    healing.look(times=20)
    assert healing.asked == [_of(2)]


def test_replica_that_is_not_in_sync_has_nothing_to_tell(logs: Logs) -> None:
    healing, partition = _Healing(), logs.partition()
    partition.apply(led_by(OTHER_ID, epoch=2, isr=(1,)))
    partition.log.fail(_FAILURE)
    healing.look(partition, times=20)
    assert healing.asked == []


def test_log_that_healed_is_looked_at_no_more(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    healing, partition = _Healing(), _with_damage(logs)
    partition.apply(led_by(OWN_ID, epoch=1, isr=(0, 1)))
    healing.look(partition)
    partition.apply(led_by(OTHER_ID, epoch=2, isr=(1,)))
    partition.log.truncate_to(1)
    healing.look(times=3)
    assert caplog.text.count("t-0 is sound again") == 1
    partition.apply(led_by(OWN_ID, epoch=3, isr=(1, 0)))
    healing.look(partition, times=20)
    assert healing.asked == [_of(1)]


def _picture(state: PartitionState) -> ClusterPicture:
    topic = Topic("t", TOPIC_ID, {0: (OWN_ID, OTHER_ID)})
    return ClusterPicture(
        "cluster", topics={"t": TopicAt(topic, 1)}, states={_T0: StateAt(state, 2)}
    )


@pytest.mark.parametrize("isr", [(0, 1), (1,)])
def test_partition_that_cannot_be_opened_leaves_the_isr(isr: tuple[int, ...]) -> None:
    healing = _Healing()
    healing.view.replace(_picture(led_by(OTHER_ID, epoch=5, isr=isr)))
    healing.table.failed[_T0] = _FAILURE
    healing.look(times=3)
    assert healing.asked == ([_of(5)] if OWN_ID in isr else [])


def test_it_looks_when_it_is_told_to_and_goes_on_after_a_bug(logs: Logs) -> None:
    healing, partition = _Healing(), _with_damage(logs)
    partition.apply(led_by(OWN_ID, epoch=3, isr=(0, 1)))

    async def scenario() -> None:
        told = asyncio.Event()
        tries = 0

        async def ask(request: ControllerRequest) -> ControllerReply:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise RuntimeError("a bug")
            healing.asked.append(request)
            told.set()
            return ControllerReply()

        running = Healing(healing.table, healing.view, ask, lambda: OWN_ID)
        running.start()
        running.look(partition)
        await asyncio.sleep(0)
        running.look(partition)
        await asyncio.wait_for(told.wait(), 30)
        await running.stop()

    asyncio.run(scenario())
    assert healing.asked == [_of(3)]
