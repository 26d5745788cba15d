"""Requests to move partitions, with a store in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random

import pytest

from kafkalite.broker.control.reassignment import ReassignmentAdmin
from kafkalite.broker.metadata_view import StateAt
from kafkalite.broker.ports import ControllerClaim
from kafkalite.model.cluster import PartitionState, Topic
from kafkalite.model.errors import (
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    LogError,
    NoReassignmentInProgressError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition
from tests.support.fake_metadata import FakeMetadata, fake_brokers

_T0, _T1, _U0 = (TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0))


class Cluster:
    """Brokers 0 to 3, topic t with two partitions and u with one, all on 0 and 1."""

    def __init__(self) -> None:
        self.metadata = FakeMetadata()
        self.store = self.metadata.member()
        for broker in fake_brokers(range(4)):
            self.metadata.register(replace(broker, rack=f"r{broker.id % 2}"))
        self.admin = ReassignmentAdmin(self.store.view, self.store, Random(1))

    async def fill(self) -> None:
        both = (BrokerId(0), BrokerId(1))
        await self.store.create_topic(Topic("t", TopicId("T"), {0: both, 1: both}, {"a": "b"}))
        await self.store.create_topic(Topic("u", TopicId("U"), {0: both}))

    def topic(self, name: str = "t") -> Topic:
        return self.store.view.topics[name]

    async def complete(self, leader: int, *isr: int) -> None:
        """Do what the controller does once the replicas are in sync, for partition 0 of t."""
        claim = await self.store.claim(BrokerId(0))
        assert isinstance(claim, ControllerClaim)
        ids = tuple(map(BrokerId, isr))
        state = PartitionState(BrokerId(leader), LeaderEpoch(1), ids, ControllerEpoch(1))
        self.metadata.states[_T0] = StateAt(state, self.metadata.next_revision())
        await self.store.complete_reassignment(claim, "t", [0])


def _run(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    async def run() -> None:
        cluster = Cluster()
        await cluster.fill()
        await scenario(cluster)

    asyncio.run(run())


def _refused(error: LogError | None) -> tuple[str, str]:
    assert error is not None
    return error.name, error.detail


def test_partitions_begin_to_move_and_are_listed() -> None:
    async def scenario(cluster: Cluster) -> None:
        assert await cluster.admin.moves() == []
        outcomes = await cluster.admin.execute({_U0: [3, 2], _T0: [2, 1]})
        assert outcomes == {_T0: None, _U0: None}
        assert await cluster.admin.moves() == [
            (_T0, (2, 1, 0), (2,), (0,)),
            (_U0, (3, 2, 0, 1), (3, 2), (0, 1)),
        ]
        assert cluster.topic().assignment[1] == (0, 1)
        assert cluster.topic().config == {"a": "b"}

    _run(scenario)


def test_a_new_target_replaces_the_old_one() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.admin.execute({_T0: [2, 1]})
        assert await cluster.admin.execute({_T0: [3, 1]}) == {_T0: None}
        assert cluster.topic().target(0) == (3, 1)

    _run(scenario)


def test_each_partition_is_refused_by_itself() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.store.request_topic_deletion("u")
        wanted: dict[TopicPartition, Sequence[int]] = {
            _T0: [2],
            _T1: [],
            TopicPartition("t", 9): [0],
            _U0: [1],
            TopicPartition("nope", 0): [0],
        }
        outcomes = dict(await cluster.admin.execute(wanted))
        assert outcomes.pop(_T0) is None
        unknown = UnknownTopicOrPartitionError.name
        assert {str(p): _refused(error) for p, error in outcomes.items()} == {
            "t-1": (
                InvalidReplicaAssignmentError.name,
                "Empty replica list specified in partition reassignment.",
            ),
            "t-9": (unknown, "The partition does not exist."),
            "u-0": (unknown, "The topic is being deleted."),
            "nope-0": (unknown, "The partition does not exist."),
        }
        assert cluster.topic().moving == {0}

    _run(scenario)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ([2, 2], "Duplicate replica ids in partition reassignment replica list: 2,2"),
        (
            [0, 9],
            "Replica assignment has brokers that are not alive. Replica list: 0,9, "
            "live broker list: 0,1,2,3",
        ),
    ],
)
def test_a_target_that_cannot_be_is_refused(target: list[int], reason: str) -> None:
    async def scenario(cluster: Cluster) -> None:
        outcomes = await cluster.admin.execute({_T0: target})
        assert _refused(outcomes[_T0]) == (InvalidReplicaAssignmentError.name, reason)
        assert not cluster.topic().moving

    _run(scenario)


def test_a_dead_broker_that_is_a_replica_already_may_stay_one() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.unregister(BrokerId(1))
        assert await cluster.admin.execute({_T0: [2, 1]}) == {_T0: None}

    _run(scenario)


def test_a_broker_that_has_just_come_is_known() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.lagging.append(cluster.store.view)
        for broker in fake_brokers([7]):
            cluster.metadata.register(broker)
        assert await cluster.admin.execute({_T0: [7]}) == {_T0: None}
        assert (await cluster.admin.moves())[0].adding == (7,)

    _run(scenario)


def test_what_was_begun_elsewhere_a_moment_ago_is_listed() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.lagging.append(cluster.store.view)
        elsewhere = cluster.metadata.member()
        await ReassignmentAdmin(elsewhere.view, elsewhere, Random(1)).execute({_T0: [2]})
        assert [found.partition for found in await cluster.admin.moves()] == [_T0]

    _run(scenario)


def test_a_cancelled_move_ends_where_it_began() -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.admin.execute({_T0: [2, 3]})
        cancelling = asyncio.create_task(cluster.admin.cancel(None, timeout_ms=5_000))
        await cluster.store.view.wait_until(lambda: cluster.topic().target(0) == (0, 1), 5)
        assert not cancelling.done()
        await cluster.complete(0, 0, 1)
        assert await cancelling == {_T0: None}
        assert cluster.topic().assignment[0] == (0, 1)
        assert not cluster.topic().moving

    _run(scenario)


def test_what_does_not_move_cannot_be_cancelled() -> None:
    async def scenario(cluster: Cluster) -> None:
        outcomes = await cluster.admin.cancel([_T0, TopicPartition("nope", 0)], timeout_ms=0)
        assert _refused(outcomes[_T0]) == (
            NoReassignmentInProgressError.name,
            "No reassignment is in progress.",
        )
        assert isinstance(outcomes[TopicPartition("nope", 0)], UnknownTopicOrPartitionError)
        assert await cluster.admin.cancel(None, timeout_ms=0) == {}

    _run(scenario)


def test_a_store_that_does_not_answer_is_a_time_out() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.is_available = False
        with pytest.raises(RequestTimedOutError, match="could not be confirmed"):
            await cluster.admin.execute({_T0: [2]})

    _run(scenario)


def test_a_proposal_spreads_topics_over_the_named_brokers() -> None:
    async def scenario(cluster: Cluster) -> None:
        proposed = cluster.admin.propose(["t", "u"], [2, 3], rack_aware=True)
        assert set(proposed) == {"t", "u"}
        assert {tuple(sorted(replicas)) for replicas in proposed["t"].values()} == {(2, 3)}
        assert {replicas[0] for replicas in proposed["t"].values()} == {2, 3}
        assert not await cluster.admin.moves()

    _run(scenario)


def test_a_proposal_needs_brokers_topics_and_racks_that_are_there() -> None:
    async def scenario(cluster: Cluster) -> None:
        for topics, brokers, error, text in (
            (["t"], [0, 9], InvalidReplicaAssignmentError, "Unknown broker id 9"),
            (["nope"], [0, 1], UnknownTopicOrPartitionError, "Topic nope not found."),
            (["t"], [0], InvalidReplicationFactorError, "larger than available brokers: 1"),
        ):
            with pytest.raises(error, match=text):
                cluster.admin.propose(topics, brokers, rack_aware=True)
        for broker in fake_brokers([5]):
            cluster.metadata.register(broker)
        with pytest.raises(InvalidReplicaAssignmentError, match="--disable-rack-aware"):
            cluster.admin.propose(["t"], [0, 5], rack_aware=True)
        assert cluster.admin.propose(["t"], [0, 5], rack_aware=False)

    _run(scenario)
