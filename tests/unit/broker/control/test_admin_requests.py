"""Requests that older tools leave in the store, carried out by a controller; a store in memory."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from random import Random

import pytest

from kafkalite.broker.control import admin_requests
from kafkalite.broker.control.controller_driver import ControllerDriver
from kafkalite.broker.control.reassignment import ReassignmentAdmin
from kafkalite.broker.ports import ControllerClaim, StoreConflictError, TopicUpdate
from kafkalite.controller.events import StateChange
from kafkalite.controller.policy import ControllerPolicy
from kafkalite.model.admin_requests import NO_REQUESTS, ElectionRequest, ReassignmentRequest
from kafkalite.model.cluster import Topic
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from tests.support.fake_clock import FakeClock
from tests.support.fake_metadata import FakeMetadata, FakeMetadataStore, fake_brokers
from tests.support.fake_peers import SilentPeers

_T0, _T1, _NONE = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("nowhere", 7)
_DEADLINE_S = 5.0


def _ids(*brokers: int) -> tuple[BrokerId, ...]:
    return tuple(map(BrokerId, brokers))


class Cluster:
    """Brokers 0 to 2, of which 0 or 1 rules, and topic t with two partitions on 0 and 1."""

    def __init__(self, store: FakeMetadataStore | None = None) -> None:
        self.store = store or FakeMetadata().member()
        self.metadata = self.store.metadata
        for broker in fake_brokers(range(3)):
            self.metadata.register(broker)
        self.driver = self.member(0, self.store)

    def member(self, broker: int, store: FakeMetadataStore) -> ControllerDriver:
        return ControllerDriver(
            store.view,
            store,
            lambda: BrokerId(broker),
            clock=FakeClock(),
            policy=lambda: ControllerPolicy(rebalances_leaders=False),
            peers=SilentPeers(),
        )

    async def begin(self) -> None:
        self.driver.start()
        both = {0: _ids(0, 1), 1: _ids(1, 0)}
        await self.store.create_topic(Topic("t", TopicId("T"), both))
        await self.until(lambda: len(self.store.view.states) == 2)

    async def until(self, holds: Callable[[], bool]) -> None:
        assert await self.store.view.wait_until(holds, _DEADLINE_S)

    @property
    def topic(self) -> Topic:
        return self.store.view.topics["t"]

    @property
    def moves(self) -> Mapping[TopicPartition, tuple[BrokerId, ...]] | None:
        request = self.store.view.admin_requests.reassignment
        return None if request is None else request.targets

    async def catch_up_with(self, partition: TopicPartition, *isr: int) -> None:
        """The leader takes new members into the ISR."""
        state = self.store.view.states[partition]
        grown = StateChange(partition, replace(state, isr=_ids(*isr)), state.version)
        await self.store.write_isr([grown])


def _run(scenario: Callable[[Cluster], Awaitable[None]], cluster: Cluster | None = None) -> None:
    async def run() -> None:
        running = cluster or Cluster()
        await running.begin()
        await scenario(running)
        await running.driver.stop()

    asyncio.run(run())


def test_partitions_leave_the_list_as_they_arrive_and_then_it_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.ask(moves={_T0: _ids(2, 1), _T1: _ids(2)})
        await cluster.until(lambda: cluster.topic.moving == {0, 1})
        assert cluster.topic.assignment == {0: _ids(2, 1, 0), 1: _ids(2, 1, 0)}
        assert cluster.moves == {_T0: _ids(2, 1), _T1: _ids(2)}
        await cluster.catch_up_with(_T1, 1, 0, 2)
        await cluster.until(lambda: cluster.moves == {_T0: _ids(2, 1)})
        assert cluster.topic.assignment[1] == _ids(2)
        await cluster.catch_up_with(_T0, 0, 1, 2)
        await cluster.until(lambda: cluster.moves is None)
        assert cluster.topic.assignment[0] == _ids(2, 1)

    _run(scenario)
    assert "Reassigned as asked for: t-0" in caplog.text


def test_what_cannot_be_moved_is_skipped_with_a_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.ask(moves={_NONE: _ids(1), _T0: _ids(9), _T1: _ids(0, 1)})
        await cluster.until(lambda: cluster.moves is None)
        assert cluster.topic.assignment == {0: _ids(0, 1), 1: _ids(0, 1)}

    _run(scenario)
    assert (
        "The reassignment of partition 'nowhere-7' is skipped: The partition does not exist."
        in caplog.text
    )
    assert "of partition 't-0' is skipped: Replica assignment has brokers that" in caplog.text


def test_a_topic_that_the_view_does_not_show_yet_is_not_taken_for_unknown() -> None:
    async def scenario(cluster: Cluster) -> None:
        metadata, view = cluster.metadata, cluster.store.view
        other = metadata.member()
        metadata.lagging.append(view)
        await other.create_topic(Topic("new", TopicId("N"), {0: _ids(0)}))
        new = TopicPartition("new", 0)
        metadata.ask(moves={new: _ids(1)})
        # The request is heard of first.
        view.replace(replace(metadata.picture(), topics={"t": metadata.topics["t"]}))
        metadata.lagging.remove(view)
        await cluster.until(lambda: "new" in view.topics and view.topics["new"].moving == {0})

    _run(scenario)


def test_nonsense_is_removed_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.ask(moves={}, elections=(), problem="It is no JSON.")
        await cluster.until(lambda: cluster.store.view.admin_requests == NO_REQUESTS)

    _run(scenario)
    assert "A reassignment is not carried out, and removed: It is no JSON." in caplog.text
    assert "An election is not carried out, and removed: It is no JSON." in caplog.text


def test_a_new_controller_goes_on_with_the_list() -> None:
    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.ask(moves={_T0: _ids(2, 1), _T1: _ids(2)})
        await cluster.until(lambda: cluster.topic.moving == {0, 1})
        await cluster.driver.stop()
        cluster.metadata.controller = None
        # Written while nobody rules: one more, and nothing that was begun.
        cluster.metadata.ask(1, moves={_T0: _ids(2, 1), _T1: _ids(0)})
        successor = cluster.member(1, cluster.metadata.member())
        successor.start()
        await cluster.until(lambda: cluster.topic.target(1) == _ids(0))
        await cluster.catch_up_with(_T0, 0, 1, 2)
        await cluster.until(lambda: cluster.moves is None)
        assert cluster.topic.assignment == {0: _ids(2, 1), 1: _ids(0)}
        await successor.stop()

    _run(scenario)


def test_who_moves_or_cancels_otherwise_takes_the_partition_from_the_list() -> None:
    async def scenario(cluster: Cluster) -> None:
        admin = ReassignmentAdmin(cluster.store.view, cluster.store, Random(1))
        cluster.metadata.ask(moves={_T0: _ids(2, 1), _T1: _ids(2)})
        await cluster.until(lambda: cluster.topic.moving == {0, 1})
        await admin.execute({_T1: [9]})  # refused: the list stays
        assert cluster.moves == {_T0: _ids(2, 1), _T1: _ids(2)}
        await admin.cancel([_T0], timeout_ms=5_000)
        assert cluster.moves == {_T1: _ids(2)}
        assert cluster.topic.target(0) == _ids(1, 0)
        await admin.execute({_T1: [0, 2]})
        await cluster.until(lambda: cluster.moves is None)
        assert cluster.topic.target(1) == _ids(0, 2)

    _run(scenario)


def test_preferred_leaders_are_elected_where_they_can_be_and_the_request_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.unregister(BrokerId(1))
        await cluster.until(lambda: cluster.store.view.states[_T1].leader == 0)
        cluster.metadata.register(fake_brokers([1])[0])
        await cluster.catch_up_with(_T1, 0, 1)
        cluster.metadata.ask(elections=[_T0, _T1, _NONE])
        await cluster.until(lambda: cluster.store.view.admin_requests == NO_REQUESTS)
        assert cluster.store.view.states[_T1].leader == 1
        cluster.metadata.ask(elections=[])
        await cluster.until(lambda: cluster.store.view.admin_requests == NO_REQUESTS)

    _run(scenario)
    assert "The preferred leader of t-0 leads, as asked for" in caplog.text
    assert "The preferred leader of t-1 leads, as asked for" in caplog.text
    assert "No preferred leader is elected for 'nowhere-7': Partition nowhere-7" in caplog.text


def test_a_topic_that_a_tool_made_without_an_id_gets_one_and_leaders() -> None:
    async def scenario(cluster: Cluster) -> None:
        metadata = cluster.metadata
        metadata.admin_requests = replace(NO_REQUESTS, unidentified=frozenset({"old"}))
        metadata.publish()
        await cluster.until(lambda: TopicPartition("old", 0) in cluster.store.view.states)
        assert cluster.store.view.admin_requests == NO_REQUESTS

    _run(scenario)


class ReluctantStore(FakeMetadataStore):
    """Refuses each kind of write once, as when others keep changing things."""

    refuses = 0

    async def begin_reassignments(
        self,
        claim: ControllerClaim,
        request: ReassignmentRequest,
        name: str,
        update: TopicUpdate,
    ) -> None:
        self._refuse_once(0)
        await super().begin_reassignments(claim, request, name, update)

    async def drop_election(self, claim: ControllerClaim, request: ElectionRequest) -> bool:
        self._refuse_once(1)
        return await super().drop_election(claim, request)

    def _refuse_once(self, turn: int) -> None:
        if self.refuses == turn:
            self.refuses += 1
            raise StoreConflictError("it keeps being changed by others")


def test_what_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_requests, "_RETRY_AFTER_S", 0.0)
    metadata = FakeMetadata()
    store = ReluctantStore(metadata, metadata.member().view)

    async def scenario(cluster: Cluster) -> None:
        cluster.metadata.ask(moves={_T0: _ids(2, 1)})
        await cluster.until(lambda: cluster.topic.moving == {0})
        cluster.metadata.ask(elections=[_T0])
        await cluster.until(lambda: cluster.store.view.admin_requests.election is None)
        assert store.refuses == 2

    _run(scenario, Cluster(store))
